"""The cleaning: datatrove steps that keep, drop, flag, label or mask records, each with a reason that is counted.

`clean` runs them on this machine. The same pipelines (`stages`) go to datatrove's Slurm or Ray executor unchanged.
"""

import shutil
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from loguru import logger

from ..files import replacing, write_json
from .duplicates import BUCKETS, MarkAnswer, RemoveNearDuplicates, find_pairs, join_pairs, sign
from .records import check_unknown_topics, find_file, result_file
from .steps import (
    STEPS,
    Crisis,
    ExactDuplicates,
    Language,
    Length,
    Phrases,
    Privacy,
    ReadParts,
    ReadSource,
    Repetition,
    Topic,
    WriteParts,
)

# One pipeline and the number of tasks it is run with, as datatrove's executors take them.
Stage = tuple[str, list[PipelineStep], int]


@dataclass(slots=True)
class CleanOptions:
    """What the cleaning does.

    Attributes:
        actions: step to action, where it differs from the default (`steps.STEPS`); "off" leaves a step out.
        min_characters, max_characters: of a whole record.
        language: "zh", "en", or "any".
        recogniser: also look for names and places with jieba's tagger.
        topics: "words" fills missing topics by keywords, "none" leaves them.
        asked_topics: id to topic, as a model gave them before.
        unknown_topics: "refuse" a topic that is none of the twelve, or "relabel" it.
        tasks: into how many parts the work is cut; duplicates are found across all of them.
    """

    actions: dict[str, str] = field(default_factory=dict)
    min_characters: int = 20
    max_characters: int = 20_000
    language: str = "any"
    recogniser: bool = False
    topics: str = "words"
    asked_topics: dict[str, str] = field(default_factory=dict)
    unknown_topics: str = "refuse"
    tasks: int = 1

    def __post_init__(self) -> None:
        for step, action in self.actions.items():
            if step not in STEPS or action not in (*STEPS[step], "off"):
                allowed = ", ".join(f"{name}={'|'.join(STEPS[name])}|off" for name in STEPS)
                raise ValueError(f"--action {step}={action}: allowed are {allowed}")
        if self.language not in ("zh", "en", "any"):
            raise ValueError(f"--language {self.language!r}: allowed are zh, en, any")
        if self.topics not in ("words", "none"):
            raise ValueError(f"topics {self.topics!r}: allowed are words, none")
        check_unknown_topics(self.unknown_topics)
        if self.tasks < 1:
            raise ValueError(f"--tasks {self.tasks}: at least 1 is wanted")

    def action(self, step: str) -> str:
        """What a step does with what it finds."""
        return self.actions.get(step, STEPS[step][0])


def stages(source: Path, work: Path, options: CleanOptions) -> list[Stage]:
    """The pipelines of a cleaning, to be run one after the other, each with a folder of logs of its own under `work`.

    The last leaves its parts in `work`/clean: kept-*.jsonl, dropped-*.jsonl, counts-*.json.
    """
    rules, clean, tasks = work / "rules", work / "clean", options.tasks
    if options.action("near_duplicate") == "off":
        return [("rules", _rules(source, clean, options), tasks)]
    return [
        ("rules", _rules(source, rules, options), tasks),
        ("sign", [ReadParts(rules), MarkAnswer(), sign(work)], tasks),
        ("pairs", [find_pairs(work)], BUCKETS),
        ("clusters", [join_pairs(work)], 1),
        ("clean", [ReadParts(rules), RemoveNearDuplicates(work), WriteParts(clean)], tasks),
    ]


def _rules(source: Path, parts: Path, options: CleanOptions) -> list[PipelineStep]:
    action = options.action
    steps: list[PipelineStep] = [ReadSource(source, options.unknown_topics)]
    if action("length") != "off":
        steps.append(Length(action("length"), options.min_characters, options.max_characters))
    if action("language") != "off" and options.language != "any":
        steps.append(Language(action("language"), options.language))
    if action("repetition") != "off":
        steps.append(Repetition(action("repetition")))
    if action("exact_duplicate") != "off":
        steps.append(ExactDuplicates(action("exact_duplicate")))
    if action("privacy") != "off":
        steps.append(Privacy(action("privacy"), options.recogniser))
    phrases = {name: action(name) for name in ("refusal", "advertisement", "special") if action(name) != "off"}
    if phrases:
        steps.append(Phrases(**phrases))
    if action("crisis") != "off":
        steps.append(Crisis(action("crisis")))
    if options.topics != "none":
        steps.append(Topic(options.asked_topics, by_words=options.topics == "words"))
    return [*steps, WriteParts(parts)]


def run_locally(stage: Stage, work: Path, workers: int = 1) -> None:
    """Run one pipeline on this machine; tasks that a run before has finished are not done again."""
    logger.disable("datatrove")  # its log goes to the folder; the counts are in report.json
    name, pipeline, tasks = stage
    LocalPipelineExecutor(
        pipeline, tasks=tasks, workers=min(workers, tasks), logging_dir=str(work / "logs" / name)
    ).run()


def clean(source: Path, out: Path, options: CleanOptions, workers: int = 1) -> dict:
    """Clean a file of questions or conversations into `out`.

    Leaves questions.jsonl or conversations.jsonl (the kept), dropped.jsonl (with step, reason and the record) and
    report.json with every count, which is also returned.
    """
    file = find_file(source)
    result = result_file(file, out)
    work = _work_folder(file, out, options)
    for stage in stages(file, work, options):
        run_locally(stage, work, workers)
    kept = _join(sorted((work / "clean").glob("kept-*.jsonl")), result)
    folders = [work / "rules", work / "clean"]
    dropped = _join([part for folder in folders for part in sorted(folder.glob("dropped-*"))], out / "dropped.jsonl")
    report = {"kind": result.stem, "read": kept + dropped, "kept": kept, "dropped": dropped, "steps": _counts(folders)}
    write_json(out / "report.json", report)
    _remove(work)
    return report


def _work_folder(file: Path, out: Path, options: CleanOptions) -> Path:
    """Where the parts are; what a stopped run left is used again if the file and the options are the same."""
    work = out / ".clean"
    state = orjson.dumps([str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns, asdict(options)])
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
