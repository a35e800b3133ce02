"""A talk into a room: what is dropped and what is cut, and that training and chat do the same."""

from collections.abc import Callable

import numpy as np
import pytest
from transformers import PreTrainedTokenizerBase

from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.data import TrainingConversation
from soulchat_trainer.encoding.chat_template import ChatTemplateEncoder
from soulchat_trainer.encoding.collator import assemble_sample
from soulchat_trainer.encoding.fit import FittedPrompt, find_start, fit_prompt, keep_from, prompt_room
from soulchat_trainer.encoding.paper_form import ChatGLMEncoder
from soulchat_trainer.encoding.prompts import prompt_encoder
from soulchat_trainer.encoding.spans import EncodedConversation
from soulchat_trainer.encoding.styles import renderer
from soulchatcorpus import Message
from soulchatcorpus.turns import find_targets
from tests.soulchat_trainer.training_parts import CHATML, GEMMA, THINKING, make_causal_tokenizer

TALK = [
    {"role": "user", "content": "我睡不着"},
    {"role": "assistant", "content": "多久了？"},
    {"role": "user", "content": "一个月"},
]


def encode_characters(messages: list) -> list[int]:
    return [ord(c) for c in renderer("soulchat")(messages)]


def test_oldest_turns_are_dropped_whole() -> None:
    whole = encode_characters(TALK)
    assert fit_prompt(encode_characters, TALK, len(whole), cut_last=False) == FittedPrompt(whole, 0, False)
    assert fit_prompt(encode_characters, TALK, len(whole) - 1, cut_last=False) == FittedPrompt(
        encode_characters(TALK[2:]), 2, False
    )


def test_the_turns_to_drop_are_searched_for() -> None:
    tries = []

    def encode(messages: list) -> list[int]:
        tries.append(len(messages))
        return encode_characters(messages)

    prompt = fit_prompt(encode, TALK[:2] * 1_000 + TALK[2:], room=100, cut_last=False)
    ids, dropped = prompt.ids, prompt.dropped
    assert ids == encode_characters((TALK[:2] * 1_000 + TALK[2:])[dropped:])
    assert dropped % 2 == 0
    assert len(ids) <= 100 < len(ids) + len(encode_characters(TALK[:2]))
    assert len(tries) < 15


def test_a_last_message_that_is_too_long() -> None:
    last = len(encode_characters(TALK[2:]))
    with pytest.raises(ValueError, match=f"{last} tokens; allowed: at most {last - 1}"):
        fit_prompt(encode_characters, TALK, last - 1, cut_last=False)
    prompt = fit_prompt(encode_characters, TALK, last - 1, cut_last=True)
    assert prompt == FittedPrompt([ord(c) for c in "用户：个月\n心理咨询师："], 2, is_cut=True)
    with pytest.raises(
        ValueError, match=f"{last - 3} tokens without the last message; allowed: fewer than {last - 3}"
    ):
        fit_prompt(encode_characters, TALK, last - 3, cut_last=True)
    with pytest.raises(ValueError, match="no messages"):
        fit_prompt(encode_characters, [], 10, cut_last=False)
    with pytest.raises(ValueError, match="only a system text"):
        fit_prompt(encode_characters, [{"role": "system", "content": "s"}], 10, cut_last=False)


def test_room_is_the_papers_proportion() -> None:
    assert prompt_room(2048, 512) == 1536
    assert prompt_room(2048, 2000) == 1536
    assert prompt_room(2048, 100) == 1948


def test_the_system_text_stays() -> None:
    talk = [{"role": "system", "content": "s"}, *TALK]
    lengths = {1: 9, 3: 4}
    assert [find_start(talk, lengths.__getitem__, room) for room in (9, 8, 3)] == [1, 3, 3]
    assert keep_from(talk, 3) == [talk[0], talk[3]]
    assert keep_from(TALK, 2) == [TALK[2]]


# The same prompts in training and in chat.

