"""Every sample put together from its pieces equals tokenizing its whole prompt."""

import numpy as np
import pytest
from datasets import concatenate_datasets, load_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

import soulchatcorpus
from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.data import TrainingConversation, read_batch
from soulchat_trainer.encoding.collator import assemble_sample
from soulchat_trainer.encoding.paper_form import ChatGLMEncoder
from soulchat_trainer.encoding.prompts import as_said
from soulchat_trainer.encoding.typed_text import TypedText
from soulchatcorpus.schema import Conversation, Message
from soulchatcorpus.turns import find_targets, split_turns
from tests.paths import SHARED

NO_LIMIT = 1_000_000
RELEASED = SHARED / "golden/chatglm_tokenizer/ice_text.model"


def user(content: str) -> Message:
    return Message(role="user", content=content)


def counsellor(content: str) -> Message:
    return Message(role="assistant", content=content)


def samples_of(encoder: ChatGLMEncoder, messages: list[Message]) -> list[tuple[list[int], list[int]]]:
    (encoded,) = encoder([TrainingConversation(messages, find_targets(messages))])
    assembled = [assemble_sample(np.asarray(encoded.ids), spans) for spans in encoded.samples]
    return [(sample["input_ids"].tolist(), sample["labels"].tolist()) for sample in assembled]


