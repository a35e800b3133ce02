"""Encoded conversations: one pool of token ids each, and its samples as lists of spans of that pool."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datasets import Dataset, Features, List, Value

from ..data import TrainingConversation, read_batch

Encoder = Callable[[Sequence[TrainingConversation]], list["EncodedConversation"]]

ENCODED_FEATURES = Features(
    {
        "ids": List(Value("int32")),
        "samples": List(List(Value("int32"))),
        "lengths": List(Value("int32")),
        "cut_contexts": Value("int32"),
        "cut_user_turns": Value("int32"),
        "cut_targets": Value("int32"),
    }
)
CUT_COLUMNS = ("cut_contexts", "cut_user_turns", "cut_targets")


@dataclass(slots=True)
class EncodedConversation:
    """A pool of token ids and the samples cut out of it.

    Attributes:
        ids: the pool.
        samples: for each sample its spans one after the other, flat: start, end, labelled (1: the span is a target).
        cut_contexts: samples that lost whole oldest turns.
        cut_user_turns: samples whose last message alone was too long and kept what stands around it and its end.
        cut_targets: samples whose target was cut (it still ends in the end token).
    """

    ids: list[int] = field(default_factory=list)
    samples: list[list[int]] = field(default_factory=list)
    cut_contexts: int = 0
    cut_user_turns: int = 0
    cut_targets: int = 0

    def add(self, ids: Sequence[int]) -> tuple[int, int]:
        """Append ids to the pool; returns their span."""
        start = len(self.ids)
        self.ids.extend(ids)
        return start, len(self.ids)

    def row(self) -> dict[str, Any]:
        """A row of `ENCODED_FEATURES`."""
        return {
            "ids": self.ids,
            "samples": self.samples,
            "lengths": [sample_length(sample) for sample in self.samples],
            "cut_contexts": self.cut_contexts,
            "cut_user_turns": self.cut_user_turns,
            "cut_targets": self.cut_targets,
        }


def sample_length(sample: Sequence[int]) -> int:
    """Number of tokens of a sample given as flat spans."""
    return sum(sample[1::3]) - sum(sample[0::3])


def encode_batch(batch: Mapping[str, list[Any]], encoder: Encoder) -> dict[str, list[Any]]:
    """For `Dataset.map(batched=True)`: rows of conversations or turns to rows of `ENCODED_FEATURES`."""
    rows = [encoded.row() for encoded in encoder(read_batch(batch))]
    return {name: [row[name] for row in rows] for name in ENCODED_FEATURES}


def encode_dataset(dataset: Dataset, encoder: Encoder, num_proc: int | None = None) -> Dataset:
    """Rows of conversations or turns to rows of `ENCODED_FEATURES`, cached by `datasets` like any map."""
    return map_rows(dataset, encode_batch, encoder, ENCODED_FEATURES, num_proc)


def map_rows(
    dataset: Dataset,
    encode: Callable[..., dict[str, list[Any]]],
    encoder: Encoder,
    features: Features,
    num_proc: int | None,
) -> Dataset:
    """All rows as `encode(batch, encoder=…)` makes them of batches; nothing of the old columns is kept."""
    return dataset.map(
        encode,
        batched=True,
        fn_kwargs={"encoder": encoder},
        remove_columns=dataset.column_names,
        features=features,
        num_proc=num_proc,
        desc="Tokenizing",
    )
