"""Exact batches for tiny inputs, and an order that depends on the seed and the epoch alone."""

from collections import Counter

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from soulchat_trainer.encoding.collator import LengthBatchSampler, PaddingCollator, SampleDataset, assemble_sample
from soulchat_trainer.encoding.spans import ENCODED_FEATURES


def test_samples_are_spans_of_the_pool() -> None:
    sample = assemble_sample(np.arange(10, 20), [2, 4, 0, 7, 8, 0, 0, 2, 1])
    assert sample["input_ids"].tolist() == [12, 13, 17, 10, 11]
    assert sample["labels"].tolist() == [-100, -100, -100, 10, 11]


def test_dataset_indexes_samples_across_conversations() -> None:
    rows = [
        {"ids": [1, 2, 3], "samples": [[0, 2, 0, 2, 3, 1], [0, 3, 1]], "lengths": [3, 3]},
        {"ids": [], "samples": [], "lengths": []},
        {"ids": [4, 5], "samples": [[1, 2, 1]], "lengths": [1]},
    ]
    cuts = {"cut_contexts": 1, "cut_user_turns": 0, "cut_targets": 2}
    samples = SampleDataset(Dataset.from_list([row | cuts for row in rows], features=ENCODED_FEATURES))
    assert [samples[i]["labels"].tolist() for i in range(len(samples))] == [[-100, -100, 3], [1, 2, 3], [5]]
    assert samples.lengths.tolist() == [3, 3, 1]
    assert samples.cuts == {"cut_contexts": 3, "cut_user_turns": 0, "cut_targets": 6}


def test_padding_is_on_the_right() -> None:
    samples = [
        {"input_ids": np.array([7, 8, 9]), "labels": np.array([-100, 8, 9])},
        {"input_ids": np.array([5]), "labels": np.array([5])},
    ]
    batch = PaddingCollator(pad_token_id=3, pad_to_multiple_of=2)(samples)
    assert batch["input_ids"].tolist() == [[7, 8, 9, 3], [5, 3, 3, 3]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]
    assert batch["labels"].tolist() == [[-100, 8, 9, -100], [5, -100, -100, -100]]
    assert all(tensor.dtype == torch.int64 for tensor in batch.values())


@given(
    lengths=st.lists(st.integers(1, 400), min_size=1, max_size=80),
    max_tokens=st.none() | st.integers(1, 2000),
    processes=st.integers(1, 4),
    epoch=st.integers(0, 3),
)
def test_every_sample_is_seen_once_an_epoch(
    lengths: list[int], max_tokens: int | None, processes: int, epoch: int
) -> None:
    """By all processes together; with several, samples of the first batches complete the last unit."""
    samplers = [LengthBatchSampler(lengths, 4, max_tokens, 1, processes, rank) for rank in range(processes)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    shares = [list(sampler) for sampler in samplers]
    assert {len(share) for share in shares} == {len(samplers[0])}
    counts = Counter(index for share in shares for batch in share for index in batch)
    assert set(counts) == set(range(len(lengths)))
    if processes == 1:
        assert set(counts.values()) == {1}
    for batch in (batch for share in shares for batch in share):
        longest = max(lengths[index] for index in batch)
        if max_tokens is None:
            assert len(batch) <= 4
        else:
            assert len(batch) == 1 or len(batch) * longest <= max_tokens


def test_repeats_are_told_apart() -> None:
    """Five batches for two processes: the sixth place is the first batch again."""
    samplers = [LengthBatchSampler(range(1, 11), 2, num_processes=2, process_index=rank) for rank in (0, 1)]
    shares = [list(sampler.with_repeats()) for sampler in samplers]
    own = [batch for share in shares for batch, repeated in share if not repeated]
    again = [batch for share in shares for batch, repeated in share if repeated]
    assert sorted(index for batch in own for index in batch) == list(range(10))
    assert len(again) == 1
    assert again[0] in own


def test_order_is_a_function_of_seed_and_epoch() -> None:
    lengths = list(range(1, 200))

    def order(seed: int, epoch: int) -> list[list[int]]:
        sampler = LengthBatchSampler(lengths, 8, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)
    assert [sorted(batch) for batch in order(0, 0)] != [sorted(batch) for batch in order(0, 1)]


def test_processes_get_batches_of_like_length_at_the_same_time() -> None:
    lengths = np.random.default_rng(0).integers(1, 400, 1000)
    shares = [LengthBatchSampler(lengths, 10, num_processes=2, process_index=rank) for rank in (0, 1)]
    for first, second in zip(*shares, strict=True):
        assert abs(lengths[first].max() - lengths[second].max()) <= 32


def test_batches_by_length_pad_little() -> None:
    """Below a tenth, where random order pads nearly as much as it carries."""
    lengths = np.random.default_rng(0).integers(20, 400, 1000)
    padded = sum(lengths[batch].max() * len(batch) for batch in LengthBatchSampler(lengths, 10))
    assert padded / lengths.sum() < 1.1


def test_no_samples_are_an_error() -> None:
    with pytest.raises(ValueError, match="no samples"):
        LengthBatchSampler([], 4)
