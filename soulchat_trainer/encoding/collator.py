"""Token ids to batches: samples put together from their conversation's pool, batches by length, right padding."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from .spans import CUT_COLUMNS

IGNORED_LABEL = -100
# Lengths that differ by less than this share batches: wide enough to mix samples, narrow enough to pad little.
LENGTH_BUCKET = 16


def assemble_sample(ids: np.ndarray, spans: Sequence[int]) -> dict[str, np.ndarray]:
    """One sample from a pool of ids and flat spans (start, end, labelled).

    Returns:
        `input_ids` [s] and `labels` [s], int64; labels are -100 outside labelled spans.
    """
    pieces, labels = [], []
    for start, end, labelled in zip(spans[0::3], spans[1::3], spans[2::3], strict=True):
        piece = ids[start:end]
        pieces.append(piece)
        labels.append(piece if labelled else np.full(end - start, IGNORED_LABEL))
    return {
        "input_ids": np.concatenate(pieces).astype(np.int64),
        "labels": np.concatenate(labels).astype(np.int64),
    }


def describe_cuts(counts: Mapping[str, int], max_source_length: int, max_target_length: int) -> str:
    """One line on how much was cut to fit, from the numbers of samples, conversations, tokens and `CUT_COLUMNS`."""
    return (
        f"{counts['samples']:,} samples of {counts['conversations']:,} conversations, {counts['tokens']:,} tokens; "
        f"{counts['cut_contexts']:,} contexts beyond {max_source_length} tokens lost their oldest turns, "
        f"{counts['cut_user_turns']:,} of them kept only the last tokens of a user turn, "
        f"{counts['cut_targets']:,} targets were cut to {max_target_length} tokens"
    )


class SampleDataset(torch.utils.data.Dataset):
    """The samples of encoded conversations (`ENCODED_FEATURES`), each put together when it is asked for.

    Attributes:
        lengths: int64 [n], tokens of each sample.
        cuts: how many contexts, last user turns and targets were cut, by the names of `CUT_COLUMNS`.
    """

    def __init__(self, conversations: Dataset):
        lengths = conversations["lengths"]
        counts = np.fromiter((len(row) for row in lengths), dtype=np.int64, count=len(conversations))
        self.conversations = conversations.select_columns(["ids", "samples"]).with_format("numpy")
        self.rows = np.repeat(np.arange(len(conversations)), counts)
        self.numbers = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        self.lengths = np.fromiter((n for row in lengths for n in row), dtype=np.int64, count=counts.sum())
        self.cuts = {name: int(sum(conversations[name])) for name in CUT_COLUMNS}

    def __len__(self) -> int:
        return len(self.rows)

    def describe_cuts(self, max_source_length: int, max_target_length: int) -> str:
        """One line on how much was cut to fit."""
        counts = {"samples": len(self), "conversations": len(self.conversations), "tokens": int(self.lengths.sum())}
        return describe_cuts(counts | self.cuts, max_source_length, max_target_length)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        row = self.conversations[int(self.rows[index])]
        return assemble_sample(row["ids"], row["samples"][self.numbers[index]].tolist())


class LengthBatchSampler:
    """Batches of samples of about equal length, in an order that is a function of the seed and the epoch alone.

    Samples are sorted by length, in random order inside a bucket of 16 tokens, and cut into micro-batches; neighbours
    form a unit of one micro-batch for each process, so that no process waits for a longer one; units are shuffled.
    Every epoch has the same number of batches, which resuming relies on. With several processes, samples of the first
    batches complete the last unit; nothing is ever left out.

    Args:
        lengths: tokens of each sample.
        batch_size: samples of a micro-batch.
        max_tokens: if given, a micro-batch holds as many samples as fit into this many padded tokens instead, and a
            sample longer than that stands alone.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        max_tokens: int | None = None,
        seed: int = 0,
        num_processes: int = 1,
        process_index: int = 0,
    ):
        if len(lengths) == 0:
            raise ValueError("the data set has no samples: no counsellor message follows another message in it")
        self.buckets = -(-np.asarray(lengths) // LENGTH_BUCKET)
        self.batch_size = batch_size
        self.max_tokens = max_tokens
        self.seed = seed
        self.epoch = 0
        self.num_processes = num_processes
        self.process_index = process_index
        self.edges = self._cut(np.sort(self.buckets) * LENGTH_BUCKET)

    def _cut(self, lengths: np.ndarray) -> list[int]:
        """Where batches begin and end among sorted lengths, rounded up to buckets: the same in every epoch."""
        if self.max_tokens is None:
            return [*range(0, len(lengths), self.batch_size), len(lengths)]
        edges = [0]
        for position, length in enumerate(lengths.tolist()):
            if position > edges[-1] and (position + 1 - edges[-1]) * length > self.max_tokens:
                edges.append(position)
        return [*edges, len(lengths)]

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-(len(self.edges) - 1) // self.num_processes)

    def __iter__(self) -> Iterator[list[int]]:
        return (batch for batch, _ in self.with_repeats())

    def with_repeats(self) -> Iterator[tuple[list[int], bool]]:
        """The batches, and True with one that completes the last unit: another process has it too."""
        random = np.random.default_rng([self.seed, self.epoch])
        order = np.lexsort((random.random(len(self.buckets)), self.buckets))
        batches = [order[start:end] for start, end in zip(self.edges, self.edges[1:], strict=False)]
        for unit in random.permutation(len(self)):
            place = unit * self.num_processes + self.process_index
            yield batches[place % len(batches)].tolist(), place >= len(batches)


class PaddingCollator:
    """Pads samples on the right to the longest of the batch.

    The model makes prefix mask and 2-D positions itself from `input_ids` and `attention_mask`, so a batch is small.

    Args:
        pad_token_id: fills `input_ids`.
        pad_to_multiple_of: rounds the length up, which tensor cores like (8 for half precision).
    """

    def __init__(self, pad_token_id: int, pad_to_multiple_of: int = 1):
        self.pad_token_id = pad_token_id
        self.pad_to_multiple_of = pad_to_multiple_of

    def __call__(self, samples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Batch samples of `input_ids` and `labels`.

        Returns:
            `input_ids`, `attention_mask` (1: a real token) and `labels` (-100: no loss), each int64 [b, s].
        """
        longest = max(len(sample["input_ids"]) for sample in samples)
        shape = (len(samples), -(-longest // self.pad_to_multiple_of) * self.pad_to_multiple_of)
        input_ids = np.full(shape, self.pad_token_id, dtype=np.int64)
        attention_mask = np.zeros(shape, dtype=np.int64)
        labels = np.full(shape, IGNORED_LABEL, dtype=np.int64)
        for row, sample in enumerate(samples):
            length = len(sample["input_ids"])
            input_ids[row, :length] = sample["input_ids"]
            attention_mask[row, :length] = 1
            labels[row, :length] = sample["labels"]
        return {
            "input_ids": torch.from_numpy(input_ids),
            "attention_mask": torch.from_numpy(attention_mask),
            "labels": torch.from_numpy(labels),
        }
