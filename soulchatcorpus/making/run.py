"""`soulchat corpus run pipeline.yaml`: all steps from a question file to Parquet, each into a folder of its own.

    source: questions.jsonl
    out: corpus
    steps:
      - clean: {language: zh}
      - review: {flagged: true, sample: 0.05}
      - rewrite: {base_url: "http://127.0.0.1:8000/v1", model: "gpt-3.5-turbo=99,gpt-4=1"}
      - clean: {}
      - review: {flagged: true}
      - stats: {}
      - build: {}

`style: {cases: cases.jsonl, …}` makes a style card of a counsellor's cases; the rewritings after it use both. Its
draft waits for a person, who reads it, corrects it and saves it under the name that the run tells.

A step's input is the folder of the last step that left records. A step whose options and input are as they were is not
done again, so a run that was stopped goes on where it was. A review with items left to decide stops the run; after
people have decided, the same command goes on.
"""

import shlex
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from pydantic import Field

from ..files import parse_yaml, working_in, write_json
from .build import build
from .clean import clean
from .figures import write_statistics
from .options import CleanOptions, Options, ReviewOptions, RewriteOptions, StatsOptions, StyleOptions
from .prompts import NAMED_PROMPTS
from .records import find_file
from .review import ReviewStore
from .rewrite import rewrite
from .style import make_style
from .style_card import load_style


def run_pipeline(
    config: Path, on_step: Callable[[str, dict | None], None] = lambda name, report: None
) -> dict[str, dict]:
    """Run the steps of a pipeline file; returns the report of each by its folder's name.

    `on_step` hears of every step before (with None) and after it.

    Raises:
        ValueError: an unknown step or option, a broken file, or a review that waits for people.
        OSError: another run is at work in `out`.
    """
    plan = _read_plan(config)
    source, out = config.parent / plan["source"], config.parent / plan["out"]
    reports = {}
    with working_in(out, "soulchat corpus run"):
        for number, (verb, options) in enumerate(plan["steps"], 1):
            name = f"{number}-{verb}"
            folder = out / name
            on_step(name, None)
            reports[name] = _run_step(verb, source, folder, options)
            on_step(name, reports[name])
            if STEPS[verb].leaves_records:
                source = folder
    return reports


def _run_step(verb: str, source: Path, folder: Path, options: Options) -> dict:
    """Run one step, or take its report from the last time if neither its options nor its input have changed."""
    given = options.model_dump(mode="json")
    digest = blake2b(orjson.dumps([verb, given], option=orjson.OPT_SORT_KEYS), digest_size=16)
    own = [Path(given[name]) for name in _FILES if given.get(name) not in (None, *NAMED_PROMPTS)]
    for file in map(find_file, [source, *own]):
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    done = folder / "done.json"
    if done.exists() and (before := orjson.loads(done.read_bytes()))["state"] == digest.hexdigest():
        return before["report"]
    report = STEPS[verb].run(source, folder, options)
    write_json(done, {"state": digest.hexdigest(), "report": report})
    return report


def _review(source: Path, out: Path, options: ReviewOptions) -> dict:
    store = ReviewStore(out / "review.sqlite")
    store.fill(source, options)
    report = store.export(source, out)
    left = report["wanted"] - report["decisions"]
    if left:
        flagged = "--flagged" if options.flagged else "--no-flagged"
        shares = [f"--sample={options.sample}", f"--shared={options.shared}"]
        command = ["soulchat", "corpus", "review", str(find_file(source)), "--out", str(out), flagged, *shares]
        raise ValueError(f"{left} decisions wait for people: run `{shlex.join(command)}`, then this again")
    return report


def _rewrite(source: Path, out: Path, options: RewriteOptions) -> dict:
    report = rewrite(source, out, options)
    if report["open"]:
        raise ValueError(f"max_cost is {options.max_cost}; allowed: more, {report['open']} records are to go")
    return report


class StyleStepOptions(StyleOptions):
    """How cases become a style card in a pipeline, where the source is the records'."""

    cases: Path = Field(strict=False, description="The counsellor's cases.")


def _style(source: Path, out: Path, options: StyleStepOptions) -> dict:
    card, draft = out / STYLE_FILE, out / "draft.yaml"
    if not card.exists():
        named = options.model_copy(update={"counsellor": options.counsellor or options.cases.stem})
        if not draft.exists() and make_style(options.cases, draft, named) is None:
            raise ValueError(f"max_cost is {options.max_cost}; allowed: more, the request could pass it")
        raise ValueError(
            f"a style card waits for people: read {draft}, correct it, take out what tells of a client, save it as "
            f"{card}, then run this again"
        )
    return {"counsellor": load_style(card).counsellor}


class Step(NamedTuple):
    """What a step is given, what does it, and whether it leaves records for the next."""

    options: type[Options]
    run: Callable[[Path, Path, Any], dict]
    leaves_records: bool = True


STEPS = {
    "clean": Step(CleanOptions, partial(clean, overwrite=True)),  # whose folder it is, done.json tells
    "review": Step(ReviewOptions, _review),
    "style": Step(StyleStepOptions, _style, leaves_records=False),
    "rewrite": Step(RewriteOptions, _rewrite),
    "stats": Step(StatsOptions, write_statistics, leaves_records=False),
    "build": Step(Options, lambda source, out, options: build(source, out), leaves_records=False),
}
STYLE_FILE = "style.yaml"  # in the folder of the step
_FILES = ("prompt", "compare", "font", "style", "cases")  # options that can name one


def _find_option(config: Path, name: str, value: Any) -> Any:
    """An option as it is, or the path from here where it names a file beside the config, as source and out do."""
    if name not in _FILES or value in NAMED_PROMPTS or not isinstance(value, str):
        return value
    beside = config.parent / value
    return str(beside) if beside.exists() else value


def _read_plan(config: Path) -> dict[str, Any]:
    try:
        plan = parse_yaml(config.read_bytes())
    except ValueError as error:
        raise ValueError(f"{config}: {error}") from None
    if not isinstance(plan, dict) or plan.keys() != {"source", "out", "steps"}:
        found = list(plan) if isinstance(plan, dict) else type(plan).__name__
        raise ValueError(f"{config}: the keys are {found}; allowed: source, out, steps")
    if not isinstance(plan["steps"], list) or not all(isinstance(plan[key], str) for key in ("source", "out")):
        raise ValueError(f"{config}: source and out are paths, and steps is a list")
    steps = []
    style: dict[str, Any] = {}  # what a rewriting takes from the style step before it
    for number, step in enumerate(plan["steps"], 1):
        verb, options = next(iter(step.items())) if isinstance(step, dict) and len(step) == 1 else (str(step), None)
        if verb not in STEPS or not isinstance(options, dict | None):
            raise ValueError(f"{config}: step is {step!r}; allowed: {', '.join(STEPS)}, each with options in braces")
        given = {str(name): _find_option(config, name, value) for name, value in (options or {}).items()}
        if verb == "style":
            style = {"style": config.parent / plan["out"] / f"{number}-{verb}" / STYLE_FILE} | {
                name: value for name, value in given.items() if name == "cases"
            }
        if verb == "rewrite":
            given = style | given
        try:
            steps.append((verb, STEPS[verb].options(**given)))
        except ValueError as error:
            raise ValueError(f"{config}: {verb}: {error}") from None
    return plan | {"steps": steps}