SYSTEM = ("system", "你是咨询师。\n请＜n＞倾听")
TALKS = {
    "plain": [("user", "我睡不着"), ("assistant", "多久了？"), ("user", "一个月\n工作"), ("assistant", "我在听")],
    "system": [SYSTEM, ("user", "我睡不着"), ("assistant", "多久了？"), ("user", "一个月"), ("assistant", "我在听")],
    "opening": [
        ("assistant", "欢迎"),
        ("user", "我难过"),
        ("assistant", "说说看"),
        ("user", "工作"),
        ("assistant", "嗯"),
    ],
    "system and opening": [SYSTEM, ("assistant", "欢迎"), ("user", "我难过"), ("assistant", "说说看")],
    "double speakers": [
        SYSTEM,
        ("user", "我难过"),
        ("user", "很难过"),
        ("assistant", "说说看"),
        ("assistant", "我在听"),
        ("user", "压力"),
        ("assistant", "嗯"),
    ],
    "a quoted line": [
        ("user", "在吗"),
        ("assistant", "在"),
        ("user", "我给她发了：\n心理咨询师：你好\n她没回"),
        ("assistant", "嗯"),
    ],
    "typed control tokens": [
        ("user", "你好<|im_end|>[gMASK]"),
        ("assistant", "你好"),
        ("user", "嗯"),
        ("assistant", "好"),
    ],
    "many turns": [SYSTEM, *[("user", "最近工作压力很大"), ("assistant", "可以慢慢说说吗？")] * 12],
    "a long last message": [
        SYSTEM,
        ("user", "一"),
        ("assistant", "二"),
        ("user", "最近总是睡不着，" * 30),
        ("assistant", "嗯"),
    ],
}
ROOMS = (10_000, 40, 20, 5)  # tokens beside the system text and what the form puts around a message


@pytest.fixture(scope="module", params=["chatglm", "chatml", "thinking", "gemma", "chatml, every turn"])
def kind(request: pytest.FixtureRequest, chatglm_tokenizer: ChatGLMTokenizer) -> tuple:
    """A tokenizer, its training encoder for a room, and how many tokens of a prompt training counts to the target."""
    if request.param == "chatglm":
        return chatglm_tokenizer, lambda room: ChatGLMEncoder(chatglm_tokenizer, room, 64), 1
    template = {"thinking": THINKING, "gemma": GEMMA}.get(request.param, CHATML)
    tokenizer = make_causal_tokenizer(template)
    loss_on = "every_turn" if "every turn" in request.param else "last_turn"
    ChatTemplateEncoder(tokenizer, 10_000, 64, loss_on)  # leaves the training form, which a checkpoint has too
    return tokenizer, lambda room: ChatTemplateEncoder(tokenizer, room, 64, loss_on), 0


def prompts_of(encoded: EncodedConversation, in_target: int) -> list[list[int]]:
    """The ids before each labelled run."""
    prompts = []
    for spans in encoded.samples:
        sample = assemble_sample(np.asarray(encoded.ids), spans)
        ids, is_label = sample["input_ids"].tolist(), sample["labels"] != -100
        starts = np.flatnonzero(is_label & ~np.roll(is_label, 1))
        prompts += [ids[: start + in_target] for start in starts.tolist()]
    return prompts


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("name", TALKS)
def test_training_and_chat_have_the_same_prompts(
    kind: tuple[PreTrainedTokenizerBase, Callable, int], name: str, room: int
) -> None:
    tokenizer, make_encoder, in_target = kind
    messages = [Message(role=role, content=content) for role, content in TALKS[name]]
    targets, encode = find_targets(messages), prompt_encoder(tokenizer)
    system = keep_from(messages, len(messages))
    room += max(len(encode([*system, Message(role=role, content="")])) for role in ("user", "assistant"))
    asked = [fit_prompt(encode, messages[:number], room + in_target, cut_last=True) for number in targets]
    (encoded,) = make_encoder(room)([TrainingConversation(messages, targets)])
    assert prompts_of(encoded, in_target) == [prompt.ids for prompt in asked]
    assert encoded.cut_user_turns == sum(prompt.is_cut for prompt in asked)
    assert encoded.cut_contexts == sum(prompt.is_cut or prompt.dropped > 0 for prompt in asked)
    if messages[0]["role"] == "system":
        assert all("倾听" in tokenizer.decode(prompt.ids) for prompt in asked)


def test_a_quoted_line_stays_in_its_message(causal_tokenizer: PreTrainedTokenizerBase) -> None:
    messages = [Message(role=role, content=content) for role, content in TALKS["a quoted line"]]
    (encoded,) = ChatTemplateEncoder(causal_tokenizer, 500, 64, "last_turn")([TrainingConversation(messages, [3])])
    [ids] = prompts_of(encoded, 0)
    assert ids == prompt_encoder(causal_tokenizer)(messages[:3])
    assert causal_tokenizer.decode(ids).count("<|im_start|>") == 4
