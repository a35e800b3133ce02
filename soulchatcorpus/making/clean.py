"""The cleaning: datatrove steps that keep, drop, flag, label or mask records, each with a reason that is counted.

`clean` runs them on this machine. The same pipelines (`stages`) go to datatrove's Slurm or Ray executor unchanged.
"""

import os
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import orjson
import xxhash
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from loguru import logger

from ..files import check_new, read_object, replacing, show, working_in, write_json
from .duplicates import BUCKETS, MarkAnswer, RemoveNearDuplicates, find_pairs, join_pairs, sign
from .options import CleanOptions
from .records import KINDS, find_file, result_file
from .steps import ApplyRules, ReadParts, ReadSource, Topic, WriteParts
from .topics import ask_topics

# One pipeline and the number of tasks it is run with, as datatrove's executors take them.
Stage = tuple[str, list[PipelineStep], int]
_PARTS_VERSION = 2  # what another version left is not gone on with


def stages(
    source: Path, work: Path, options: CleanOptions, asked_topics: Mapping[str, str] = MappingProxyType({})
) -> list[Stage]:
    """The pipelines of a cleaning, to be run one after the other, each with a folder of logs of its own under `work`.

    The last leaves its parts in `work`/clean: kept-*.jsonl, dropped-*.jsonl, counts-*.json.

    Args:
        asked_topics: id to topic, as a model gave them (`topics.ask_topics`).
    """
    rules, clean, tasks = work / "rules", work / "clean", options.tasks
    steps: list[PipelineStep] = [ReadSource(source, options.unknown_topics), ApplyRules(options)]
    if options.topics != "none":
        steps.append(Topic(asked_topics))
    if options.action("near_duplicate") == "off":
        return [("rules", [*steps, WriteParts(clean)], tasks)]
    return [
        ("rules", [*steps, WriteParts(rules)], tasks),
        ("sign", [ReadParts(rules), MarkAnswer(), sign(work)], tasks),
        ("pairs", [find_pairs(work)], BUCKETS),
        ("clusters", [join_pairs(work)], 1),
        ("clean", [ReadParts(rules), RemoveNearDuplicates(work), WriteParts(clean)], tasks),
    ]


def run_locally(stage: Stage, work: Path, workers: int = 1) -> None:
    """Run one pipeline on this machine; tasks that a run before has finished are not done again."""
    logger.disable("datatrove")  # its log goes to the folder; the counts are in report.json
    name, pipeline, tasks = stage
    LocalPipelineExecutor(
        pipeline, tasks=tasks, workers=min(workers, tasks), logging_dir=str(work / "logs" / name)
    ).run()


def clean(source: Path, out: Path, options: CleanOptions, overwrite: bool = False) -> dict:
    """Clean a file of questions or conversations into `out`.

    Leaves questions.jsonl or conversations.jsonl (the kept), dropped.jsonl (with step, reason and the record) and
    report.json with every count, which is also returned.

    Args:
        overwrite: what `out` holds of another source may be replaced.

    Raises:
        OSError: another run is at work in `out`, or records of another source are there.
    """
    file = find_file(source)
    with working_in(out, "soulchat corpus clean"):
        result = result_file(file, out)
        if not (overwrite or _is_of(file, out)):
            for kind in KINDS:
                check_new(out / f"{kind}.jsonl", "another folder, or `overwrite`, since it is not of this source")
        return _clean(file, result, out, options)


def _is_of(file: Path, out: Path) -> bool:
    """Whether the records in a folder are of this source: a cleaning of it ended there, or was stopped."""
    state = out / ".clean" / "state"
    if state.is_file() and state.read_bytes().startswith(orjson.dumps([show(file.resolve())])[:-1]):
        return True
    try:
        return read_object(out / "report.json").get("source") == _name_source(file)
    except (OSError, ValueError):
        return False


def _name_source(file: Path) -> str:
    """What tells a source from others in report.json, which may be passed on: no path of this machine."""
    return xxhash.xxh3_64_hexdigest(os.fsencode(file.resolve()))


def _clean(file: Path, result: Path, out: Path, options: CleanOptions) -> dict:
    requests = options.requests
    asked = ask_topics(file, out, requests, options.unknown_topics) if requests else {}
    work = _work_folder(file, out, options, asked)
    for stage in stages(file, work, options, asked):
        run_locally(stage, work, options.workers)
    kept = _join(sorted((work / "clean").glob("kept-*.jsonl")), result)
    folders = [work / "rules", work / "clean"]
    dropped = _join([part for folder in folders for part in sorted(folder.glob("dropped-*"))], out / "dropped.jsonl")
    for kind in KINDS:
        if kind != result.stem:  # the next step would read it in the place of this result
            (out / f"{kind}.jsonl").unlink(missing_ok=True)
    told = {"kind": result.stem, "source": _name_source(file)}
    report = {**told, "read": kept + dropped, "kept": kept, "dropped": dropped, "steps": _counts(folders)}
    write_json(out / "report.json", report)
    _remove(work)
    return report


def _work_folder(file: Path, out: Path, options: CleanOptions, asked: Mapping[str, str]) -> Path:
    """Where the parts are; what a stopped run left is used again if the file and the options are the same."""
    work = out / ".clean"
    given = [_PARTS_VERSION, options.model_dump(exclude={"workers"}), asked]
    state = orjson.dumps([show(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns, *given])
    if not (work / "state").exists() or (work / "state").read_bytes() != state:
        _remove(work)
        work.mkdir(parents=True)
        (work / "state").write_bytes(state)
    return work


def _remove(work: Path) -> None:
    """Remove the folder of parts, what vouches for them first: killed halfway, it is not taken for a stopped run."""
    (work / "state").unlink(missing_ok=True)
    shutil.rmtree(work, ignore_errors=True)


def _join(parts: list[Path], path: Path) -> int:
    """Put the lines of all parts into one file; returns how many."""
    count = 0
    with replacing(path) as joined:
        for part in parts:
            with part.open("rb") as lines:
                for line in lines:
                    joined.write(line)
                    count += 1
    return count


def _counts(folders: list[Path]) -> dict[str, dict[str, dict[str, int]]]:
    """Step -> action -> reason -> how often, over all parts."""
    total: Counter[tuple[str, str, str]] = Counter()
    for folder in folders:
        for part in folder.glob("counts-*.json"):
            for step, reason, action, number in orjson.loads(part.read_bytes()):
                total[(step, action, reason)] += number
    nested: dict[str, dict[str, dict[str, int]]] = {}
    for (step, action, reason), number in total.most_common():
        nested.setdefault(step, {}).setdefault(action, {})[reason] = number
    return nested
