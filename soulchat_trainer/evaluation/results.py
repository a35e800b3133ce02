"""results.json and predictions.jsonl: what a run leaves behind for cards, tables and ratings."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import torch

from hub_cards.results import SCHEMA_VERSION
from soulchatcorpus.files import write_json, write_lines
from soulchatcorpus.turns import Turn

from ..generation.sampling import Decoding

PREDICTIONS_FILE = "predictions.jsonl"
PREDICTION_KEYS = ("id", "prompt", "reference", "prediction")
PACKAGES = ("soulchat", "torch", "transformers", "datasets", "evaluate", "jieba", "rapidfuzz")


def write_predictions(path: Path, turns: Sequence[Turn], predictions: Sequence[str]) -> None:
    """One JSON object a line, `PREDICTION_KEYS`, in the order of the turns."""
    rows = (
        (turn.id, turn.context, turn.completion, prediction)
        for turn, prediction in zip(turns, predictions, strict=True)
    )
    write_lines(path, (dict(zip(PREDICTION_KEYS, row, strict=True)) for row in rows))


def read_predictions(path: Path) -> list[dict[str, str]]:
    """The rows of a predictions.jsonl.

    Raises:
        OSError: there is no such file.
        ValueError: a line is no JSON object, lacks a key or holds another type than text; an id stands twice.
    """
    rows: dict[str, dict[str, str]] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"{path}, line {number}: not JSON ({error})") from error
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in PREDICTION_KEYS):
            raise ValueError(f"{path}, line {number}: a row needs texts under {', '.join(PREDICTION_KEYS)}")
        if row["id"] in rows:
            raise ValueError(f"{path}, line {number}: id {row['id']!r} stands there twice")
        rows[row["id"]] = row
    return list(rows.values())


def fingerprint(turns: Iterable[Turn]) -> str:
    """SHA-256 over the id, prompt and completion of the turns: equal exactly where the same samples were scored."""
    digest = hashlib.sha256()
    for turn in turns:
        digest.update(orjson.dumps([turn.id, turn.prompt, turn.completion]))
    return digest.hexdigest()


def write_results(
    path: Path,
    *,
    dataset: dict[str, Any],
    decoding: Decoding,
    systems: list[dict[str, Any]],
    references: dict[str, float],
    recipe: str | None = None,
    training: dict[str, Any] | None = None,
    unigram: dict[str, float] | None = None,
) -> dict[str, Any]:
    """Write results.json and return its content.

    Args:
        dataset: name (the data's true one, e.g. smilechat-1k), config, revision, fingerprint, splits, licence.
        decoding: how the replies were drawn.
        systems: rows of `table1`.
        references: `table1.describe_references`.
        recipe: name of the training recipe.
        training: seconds, steps, samples, tokens, …; None where nothing was trained.
        unigram: loss and perplexity of the unigram model.
    """
    results = {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "recipe": recipe,
        "git_revision": git_revision(),
        "versions": {package: version(package) for package in PACKAGES},
        "hardware": hardware(),
        "dataset": dataset,
        "decoding": asdict(decoding),
        "training": training,
        "systems": systems,
        "references": references,
        "unigram": unigram,
    }
    write_json(path, results)
    return results


def git_revision() -> str | None:
    """The commit of the checkout that this package runs from; None where it is installed without one."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    done = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def hardware() -> dict[str, Any]:
    """Processor, cores this process may use, memory in GB, and the GPU's name or None."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
    }


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(": ")[2] for line in names if line.startswith("model name")), platform.machine())
