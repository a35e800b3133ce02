"""Keys and values kept between turns: the same reply, with less to read; ChatGLM keeps nothing."""

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.chatglm.cache_name import CACHE
from soulchat_trainer.generation.engine import Decoding, ReplyEngine
from soulchat_trainer.generation.prefix_store import PrefixStore, shared_length
from tests.soulchat_trainer import training_parts

DECODING = Decoding(max_new_tokens=12)
WORDS = ["我最近总觉得自己很焦虑，身心俱疲。" * 3, "工作压力很大。", "谢谢你听我说。"]


def states(length: int) -> list:
    numbers = torch.arange(float(length)).reshape(1, 1, length, 1)
    return [(numbers, -numbers)]


def test_longest_beginning_is_found_but_never_the_whole_prompt():
    store = PrefixStore(100)
    store.keep([1, 2, 3], states(3))
    store.keep([1, 2, 9, 9], states(4))
    keys = store.find([1, 2, 3, 4]).layers[0].keys
    assert keys.flatten().tolist() == [0, 1, 2]
    assert store.find([1, 2, 3]).get_seq_length() == 2
    assert store.find([1, 2, 3, 4, 5, 6, 7]) is None
    assert store.find([8]) is None


def test_a_talk_that_goes_on_takes_the_place_of_its_beginning_and_old_talks_go():
    store = PrefixStore(8)
    store.keep([1, 2], states(2))
    store.keep([1, 2, 3, 4], states(4))
    assert store.num_tokens == 4
    store.keep([5, 6, 7], states(3))
    store.find([1, 2, 3, 4, 5])
    store.keep([8, 9], states(2))
    assert store.num_tokens == 6
    assert store.find([5, 6, 7, 8]) is None
    assert store.find([1, 2, 3, 4, 5]).get_seq_length() == 4


@pytest.mark.parametrize(("first", "second", "length"), [([], [1], 0), ([1, 2], [1, 2, 3], 2), ([1, 2], [1, 3], 1)])
def test_shared_length(first, second, length):
    assert shared_length(first, second) == length


def converse(engine: ReplyEngine, read: list[int]) -> list[str]:
    """Three turns; `read` gets the number of tokens of every pass over a prompt for the cache."""
    forward = engine.model.forward

    def counted(*args, **inputs):
        if inputs.get(CACHE) is not None and inputs["input_ids"].shape[-1] > 1:
            read.append(inputs["input_ids"].shape[-1])
        return forward(*args, **inputs)

    engine.model.forward = counted
    messages, replies = [], []
    for words in WORDS:
        messages = [*messages, {"role": "user", "content": words}]
        request = engine.submit(messages, DECODING, key=str(len(messages)))
        while engine.busy:
            engine.step()
        replies.append(request.text)
        messages = [*messages, {"role": "assistant", "content": request.text}]
    engine.model.forward = forward
    return replies


def test_causal_model_reads_each_turn_once_and_replies_the_same(causal_tokenizer: PreTrainedTokenizerFast):
    model = training_parts.make_causal_model(causal_tokenizer)
    anew, kept = [], []
    replies = converse(ReplyEngine(model, causal_tokenizer), anew)
    assert converse(ReplyEngine(model, causal_tokenizer, kept_tokens=1_000), kept) == replies
    assert kept[0] == anew[0]
    assert [short < long / 2 for short, long in zip(kept, anew, strict=True)] == [False, True, True]


def test_talks_share_a_batch_while_their_states_are_kept(causal_tokenizer: PreTrainedTokenizerFast):
    model = training_parts.make_causal_model(causal_tokenizer)
    texts = []
    for kept_tokens in (0, 1_000):
        engine = ReplyEngine(model, causal_tokenizer, max_batch_size=3, kept_tokens=kept_tokens)
        talks = [[{"role": "user", "content": words}] for words in WORDS]
        for _ in range(2):
            requests = [engine.submit(talk, DECODING, key=str(n)) for n, talk in enumerate(talks)]
            while engine.busy:
                engine.step()
            texts.append([request.text for request in requests])
            for talk, request in zip(talks, requests, strict=True):
                talk += [{"role": "assistant", "content": request.text}, {"role": "user", "content": "还有呢？"}]
    assert texts[:2] == texts[2:]


def test_chatglm_keeps_nothing(chatglm_tokenizer: ChatGLMTokenizer):
    model = training_parts.make_chatglm(chatglm_tokenizer)
    assert ReplyEngine(model, chatglm_tokenizer, kept_tokens=1_000).store is None
