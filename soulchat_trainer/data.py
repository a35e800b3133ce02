"""The corpus of a run: splits of conversations, by name or from a file, and the fingerprint that results name."""

import hashlib
import random
from pathlib import Path

import datasets
import orjson
from datasets import Dataset, DatasetDict

import soulchatcorpus  # makes its name known to load_dataset
from soulchatcorpus.splits import SPLITS, opening_key, split_all

from .evaluation.turns import list_turns
from .tokenize import find_targets

FILE_BUILDERS = {".parquet": "parquet", ".json": "json", ".jsonl": "json"}
# What the embedded sample is called in results: it is SMILECHAT, not the SoulChat release.
DATASET_NAMES = {soulchatcorpus.__name__: {"name": "smilechat-1k", "licence": "cc0-1.0"}}


def load_corpus(name: str) -> DatasetDict:
    """Conversations in splits train, validation and test.

    Args:
        name: a name for `load_dataset`, or a .json, .jsonl or .parquet file of conversations (`messages`), which is
            split by opening here, so that no first message stands on two sides.

    Raises:
        OSError, ValueError: there is no such data set or file, or it is no corpus of conversations.
    """
    suffix = Path(name).suffix
    if suffix not in FILE_BUILDERS:
        return _check(load_named(name), name)
    if not Path(name).is_file():
        raise FileNotFoundError(f"dataset {name}: no such file")
    rows = datasets.load_dataset(FILE_BUILDERS[suffix], data_files=name, split="train")
    return _check(split_by_opening(rows) if "messages" in rows.column_names else DatasetDict(train=rows), name)


def load_named(name: str) -> DatasetDict:
    """`load_dataset` by name; our own corpora as conversations."""
    configs = datasets.get_dataset_config_names(name)
    return datasets.load_dataset(name, "conversations" if "conversations" in configs else configs[0])


def _check(corpus: DatasetDict, name: str) -> DatasetDict:
    columns = corpus["train"].column_names if "train" in corpus else []
    if "messages" not in columns and not {"prompt", "completion"} <= set(columns):
        raise ValueError(
            f"dataset {name}: needs a split train with columns messages, or prompt and completion; found splits "
            f"{', '.join(corpus)} with columns {', '.join(columns)}"
        )
    return corpus


def split_by_opening(rows: Dataset) -> DatasetDict:
    """Rows of conversations in train, validation and test, disjoint by first message."""
    indices: dict[str, list[int]] = {split: [] for split in SPLITS}
    keyed = (
        (opening_key(messages[0]["content"]), len(find_targets(messages)), index)
        for index, messages in enumerate(rows["messages"])
        if messages
    )
    for split, index in split_all(keyed):
        indices[split].append(index)
    return DatasetDict({split: rows.select(sorted(chosen)) for split, chosen in indices.items()})


def corpus_fingerprint(corpus: DatasetDict) -> str:
    """SHA-256 over the text of all rows, split by split: the same data has the same one on every machine."""
    digest = hashlib.sha256()
    for split in sorted(corpus):
        digest.update(split.encode())
        columns = [c for c in ("messages", "prompt", "completion") if c in corpus[split].column_names]
        for batch in corpus[split].select_columns(columns).iter(batch_size=1000):
            digest.update(orjson.dumps(batch))
    return digest.hexdigest()


def draw_turns(rows: Dataset | None, number: int) -> list[dict[str, str]]:
    """That many turns of a split, the same at every call."""
    turns = list_turns(rows) if rows is not None else []
    return turns if number >= len(turns) else random.Random(0).sample(turns, number)
