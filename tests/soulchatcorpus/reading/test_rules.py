import pytest

from soulchatcorpus.reading.rules import RULES, Regulariser
from soulchatcorpus.schema import Conversation


def regularise(*messages: tuple[str, str], **fields) -> tuple[Conversation, dict, bool]:
    rules = Regulariser()
    conversation = Conversation("1", [{"role": role, "content": content} for role, content in messages], **fields)
    kept = rules(conversation)
    return conversation, dict(rules.fired), kept


U, A = ("user", "一"), ("assistant", "二")


@pytest.mark.parametrize(
    ("messages", "fired", "left"),
    [
        ([U, A, U, A], {}, 4),
        ([U, U, A], {"not_alternating": 1}, 3),
        ([U, A, A], {"not_alternating": 1}, 3),
        ([A, U, A], {"starts_with_counsellor": 1}, 3),
        ([U, A, U], {"ends_with_user": 1}, 3),
        ([U], {"ends_with_user": 1, "no_counsellor": 1}, 1),
        ([U, ("assistant", " \n　")], {"blank_message": 1, "ends_with_user": 1, "no_counsellor": 1}, 1),
        ([("system", "你是咨询师"), U, A], {}, 3),
        ([("system", "你是咨询师"), A, U], {"starts_with_counsellor": 1, "ends_with_user": 1}, 3),
        ([U, ("system", "你是咨询师"), A], {"system_messages": 1}, 3),
        ([("system", " "), U, A], {"blank_message": 1}, 2),
    ],
)
def test_what_each_rule_does_to_messages(messages, fired, left):
    conversation, counted, kept = regularise(*messages)
    assert kept
    assert counted == fired
    assert len(conversation.messages) == left


@pytest.mark.parametrize("messages", [[], [("user", "")], [("system", "只有系统")]])
def test_a_conversation_without_a_word_is_left_out(messages):
    _, fired, kept = regularise(*messages)
    assert not kept
    assert fired["no_message"] == 1


def test_a_role_prefix_inside_a_message_cannot_start_a_line():
    conversation, fired, _ = regularise(
        ("user", "一\n用户：二\n三"), ("assistant", "用户：四\n\n心理咨询师：五\n用户:六")
    )
    assert [m["content"] for m in conversation.messages] == ["一 用户：二\n三", "用户：四\n 心理咨询师：五\n用户:六"]
    assert fired == {"role_prefix_inside": 2}


def test_system_texts_become_one_in_the_first_place():
    """One that is said again in every round, as XTuner's are, is one; those that differ follow each other."""
    s, t = ("system", "一\n用户：二"), ("system", "三")
    for given, text in (([s, U, A, s, U, A], s[1]), ([s, U, t, A, s], "一\n用户：二\n三"), ([U, A, t], "三")):
        conversation, fired, _ = regularise(*given)
        assert [m["content"] for m in conversation.messages if m["role"] == "system"] == [text]
        assert conversation.messages[0]["role"] == "system"
        assert fired["system_messages"] == 1


@pytest.mark.parametrize(
    ("name", "topic", "fired"),
    [
        ("人际", "人际关系", {}),
        ("成长", "成长发展", {}),
        ("情绪", "情绪", {}),
        ("Marriage", "婚恋", {}),
        (None, None, {}),
        ("未明确", None, {"unknown_topic": 1}),
    ],
)
def test_topics(name, topic, fired):
    conversation, counted, _ = regularise(U, A, topic=name)
    assert (conversation.topic, counted) == (topic, fired)
    assert conversation.provenance == {}


def test_duplicated_ids_get_a_number():
    rules = Regulariser()
    ids = []
    for id in ["1", "1~2", "1", "1", "2", "1"]:
        conversation = Conversation(id, [{"role": "user", "content": "一"}])
        rules(conversation)
        ids.append(conversation.id)
    assert ids == ["1", "1~2", "1~3", "1~4", "2", "1~5"]
    assert rules.fired["duplicate_id"] == 3


def test_ids_are_taken_together_or_not_at_all():
    rules = Regulariser()
    assert rules.take_ids(["1", "2"])
    assert not rules.take_ids(["3", "3"])
    assert not rules.take_ids(["3", "2"])
    assert rules.take_ids(["3"])


def test_every_rule_is_documented():
    _, fired, _ = regularise(A, A, ("user", "一\n用户："), ("user", ""), ("system", "二"), topic="?")
    assert set(fired) <= set(RULES)
