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
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import orjson
import yaml

from ..files import write_json
from .build import build
from .clean import CleanOptions, clean
from .costs import read_models
from .describe import write_statistics
from .endpoint import is_loopback
from .prompts import NAMED_PROMPTS, load_prompt
from .records import find_file
from .requests import RequestOptions
from .review import ReviewStore
from .rewrite import RewriteOptions, rewrite
from .topics import ask_topics

Step = Callable[[Path, Path, dict[str, Any]], dict]


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
        if verb in _PASSING:
            source = folder
    return reports


def _run_step(verb: str, source: Path, folder: Path, options: dict[str, Any]) -> dict:
    """Run one step, or take its report from the last time if neither its options nor its input have changed."""
    digest = blake2b(orjson.dumps([verb, options], option=orjson.OPT_SORT_KEYS), digest_size=16)
    for file in [find_file(source), *_files_of(options)]:
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    done = folder / "done.json"
    if done.exists() and (before := orjson.loads(done.read_bytes()))["state"] == digest.hexdigest():
        return before["report"]
    report = STEPS[verb](source, folder, options)
    write_json(done, {"state": digest.hexdigest(), "report": report})
    return report


def _find_option(config: Path, name: str, value: Any) -> Any:
    """An option as it is, or the path from here where it names a file beside the config, as source and out do."""
    beside = config.parent / str(value)
    return str(beside) if name in _FILES and value not in NAMED_PROMPTS and beside.exists() else value


def _files_of(options: dict[str, Any]) -> list[Path]:
    """The files that options name: a prompt of one's own, another corpus, a font."""
    named = [Path(str(options[name])) for name in _FILES if options.get(name) not in (None, *NAMED_PROMPTS)]
    return [find_file(path) for path in named if path.exists()]


def _clean(source: Path, out: Path, options: dict[str, Any]) -> dict:
    given: dict[str, Any] = {"topics": "words", "unknown_topics": "refuse"} | options
    base_url, model, yes = (given.pop(name, None) for name in ("base_url", "model", "yes"))
    # YAML reads a bare `off` as false.
    actions = {step: "off" if action is False else action for step, action in given.pop("actions", {}).items()}
    if given["topics"] == "endpoint":
        if not base_url or not model:
            raise ValueError("clean: base_url and model are wanted with topics: endpoint")
        _check_allowed("clean: what users say", base_url, yes)
        asked = RequestOptions(base_url=base_url, models=read_models(model, []))
        given |= {"topics": "words", "asked_topics": ask_topics(source, out, asked, given["unknown_topics"])}
    return clean(source, out, CleanOptions(actions=actions, **given))


def _review(source: Path, out: Path, options: dict[str, Any]) -> dict:
    given = {"flagged": True, "sample": 0.0, "shared": 0.0} | options
    store = ReviewStore(out / "review.sqlite")
    store.fill(source, **given)
    report = store.export(source, out)
    left = report["wanted"] - report["decisions"]
    if left:
        flagged = "--flagged" if given["flagged"] else "--no-flagged"
        shares = [f"--{name}={given[name]}" for name in ("sample", "shared")]
        command = ["soulchat", "corpus", "review", str(find_file(source)), "--out", str(out), flagged, *shares]
        raise ValueError(f"{left} decisions wait for people: run `{shlex.join(command)}`, then this again")
    return report


def _rewrite(source: Path, out: Path, options: dict[str, Any]) -> dict:
    given: dict[str, Any] = {"prompt": "soulchat", "price": [], "yes": False} | options
    if not {"base_url", "model"} <= given.keys():
        raise ValueError("rewrite: base_url and model are wanted")
    _check_allowed("rewrite: questions with answers", given["base_url"], given.pop("yes"))
    given["models"] = read_models(given.pop("model"), given.pop("price"))
    given["prompt"] = load_prompt(given["prompt"])
    report = rewrite(source, out, RewriteOptions(**given))
    if report["open"]:
        raise ValueError(f"rewrite stopped for max_cost with {report['open']} records to go")
    return report


def _check_allowed(what: str, base_url: str, yes: bool | None) -> None:
    if not yes and not is_loopback(base_url):
        raise ValueError(f"{what} would be sent to {base_url}; allow it with yes: true")


def _stats(source: Path, out: Path, options: dict[str, Any]) -> dict:
    return write_statistics(source, out, **{name: Path(value) for name, value in options.items()})


def _build(source: Path, out: Path, options: dict[str, Any]) -> dict:
    return build(source, out)


_FILES = ("prompt", "other", "font")  # options that can name one
STEPS: dict[str, Step] = {"clean": _clean, "review": _review, "rewrite": _rewrite, "stats": _stats, "build": _build}
_PASSING = ("clean", "review", "rewrite")  # leave records for the next step


# What each step takes, and of what type.
_ASKING = {"base_url": str, "model": str, "yes": bool}
_OPTIONS: dict[str, dict[str, Any]] = {
    "clean": get_type_hints(CleanOptions) | _ASKING,
    "review": {"flagged": bool, "sample": float, "shared": float},
    "rewrite": get_type_hints(RewriteOptions) | _ASKING | {"prompt": str, "price": list},
    "stats": {"other": str, "font": str},
    "build": {},
}
_MADE = {"asked_topics", "models"}  # by the step itself
_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    dict: "NAME: TEXT",
    list: "a list",
}


def _check_options(step: str, options: dict[str, Any]) -> None:
    """Raise `ValueError` for an option that the step has not, or one of another type."""
    allowed = {name: kind for name, kind in _OPTIONS[step].items() if name not in _MADE}
    if unknown := [str(name) for name in options if name not in allowed]:
        names = ", ".join(sorted(allowed)) or "none"
        raise ValueError(f"{step}: unknown {', '.join(sorted(unknown))}; allowed are {names}")
    for name, value in options.items():
        kinds = _kinds(allowed[name])
        texts = value if isinstance(value, dict | list) else ()
        if not _is_of(value, kinds) or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{step}: {name} is {value!r}, allowed is {_KINDS[kinds[0]]}")


def _kinds(hint: Any) -> tuple[type, ...]:
    """`int | None` to (int, NoneType), `dict[str, str]` to (dict,)."""
    return get_args(hint) if isinstance(hint, UnionType) else (get_origin(hint) or hint,)


def _is_of(value: Any, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, bool):  # which is an int to Python
        return bool in kinds
    return isinstance(value, kinds) or (isinstance(value, int) and float in kinds)


def _read_plan(config: Path) -> dict[str, Any]:
    try:
        plan = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{config}: {' '.join(str(error).split())}") from None
    if not isinstance(plan, dict) or plan.keys() != {"source", "out", "steps"}:
        found = sorted(plan) if isinstance(plan, dict) else type(plan).__name__
        raise ValueError(f"{config}: source, out and steps are wanted, found {found}")
    if not isinstance(plan["steps"], list) or not all(isinstance(plan[key], str) for key in ("source", "out")):
        raise ValueError(f"{config}: source and out are paths, and steps is a list")
    steps = []
    for step in plan["steps"]:
        verb, options = next(iter(step.items())) if isinstance(step, dict) and len(step) == 1 else (str(step), None)
        if verb not in STEPS or not isinstance(options, dict | None):
            raise ValueError(
                f"{config}: step {step!r}; allowed are {', '.join(STEPS)}, each with its options in braces"
            )
        try:
            _check_options(verb, options or {})
        except ValueError as error:
            raise ValueError(f"{config}: {error}") from None
        steps.append((verb, {name: _find_option(config, name, value) for name, value in (options or {}).items()}))
    return plan | {"steps": steps}
