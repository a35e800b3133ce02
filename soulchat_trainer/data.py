"""The corpus of a run: splits of conversations, by name or from a file, and the fingerprint that results name."""

import hashlib
import random
from pathlib import Path

import datasets
import orjson
from datasets import Dataset, DatasetDict

import soulchatcorpus  # makes its name known to load_dataset

from .evaluation.turns import list_turns

FILE_SUFFIXES = (".json", ".jsonl", ".ndjson", ".txt", ".parquet", ".gz", ".zst", ".zstd")
# What the embedded sample is called in results: it is SMILECHAT, not the SoulChat release.
DATASET_NAMES = {soulchatcorpus.__name__: {"name": "smilechat-1k", "licence": "cc0-1.0"}}


def load_corpus(name: str) -> DatasetDict:
    """Conversations in splits train, validation and test.

    Args:
        name: a name for `load_dataset`, or a file of conversations in any format that `soulchatcorpus` reads, which is
            split by opening here, so that no first message stands on two sides.

    Raises:
        OSError, ValueError: there is no such data set or file, or it is no corpus of conversations.
    """
    if Path(name).is_file():
        return datasets.load_dataset(soulchatcorpus.__name__, "conversations", data_files=name)
    if _is_path(name) and not Path(name).is_dir():
        raise FileNotFoundError(f"dataset {name}: no such file; allowed: a file or a name for load_dataset")
    return load_named(name)


def _is_path(name: str) -> bool:
    """Whether a name can only mean something on this machine: the Hub, which knows no such name, need not be asked."""
    if "://" in name:
        return False
    return name.startswith((".", "/", "~")) or name.count("/") > 1 or Path(name).suffix in FILE_SUFFIXES


def load_named(name: str) -> DatasetDict:
    """`load_dataset` by name; our own corpora as conversations, others as conversations or turns."""
    configs = datasets.get_dataset_config_names(name)
    corpus = datasets.load_dataset(name, "conversations" if "conversations" in configs else configs[0])
    columns = corpus["train"].column_names if "train" in corpus else []
    if "messages" not in columns and not {"prompt", "completion"} <= set(columns):
        raise ValueError(
            f"dataset {name}: needs a split train with columns messages, or prompt and completion; found splits "
            f"{', '.join(corpus)} with columns {', '.join(columns)}"
        )
    return corpus


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
