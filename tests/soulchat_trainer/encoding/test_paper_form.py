"""Every sample put together from its pieces equals tokenizing its whole prompt."""

import numpy as np
import pytest
from datasets import Dataset, concatenate_datasets, load_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

import soulchatcorpus
from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.encoding.collator import SampleDataset, assemble_sample
from soulchat_trainer.encoding.paper_form import (
    ChatGLMEncoder,
    TrainingConversation,
    encode_dataset,
    group_turns,
    make_rounds,
    read_batch,
)
from soulchatcorpus.schema import Conversation, Message
from soulchatcorpus.turns import find_targets, split_turns
from tests.paths import SHARED
from tests.soulchat_trainer.training_parts import make_rows

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
    for turn in split_turns(Conversation("", messages)):
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


@settings(max_examples=60, deadline=None)
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


def test_turn_rows_share_their_contexts(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    """The same samples as from conversations, and one pool for the turns of a conversation."""
    conversations = make_rows(20)
    turns = [
        {"conversation_id": t.conversation_id, "prompt": t.prompt, "completion": t.completion}
        for row in conversations
        for t in split_turns(Conversation(row["id"], row["messages"]))
    ]
    encoder = ChatGLMEncoder(chatglm_tokenizer, 60, 30)
    from_turns = encode_dataset(Dataset.from_list(turns), encoder)
    from_conversations = encode_dataset(conversations, encoder)
    assert len(from_turns) == 20
    assert from_turns["ids"][:] == from_conversations["ids"][:]
    assert from_turns["samples"][:] == from_conversations["samples"][:]


def test_a_turn_left_out_is_context_only() -> None:
    messages = [user("一"), counsellor("二"), user("三"), counsellor("四")]
    turns = list(split_turns(Conversation("c", messages)))
    rows = [{"conversation_id": "c", "prompt": turns[1].prompt, "completion": turns[1].completion}]
    (conversation,) = group_turns(rows)
    assert conversation == TrainingConversation(messages, [3])
    assert [round_.is_target for round_ in make_rounds(conversation)] == [False, True]


def test_rewritten_history_becomes_its_own_conversation() -> None:
    rows = [
        {"conversation_id": "c", "prompt": "用户：一\n心理咨询师：", "completion": "二"},
        {"conversation_id": "c", "prompt": "用户：一\n心理咨询师：别的\n用户：三\n心理咨询师：", "completion": "四"},
    ]
    assert [conversation.targets for conversation in group_turns(rows)] == [[3], [1]]


def test_prompts_of_another_form_are_refused() -> None:
    with pytest.raises(ValueError, match=r"用户"):
        group_turns([{"conversation_id": "c", "prompt": "问：你好\n答：", "completion": "好"}])


def test_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="messages, or prompt and completion; found text"):
        read_batch({"text": ["…"]})


def test_storage_is_at_least_two_times_less(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    """Against input_ids of whole samples alone, labels not counted, on the embedded dialogues."""
    rows = load_dataset(soulchatcorpus.__name__, "conversations", split="train[:200]")
    encoded = encode_dataset(rows, ChatGLMEncoder(chatglm_tokenizer, NO_LIMIT, NO_LIMIT))
    stored = sum(map(len, encoded["ids"])) + sum(len(s) + 1 for row in encoded["samples"] for s in row)
    assert SampleDataset(encoded).lengths.sum() >= 2 * stored


@pytest.mark.parametrize("column", ["cut_contexts", "cut_user_turns", "cut_targets"])
def test_cuts_are_counted(chatglm_tokenizer: ChatGLMTokenizer, column: str) -> None:
    samples = SampleDataset(encode_dataset(make_rows(30), ChatGLMEncoder(chatglm_tokenizer, 16, 8)))
    assert samples.cuts[column] > 0
    assert f"{samples.cuts[column]:,}" in samples.describe_cuts(16, 8)
