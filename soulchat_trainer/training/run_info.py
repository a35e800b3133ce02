"""What a run is: recipe, data and their fingerprint, package versions, git revision; and how its training went."""

from typing import Any

from datasets import Dataset, DatasetDict
from transformers import TrainerState

from ..data import corpus_fingerprint, describe_dataset
from ..environment import describe_environment


def describe_run(recipe: str | None, dataset: dict[str, Any]) -> dict[str, Any]:
    """The parts of results.json that are known before training."""
    return {**describe_environment(), "recipe": recipe, "dataset": dataset}


def describe_corpus(name: str, corpus: DatasetDict) -> dict[str, Any]:
    """The `dataset` part of results.json before anything is evaluated, with the fingerprint of all rows."""
    return describe_dataset(name, corpus, corpus_fingerprint(corpus)).model_dump()


def describe_rows(rows: Any) -> dict[str, Any]:
    """The `dataset` part for rows that were handed over without a name."""
    if not isinstance(rows, Dataset):
        return {"name": "unnamed"}
    return describe_corpus(rows.info.dataset_name or "unnamed", DatasetDict(train=rows))


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
