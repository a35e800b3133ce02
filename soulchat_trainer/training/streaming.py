"""Batches of a stream of conversations or turns: too large to tokenize first, or still being written."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from datasets import IterableDataset

from ..data import read_batch
from ..encoding.collator import LengthBatchSampler, PaddingCollator, assemble_sample, describe_cuts
from ..encoding.spans import CUT_COLUMNS, EncodedConversation, Encoder

ROWS_AT_A_TIME = 1000


class StreamedBatches(torch.utils.data.IterableDataset):
    """Endless batches of a stream: 1,000 rows at a time are tokenized and batched by length.

    Every process reads the whole stream and takes its own micro-batch of each unit, so all of them see equally many.
    At its end the stream starts again, as the next epoch; the order is a function of seed, epoch and place.

    Args:
        rows: conversations or turns.
        encoder: as for `encode_dataset`.
        collator: batches the samples.
        batch_size, max_tokens, seed, num_processes, process_index: as for `LengthBatchSampler`.

    Attributes:
        counts: samples, conversations and tokens that were read so far, and what was cut, by the names of
            `CUT_COLUMNS`; a row that is read again counts again.
    """

    def __init__(
        self,
        rows: IterableDataset,
        encoder: Encoder,
        collator: PaddingCollator,
        batch_size: int,
        max_tokens: int | None = None,
        seed: int = 0,
        num_processes: int = 1,
        process_index: int = 0,
    ):
        self.rows = rows
        self.encoder = encoder
        self.collator = collator
        self.batch_size = batch_size
        self.max_tokens = max_tokens
        self.seed = seed
        self.num_processes = num_processes
        self.process_index = process_index
        self.counts: Counter[str] = Counter()

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        place = 0
        while True:
            empty = True
            for rows in self.rows.iter(batch_size=ROWS_AT_A_TIME):
                for batch in self._batches(rows, place):
                    empty = False
                    yield batch
                place += 1
            if empty:
                raise ValueError("the streamed training set has no samples: no counsellor message follows another one")

    def _batches(self, rows: dict[str, list[Any]], place: int) -> Iterator[dict[str, torch.Tensor]]:
        encoded = self.encoder(read_batch(rows))
        samples = [assemble_sample(np.asarray(c.ids), spans) for c in encoded for spans in c.samples]
        self._count(encoded, samples)
        if not samples:
            return
        sampler = LengthBatchSampler(
            [len(sample["input_ids"]) for sample in samples],
            self.batch_size,
            self.max_tokens,
            seed=self.seed,
            num_processes=self.num_processes,
            process_index=self.process_index,
        )
        sampler.set_epoch(place)
        for batch in sampler:
            yield self.collator([samples[index] for index in batch])

    def _count(self, encoded: Sequence[EncodedConversation], samples: Sequence[dict[str, np.ndarray]]) -> None:
        self.counts["conversations"] += len(encoded)
        self.counts["samples"] += len(samples)
        self.counts["tokens"] += sum(len(sample["input_ids"]) for sample in samples)
        for column in CUT_COLUMNS:
            self.counts[column] += sum(getattr(conversation, column) for conversation in encoded)

    def describe_cuts(self, max_source_length: int, max_target_length: int) -> str:
        """One line on how much of what was read so far was cut to fit."""
        return describe_cuts(self.counts, max_source_length, max_target_length)
