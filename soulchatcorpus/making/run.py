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

A step's input is the folder of the last step that left records. A step whose options and input are as they were is not
done again, so a run that was stopped goes on where it was. A review with items left to decide stops the run; after
people have decided, the same command goes on.
"""

import shlex
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ..files import parse_yaml, write_json
from .build import build
from .clean import clean
from .figures import write_statistics
from .options import CleanOptions, Options, ReviewOptions, RewriteOptions, StatsOptions
from .prompts import NAMED_PROMPTS
from .records import find_file
from .review import ReviewStore
from .rewrite import rewrite


def run_pipeline(
    config: Path, on_step: Callable[[str, dict | None], None] = lambda name, report: None
) -> dict[str, dict]:
    """Run the steps of a pipeline file; returns the report of each by its folder's name.

    `on_step` hears of every step before (with None) and after it.

    Raises:
        ValueError: an unknown step or option, a broken file, or a review that waits for people.
    """
    plan = _read_plan(config)
    source, out = config.parent / plan["source"], config.parent / plan["out"]
    reports = {}
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


class Step(NamedTuple):
    """What a step is given, what does it, and whether it leaves records for the next."""

    options: type[Options]
    run: Callable[[Path, Path, Any], dict]
    leaves_records: bool = True


STEPS = {
    "clean": Step(CleanOptions, clean),
    "review": Step(ReviewOptions, _review),
    "rewrite": Step(RewriteOptions, _rewrite),
    "stats": Step(StatsOptions, write_statistics, leaves_records=False),
    "build": Step(Options, lambda source, out, options: build(source, out), leaves_records=False),
}
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
        found = sorted(plan) if isinstance(plan, dict) else type(plan).__name__
        raise ValueError(f"{config}: the keys are {found}; allowed: source, out, steps")
    if not isinstance(plan["steps"], list) or not all(isinstance(plan[key], str) for key in ("source", "out")):
        raise ValueError(f"{config}: source and out are paths, and steps is a list")
    steps = []
    for step in plan["steps"]:
        verb, options = next(iter(step.items())) if isinstance(step, dict) and len(step) == 1 else (str(step), None)
        if verb not in STEPS or not isinstance(options, dict | None):
            raise ValueError(f"{config}: step is {step!r}; allowed: {', '.join(STEPS)}, each with options in braces")
        given = {str(name): _find_option(config, name, value) for name, value in (options or {}).items()}
        try:
            steps.append((verb, STEPS[verb].options(**given)))
        except ValueError as error:
            raise ValueError(f"{config}: {verb}: {error}") from None
    return plan | {"steps": steps}
