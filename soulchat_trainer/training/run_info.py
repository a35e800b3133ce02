"""What a run is: recipe, data and their fingerprint, package versions, git revision; and how its training went."""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict
from transformers import TrainerState

from ..data import DATASET_NAMES, corpus_fingerprint
from ..evaluation.results import PACKAGES, git_revision, hardware


def describe_run(recipe: str | None, dataset: dict[str, Any]) -> dict[str, Any]:
    """The parts of results.json that are known before training."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "recipe": recipe,
        "git_revision": git_revision(),
        "versions": {package: version(package) for package in PACKAGES},
        "hardware": hardware(),
        "dataset": dataset,
    }


def describe_dataset(name: str, corpus: DatasetDict) -> dict[str, Any]:
    """The `dataset` part of results.json."""
    known = DATASET_NAMES.get(name, {})
    return {
        "name": known.get("name", Path(name).name),
        "config": "conversations",
        "revision": None,
        "fingerprint": corpus_fingerprint(corpus),
        "splits": {split: rows.num_rows for split, rows in corpus.items()},
        "licence": known.get("licence", corpus["train"].info.license or None),
    }


def describe_rows(rows: Any) -> dict[str, Any]:
    """The `dataset` part for rows that were handed over without a name."""
    if not isinstance(rows, Dataset):
        return {"name": "unnamed"}
    corpus = DatasetDict(train=rows)
    return describe_dataset(rows.info.dataset_name or "unnamed", corpus)


def describe_training(state: TrainerState, arguments: dict[str, Any], parameters: int) -> dict[str, Any]:
    """The `training` part of results.json, from the trainer's log; arguments without tokens and empty ones."""
    steps = [entry for entry in state.log_history if "loss" in entry]
    seconds, tokens = (sum(entry[key] for entry in steps) for key in ("seconds", "tokens"))
    return {
        "seconds": seconds,
        "steps": state.global_step,
        "samples": sum(entry["samples"] for entry in steps),
        "tokens": tokens,
        "tokens_per_second": tokens / seconds if seconds else None,
        "parameters": parameters,
        "arguments": {
            key: value for key, value in arguments.items() if value is not None and not key.endswith("_token")
        },
        "loss_first": steps[0]["loss"] if steps else None,
        "loss_last": steps[-1]["loss"] if steps else None,
    }
