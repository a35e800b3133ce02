"""What the steps of `soulchat corpus` counted, brought together for the dataset card.

Each step leaves its numbers in its own folder: clean, review and rewrite in report.json, stats in stats.json with
figures, build in card.json. A pipeline's folders lie side by side (1-clean, 2-review, …, 7-build).
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from soulchatcorpus.files import read_object

BUILD_CARD = "card.json"
FIGURES = {"topics.png": "Topics of the conversations", "words.png": "Words of the counsellors"}
_STEP = re.compile(r"(\d+)-(clean|review|rewrite|stats)")


def find_reports(folder: Path, given: Sequence[Path] = ()) -> list[Path]:
    """Folders of the steps that led to the build in `folder`, in their order: `given`, else its numbered neighbours.

    Raises:
        FileNotFoundError: a given folder holds no numbers.
    """
    for path in given:
        if not any((path / name).is_file() for name in ("report.json", "stats.json")):
            raise FileNotFoundError(
                f"{path} has no report.json and no stats.json; allowed: the folder of a step of `soulchat corpus`"
            )
    if given:
        return list(given)
    steps = [(match, path) for path in folder.resolve().parent.iterdir() if (match := _STEP.fullmatch(path.name))]
    return [path for _, path in sorted(steps, key=lambda step: int(step[0][1]))]


def collect_build(folders: Sequence[Path]) -> dict[str, Any]:
    """The numbers of all steps as the card reads them: cleaning, proofreading, rewriting, statistics.

    What no step counted is absent, and reads "not measured" in the card.
    """
    build: dict[str, Any] = {"cleaning": [], "proofreading": []}
    for folder in folders:
        report = _read(folder / "report.json")
        if "steps" in report:
            build["cleaning"] += _cleaning(folder.name, report)
        elif "decisions" in report:
            build["proofreading"].append({"step": folder.name, **report})
        elif "prompt" in report:
            build["rewriting"] = report
        stats = _read(folder / "stats.json")
        if stats:
            build["statistics"] = _statistics(stats)
    return build


def _cleaning(step: str, report: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for every rule, what it did and why; first what was read, kept and dropped in all."""
    total = [
        {"step": step, "rule": "all", "action": action, "reason": report["kind"], "count": report[action]}
        for action in ("read", "kept", "dropped")
    ]
    return total + [
        {"step": step, "rule": rule, "action": action, "reason": reason, "count": count}
        for rule, actions in report["steps"].items()
        for action, reasons in actions.items()
        for reason, count in reasons.items()
    ]


def _statistics(stats: dict[str, Any]) -> dict[str, float]:
    """The numbers of stats.json that fit a table, under words for people."""
    found = {name: stats[name] for name in ("conversations", "turns", "messages")}
    for who, name in (("user", "user message"), ("assistant", "counsellor message"), ("conversation", "conversation")):
        summary = stats["characters"][who]
        found |= {
            f"characters of a {name}, {value}": round(summary[value], 1)
            for value in ("mean", "median", "p99")
            if value in summary
        }
    found |= {
        "share of counsellor messages with a question": round(stats["share_questions"], 4),
        "share of counsellor messages with an expression of empathy": round(stats["share_empathy"], 4),
    }
    found |= {f"conversations labelled {label}": count for label, count in stats["labels"].items()}
    found |= _people(stats)
    return found | {f"conversations on {topic}": count for topic, count in stats["topics"].items() if topic != "none"}


_SOURCES = {
    "record": "a client of whom something is stated",
    "drawn": "a client whose traits were drawn by chance",
    "profile": "a client played from a profile",
}


def _people(stats: dict[str, Any]) -> dict[str, float]:
    """How many conversations state what of the client, and whose style they have; statistics of before had neither."""
    found: dict[str, float] = {}
    for name, values in stats.get("clients", {}).items():
        words = _SOURCES if name == "source" else {}
        found |= {
            f"conversations with {words.get(value, f'a client of {name} {value}')}": count
            for value, count in values.items()
        }
    counsellors = stats.get("counsellors", {})
    return found | {f"conversations in the style of {name}": count for name, count in counsellors.items()}


def _read(path: Path) -> dict[str, Any]:
    return read_object(path) if path.is_file() else {}
