"""Replies as text: punctuation restored, and streamed pieces that never change."""

import itertools

import pytest
from transformers import PreTrainedTokenizerFast

from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.generation.decode import ReplyDecoder, find_stop, may_begin_stop
from soulchatcorpus.thoughts import BEGIN, END, Said
from tests.soulchat_trainer.training_parts import CHATML_TOKENS, make_causal_tokenizer


class NormalisingTokenizer:
    """Like ChatGLM-6B's own: full-width punctuation comes back in half width. A token is a character."""

    all_special_tokens: tuple[str, ...] = ()

    def __call__(self, text: str, **kwargs: object) -> "NormalisingTokenizer":
        self.input_ids = [ord(c) for c in text]
        return self

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        return "".join(map(chr, ids)).translate(str.maketrans("，！？：；", ",!?:;"))


def stream(decoder: ReplyDecoder, ids: list[int]) -> list[str]:
    """The text at every token, then the final one."""
    steps = [(ids[:n], False) for n in range(1, len(ids) + 1)] + [(ids, True)]
    return [decoder.decode(some, final).reply or "" for some, final in steps]


@pytest.mark.parametrize("text", ["你好，世界！", "我,你", "3,000 元，是吗？ ", " 难过。\n\n慢慢来："])
def test_streamed_text_only_grows(text: str) -> None:
    decoder = ReplyDecoder(NormalisingTokenizer())
    texts = stream(decoder, [ord(c) for c in text])
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))


def test_punctuation_is_restored_only_where_the_tokenizer_normalises(
    causal_tokenizer: PreTrainedTokenizerFast, chatglm_tokenizer: ChatGLMTokenizer
) -> None:
    ids = [ord(c) for c in "你好，世界！"]
    assert ReplyDecoder(NormalisingTokenizer()).decode(ids, final=True).reply == "你好，世界！"
    assert not ReplyDecoder(causal_tokenizer).normalises
    assert not ReplyDecoder(chatglm_tokenizer).normalises
    ids = causal_tokenizer("你好,世界").input_ids
    assert ReplyDecoder(causal_tokenizer).decode(ids, final=True).reply == "你好,世界"


def test_a_character_cut_in_its_bytes_is_held_back(causal_tokenizer: PreTrainedTokenizerFast) -> None:
    decoder = ReplyDecoder(causal_tokenizer)
    ids = causal_tokenizer("你龘好").input_ids  # 龘 is in no word, so it is bytes
    texts = stream(decoder, ids)
    assert texts[-1] == "你龘好"
    assert not any("\ufffd" in text for text in texts)
    assert "你" in texts


def decode(tokenizer: PreTrainedTokenizerFast, text: str, opened: bool = False) -> Said:
    ids = tokenizer(text, add_special_tokens=False).input_ids
    return ReplyDecoder(tokenizer).decode(ids, final=True, opened=opened)


@pytest.mark.parametrize("marks_are_control_tokens", [False, True])
def test_thoughts_are_told_apart(marks_are_control_tokens: bool) -> None:
    """Whether the tokenizer hides the marks or not."""
    tokens, marks = ((*CHATML_TOKENS, BEGIN, END), ()) if marks_are_control_tokens else (CHATML_TOKENS, (BEGIN, END))
    tokenizer = make_causal_tokenizer(control_tokens=tokens, marks=marks)
    assert decode(tokenizer, "<think>\n想。\n</think>\n\n我在听<|im_end|>") == Said("想。", "我在听")
    assert decode(tokenizer, "想。\n</think>\n\n我在听", opened=True) == Said("想。", "我在听")
    assert decode(tokenizer, "<think>\n一直想") == Said("一直想", None)
    assert decode(tokenizer, "一直想", opened=True) == Said("一直想", None)
    assert decode(tokenizer, "我在听") == Said("", "我在听")
    decoder = ReplyDecoder(tokenizer)
    asked = tokenizer("<|im_start|>assistant\n<think>\n", add_special_tokens=False).input_ids
    assert decoder.opens_thought(asked)
    assert not decoder.opens_thought(tokenizer("<think>\n\n</think>\n\n", add_special_tokens=False).input_ids)


def test_channels_are_thoughts_and_reply() -> None:
    """gpt-oss writes both into channels."""
    tokens = ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|return|>")
    tokenizer = make_causal_tokenizer(control_tokens=tokens, eos="<|return|>")
    thoughts = "<|channel|>analysis<|message|>想。<|end|>"
    reply = "<|start|>assistant<|channel|>final<|message|>我在听<|return|>"
    assert decode(tokenizer, thoughts + reply) == Said("想。", "我在听")
    assert decode(tokenizer, thoughts) == Said("想。", None)
    assert decode(tokenizer, "我在听<|return|>") == Said("", "我在听")


def test_command_r7b_has_marks_of_its_own() -> None:
    tokens = ("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|END|>")
    tokenizer = make_causal_tokenizer(control_tokens=tokens, eos="<|END|>")
    thoughts = "<|START_THINKING|>想。<|END_THINKING|>"
    assert decode(tokenizer, thoughts + "<|START_RESPONSE|>我在听<|END_RESPONSE|><|END|>") == Said("想。", "我在听")
    assert decode(tokenizer, "<|START_THINKING|>一直想") == Said("一直想", None)
    ids = tokenizer(thoughts + "<|START_RESPONSE|>我在听", add_special_tokens=False).input_ids
    assert all("我在听".startswith(text) for text in stream(ReplyDecoder(tokenizer), ids))


def test_a_streamed_reply_never_shows_a_thought() -> None:
    tokenizer = make_causal_tokenizer()  # of which the marks are several tokens
    ids = tokenizer("<think>\n想。\n</think>\n\n我在听", add_special_tokens=False).input_ids
    texts = stream(ReplyDecoder(tokenizer), ids)
    assert texts[-1] == "我在听"
    assert all(texts[-1].startswith(text) for text in texts)


def test_a_reply_cut_inside_a_character_ends_before_it(causal_tokenizer: PreTrainedTokenizerFast) -> None:
    decoder = ReplyDecoder(causal_tokenizer)
    ids = causal_tokenizer("我龘").input_ids
    assert [decoder.decode(ids[:end], final=True).reply for end in (len(ids) - 2, len(ids) - 1)] == ["我", "我"]
    assert decoder.decode(ids, final=True).reply == "我龘"
    assert decoder.decode(causal_tokenizer("我 龘").input_ids[:-1], final=True).reply == "我"
    twice = [*causal_tokenizer("我龘").input_ids[:-1], *causal_tokenizer("\n龘").input_ids[:-1]]
    assert decoder.decode(twice, final=True).reply == "我"
    thought = decoder.decode(causal_tokenizer("<think>我龘").input_ids[:-1], final=True)
    assert (thought.thoughts, thought.reply) == ("我", None)


@pytest.mark.parametrize(
    ("text", "stop", "place", "begun"),
    [
        ("你好吗", ["吗"], 2, 0),
        ("你好吗", ["好吗", "你好"], 0, 0),
        ("你好吗", [], None, 0),
        ("你好\n\n", ["\n\nHuman"], None, 2),
        ("ababa", ["abac"], None, 3),
    ],
)
def test_where_a_stop_string_stands_or_may_begin(text: str, stop: list[str], place: int | None, begun: int) -> None:
    assert (find_stop(text, stop), may_begin_stop(text, stop)) == (place, begun)