def whole_prompts(tokenizer: ChatGLMTokenizer, messages: list[Message]) -> list[tuple[list[int], list[int]]]:
    expected = []
    for turn in split_turns(Conversation("", as_said(TypedText(tokenizer), messages))):
        prompt = tokenizer(turn.prompt)["input_ids"]
        target = [*tokenizer(turn.completion, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        sop = prompt.pop()
        expected.append(([*prompt, sop, *target], [-100] * len(prompt) + [sop, *target]))
    return expected


@pytest.fixture(scope="module", params=["trained", "released"])
def tokenizer(request: pytest.FixtureRequest, chatglm_tokenizer: ChatGLMTokenizer) -> ChatGLMTokenizer:
    """One that adds nothing and normalises nothing, and the released one, which does both."""
    if request.param == "trained":
        return chatglm_tokenizer
    if not RELEASED.is_file():
        pytest.skip("the released ice_text.model is not here")
    return ChatGLMTokenizer(str(RELEASED))


@pytest.mark.parametrize(
    "text", ["哈" * 6, "呜" * 7, "！" * 9, "。" * 20, "x" * 30, "a＜n＞b\r\n哈哈哈哈哈哈", "一\r\n二\n\n哈哈哈哈哈哈"]
)
def test_cuts_that_score_the_same_fall_as_in_the_whole_prompt(tokenizer: ChatGLMTokenizer, text: str) -> None:
    encoder = ChatGLMEncoder(tokenizer, NO_LIMIT, NO_LIMIT)
    messages = [user("我很难过，你呢"), counsellor("好，" + text), user("好，" + text), counsellor("好，" + text)]
    assert samples_of(encoder, messages) == whole_prompts(tokenizer, messages)


def test_all_sample_dialogues_equal_whole_prompts(tokenizer: ChatGLMTokenizer) -> None:
    """All 1,000 embedded dialogues, 5,607 turns."""
    corpus = load_dataset(soulchatcorpus.__name__, "conversations")
    encoder = ChatGLMEncoder(tokenizer, NO_LIMIT, NO_LIMIT)
    conversations = read_batch(concatenate_datasets(list(corpus.values()))[:])
    assert len(conversations) == 1000
    turns = 0
    for conversation, encoded in zip(conversations, encoder(conversations), strict=True):
        ids = np.asarray(encoded.ids)
        found = [assemble_sample(ids, spans) for spans in encoded.samples]
        for sample, (input_ids, labels) in zip(found, whole_prompts(tokenizer, conversation.messages), strict=True):
            assert sample["input_ids"].tolist() == input_ids
            assert sample["labels"].tolist() == labels
            turns += 1
    assert turns == 5607


@pytest.mark.parametrize(
    "messages",
    [
        [user("你好"), counsellor("你好，请说")],
        [user("第一行\n第二行\n\n"), counsellor("好\n的\n"), user("\n嗯"), counsellor("\n")],
        [user("一个\t制表符"), counsellor("\t"), user("两个  空格"), counsellor(" 边上的空格 ")],
        [user(" 前"), counsellor("后 "), user("   "), counsellor("  中  间  ")],
        [user("字面上的<n>和<|tab|>"), counsellor("<n>"), user("[gMASK]<sop>"), counsellor("<eop></s>")],
        [user("全角＜n＞"), counsellor("＜n＞，：！？"), user("n>"), counsellor("<")],
        [counsellor("欢迎"), user("我难过"), user("很难过"), counsellor("说说看"), counsellor("我在"), user("谢谢")],
        [user(""), counsellor("空的"), user("再来"), counsellor("")],
        [user("emoji 😀 和 café"), counsellor("①②③ ㎡ ﬁ")],
    ],
)
def test_made_cases_equal_whole_prompts(tokenizer: ChatGLMTokenizer, messages: list[Message]) -> None:
    assert samples_of(ChatGLMEncoder(tokenizer, NO_LIMIT, NO_LIMIT), messages) == whole_prompts(tokenizer, messages)


CONTENT = st.text(alphabet=st.sampled_from("我你说好 \n\t<n>＜，：,a1 　😀"), max_size=12)


@settings(max_examples=60)
@given(contents=st.lists(CONTENT, min_size=2, max_size=6))
def test_any_text_equals_whole_prompts(chatglm_tokenizer: ChatGLMTokenizer, contents: list[str]) -> None:
    messages = [(user, counsellor)[i % 2](content) for i, content in enumerate(contents)]
    expected = whole_prompts(chatglm_tokenizer, messages)
    assert samples_of(ChatGLMEncoder(chatglm_tokenizer, NO_LIMIT, NO_LIMIT), messages) == expected


def test_a_long_context_loses_whole_oldest_turns(tokenizer: ChatGLMTokenizer) -> None:
    """The sample equals tokenizing the prompt that begins at a later user turn."""
    messages = [user("我最近睡不着" * 3), counsellor("多久了" * 3), user("两个月"), counsellor("嗯"), user("怎么办")]
    messages.append(counsellor("试试慢慢呼吸"))
    for dropped in (2, 4):
        ((expected, labels),) = whole_prompts(tokenizer, messages[dropped:])[-1:]
        limit = len(expected) - sum(label != -100 for label in labels)
        (encoded,) = ChatGLMEncoder(tokenizer, limit, 64)([TrainingConversation(messages, [5])])
        sample = assemble_sample(np.asarray(encoded.ids), encoded.samples[0])
        assert sample["input_ids"].tolist() == expected
        assert sample["labels"].tolist() == labels
        assert (encoded.cut_contexts, encoded.cut_user_turns) == (1, 0)
        assert encoded.row()["lengths"] == [len(expected)]


def test_a_long_user_turn_keeps_its_prefix_and_its_end(tokenizer: ChatGLMTokenizer) -> None:
    messages = [user("以前"), counsellor("嗯"), user("很长的话" * 50 + "最后一句"), counsellor("好")]
    (encoded,) = ChatGLMEncoder(tokenizer, 40, 64)([TrainingConversation(messages, [3])])
    sample = assemble_sample(np.asarray(encoded.ids), encoded.samples[0])
    context = sample["input_ids"][sample["labels"] == -100]
    assert len(context) == 40
    assert (encoded.cut_contexts, encoded.cut_user_turns) == (1, 1)
    text = tokenizer.decode(context[:-1])
    assert text.startswith(tokenizer.decode(tokenizer("用户：", add_special_tokens=False)["input_ids"]))
    assert text.endswith(tokenizer.decode(tokenizer("最后一句\n心理咨询师：", add_special_tokens=False)["input_ids"]))


def test_a_long_target_is_cut_and_ends_in_eop(tokenizer: ChatGLMTokenizer) -> None:
    messages = [user("你好"), counsellor("很长的话" * 50)]
    (encoded,) = ChatGLMEncoder(tokenizer, 64, 16)([TrainingConversation(messages, [1])])
    labels = assemble_sample(np.asarray(encoded.ids), encoded.samples[0])["labels"]
    target = labels[labels != -100]
    whole = tokenizer("很长的话" * 50, add_special_tokens=False)["input_ids"]
    assert target.tolist() == [tokenizer.bos_token_id, *whole[:14], tokenizer.eos_token_id]
    assert encoded.cut_targets == 1


@pytest.mark.parametrize(("source", "target"), [(3, 64), (64, 2)])
def test_limits_that_hold_nothing_are_refused(chatglm_tokenizer: ChatGLMTokenizer, source: int, target: int) -> None:
    with pytest.raises(ValueError, match=r"max_(source|target)_length is"):
        ChatGLMEncoder(chatglm_tokenizer, source, target)


def test_glm_objective_trains_every_token(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    messages = [user("我难过"), counsellor("说说看"), user("因为工作"), counsellor("我在听")]
    samples = samples_of(ChatGLMEncoder(chatglm_tokenizer, 256, 256, True), messages)
    turns = samples_of(ChatGLMEncoder(chatglm_tokenizer, 256, 256), messages)
    assert samples[:2] == turns
    text = "用户：我难过\n心理咨询师：说说看\n用户：因为工作\n心理咨询师：我在听\n"
    ids = chatglm_tokenizer(text, add_special_tokens=False)["input_ids"]
    line = len(chatglm_tokenizer("用户：我难过\n", add_special_tokens=False)["input_ids"])
    gmask, sop, eop = chatglm_tokenizer.gmask_token_id, chatglm_tokenizer.bos_token_id, chatglm_tokenizer.eos_token_id
    expected = [[gmask, sop, *ids, eop], [*ids[:line], gmask, sop, *ids[line:], eop]]
    assert sorted(sample for sample, _ in samples[2:]) == sorted(expected)
    for input_ids, labels in samples[2:]:
        start = input_ids.index(sop)
        assert labels == [-100] * start + input_ids[start:]


def test_glm_windows_cover_long_conversations(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    messages = [(user, counsellor)[i % 2](f"第{i}句话说得比较长一点") for i in range(12)]
    samples = samples_of(ChatGLMEncoder(chatglm_tokenizer, 40, 40, True), messages)[6:]
    assert all(len(input_ids) <= 80 for input_ids, _ in samples)
    sop, eop = chatglm_tokenizer.bos_token_id, chatglm_tokenizer.eos_token_id
    texts = [chatglm_tokenizer.decode([i for i in ids if i not in (sop, eop)]) for ids, _ in samples]
    for message in messages:
        assert any(message["content"] in text for text in texts), message


def test_a_reply_that_is_no_target_is_context_only(tokenizer: ChatGLMTokenizer) -> None:
    messages = [user("一"), counsellor("二"), user("三"), counsellor("四")]
    (encoded,) = ChatGLMEncoder(tokenizer, NO_LIMIT, NO_LIMIT)([TrainingConversation(messages, [3])])
    [spans] = encoded.samples
    sample = assemble_sample(np.asarray(encoded.ids), spans)
    assert (sample["input_ids"].tolist(), sample["labels"].tolist()) == whole_prompts(tokenizer, messages)[1]


@pytest.mark.parametrize("system", ["请倾听", "哈哈哈哈哈哈\n\n请＜n＞倾听\n", ""])
def test_a_system_text_stands_before_the_talk(tokenizer: ChatGLMTokenizer, system: str) -> None:
    messages = [
        Message(role="system", content=system),
        user("我难过"),
        counsellor("说说看"),
        user("嗯"),
        counsellor("好"),
    ]
    samples = samples_of(ChatGLMEncoder(tokenizer, NO_LIMIT, NO_LIMIT, glm_objective=True), messages)
    for turn, (input_ids, labels) in zip(split_turns(Conversation("", messages)), samples, strict=False):
        prompt = tokenizer(tokenizer.spell_out(system) + "\n" + turn.prompt)["input_ids"]
        assert input_ids[: len(prompt)] == prompt
        assert labels.index(tokenizer.bos_token_id) == len(prompt) - 1
    talk = tokenizer(tokenizer.spell_out(system) + "\n用户：我难过\n", add_special_tokens=False)["input_ids"]
    assert any(input_ids[: len(talk) + 1] == [*talk, tokenizer.gmask_token_id] for input_ids, _ in samples[2:])


def test_a_system_text_that_leaves_no_room_is_told(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    messages = [Message(role="system", content="请倾听" * 50), user("你好"), counsellor("好")]
    with pytest.raises(ValueError, match="tokens without the last message; allowed: fewer than 65"):
        ChatGLMEncoder(chatglm_tokenizer, 64, 64)([TrainingConversation(messages, [2])])
