"""Batches of a stream: every sample once an epoch, shared out among processes, and counted."""

import itertools
import math
from collections import Counter

import pytest
import torch
from datasets import Dataset

from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.encoding.collator import PaddingCollator, SampleDataset
from soulchat_trainer.encoding.paper_form import ChatGLMEncoder
from soulchat_trainer.encoding.spans import encode_dataset
from soulchat_trainer.training.streaming import StreamedBatches
from tests.soulchat_trainer.training_parts import make_rows


def make_stream(rows: Dataset, tokenizer: ChatGLMTokenizer, **places: int) -> StreamedBatches:
    encoder, collator = ChatGLMEncoder(tokenizer, 24, 12), PaddingCollator(tokenizer.pad_token_id)
    return StreamedBatches(rows.to_iterable_dataset(), encoder, collator, batch_size=4, **places)


def samples_of(batches: list[dict[str, torch.Tensor]]) -> Counter:
    rows = (zip(b["input_ids"], b["attention_mask"], strict=True) for b in batches)
    return Counter(tuple(ids[mask.bool()].tolist()) for ids, mask in itertools.chain.from_iterable(rows))


def expected(rows: Dataset, tokenizer: ChatGLMTokenizer) -> Counter:
    samples = SampleDataset(encode_dataset(rows, ChatGLMEncoder(tokenizer, 24, 12)))
    return Counter(tuple(samples[i]["input_ids"].tolist()) for i in range(len(samples)))


def test_an_epoch_has_every_sample_once_and_the_next_one_another_order(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    rows = make_rows(20)
    once = expected(rows, chatglm_tokenizer)
    number = math.ceil(once.total() / 4)
    batches = list(itertools.islice(make_stream(rows, chatglm_tokenizer), 2 * number))
    first, second = batches[:number], batches[number:]
    assert samples_of(first) == samples_of(second) == once
    assert [b["input_ids"].tolist() for b in first] != [b["input_ids"].tolist() for b in second]


def test_processes_share_an_epoch(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    """An odd number of batches: one of them comes twice, so that no process waits for another."""
    rows = make_rows(20)
    once = expected(rows, chatglm_tokenizer)
    units = math.ceil(math.ceil(once.total() / 4) / 2)
    shares = [
        list(itertools.islice(make_stream(rows, chatglm_tokenizer, num_processes=2, process_index=rank), units))
        for rank in (0, 1)
    ]
    seen = samples_of([*shares[0], *shares[1]])
    assert set(seen) == set(once)
    assert 0 <= seen.total() - once.total() <= 4


def test_what_was_read_and_cut_is_counted(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    rows = make_rows(20)
    stream = make_stream(rows, chatglm_tokenizer)
    samples = SampleDataset(encode_dataset(rows, ChatGLMEncoder(chatglm_tokenizer, 24, 12)))
    next(iter(stream))
    assert stream.counts == {
        "conversations": 20,
        "samples": len(samples),
        "tokens": samples.lengths.sum(),
        **samples.cuts,
    }
    assert stream.counts["cut_contexts"] > 0
    assert stream.describe_cuts(24, 12) == samples.describe_cuts(24, 12)


def test_a_stream_without_samples_is_an_error_not_an_endless_loop(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    rows = Dataset.from_list([{"id": "1", "messages": [{"role": "user", "content": "有人吗？"}]}])
    with pytest.raises(ValueError, match="the streamed training set has no samples"):
        next(iter(make_stream(rows, chatglm_tokenizer)))
