import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchatcorpus.clients import CLIENT_FIELDS
from soulchatcorpus.features import FEATURES
from soulchatcorpus.reading.rules import Regulariser
from soulchatcorpus.schema import TOPICS, Conversation
from soulchatcorpus.tables import (
    Messages,
    conversation_table,
    find_turns,
    num_turns,
    openings_and_turns,
    turn_table,
)
from soulchatcorpus.turns import count_turns, find_opening, find_targets, split_turns
from tests.soulchatcorpus.strategies import conversations, roles


def regular(given_conversations: list[Conversation]) -> list[Conversation]:
    regularise = Regulariser()
    return [conversation for conversation in given_conversations if regularise(conversation)]


def expected_turns(some: list[Conversation]) -> list[dict]:
    return [
        {
            "id": turn.id,
            "conversation_id": turn.conversation_id,
            "turn": turn.turn,
            "topic": None if turn.topic is None else list(TOPICS).index(turn.topic),
            "system": turn.system,
            "prompt": turn.prompt,
            "completion": turn.completion,
            "client": turn.client and dict.fromkeys(CLIENT_FIELDS) | turn.client,
            "counsellor": turn.counsellor,
        }
        for conversation in some
        for turn in split_turns(conversation)
    ]


@given(st.lists(conversations(), max_size=6), st.integers(0, 3))
def test_turns_in_bulk_are_those_of_split_turns(some, start):
    some = regular(some)
    table = conversation_table(some)
    assert turn_table(table).to_pylist() == expected_turns(some)
    assert turn_table(table.slice(start)).to_pylist() == expected_turns(some[start:])
    openings, turns = openings_and_turns(table)
    assert openings == [find_opening(conversation.messages) for conversation in some]
    assert turns.tolist() == [count_turns(conversation.messages) for conversation in some]
    assert num_turns(table) == turns.sum()


@given(st.lists(st.builds(list.__add__, st.sampled_from([[], ["system"]]), st.lists(roles, max_size=7)), max_size=7))
def test_the_rule_for_columns_is_that_of_find_targets(some):
    """Conversations without a word and system texts alone, too."""
    table = conversation_table(
        [Conversation(str(n), [{"role": role, "content": "一"} for role in found]) for n, found in enumerate(some)]
    )
    messages = Messages.of(table.column("messages").combine_chunks())
    positions, conversation = find_turns(messages)
    found = [[] for _ in some]
    for position, number in zip(positions, conversation, strict=True):
        found[number].append(position - messages.offsets[number])
    assert found == [find_targets([{"role": role, "content": "一"} for role in given]) for given in some]
    assert messages.has_system.tolist() == [given[:1] == ["system"] for given in some]


@pytest.mark.parametrize(
    ("given", "role"), [(["user", "system"], "system"), (["tool"], "tool"), (["system", "system", "user"], "system")]
)
def test_another_role_is_refused(given, role):
    conversation = Conversation("1", [{"role": role, "content": "一"} for role in given])
    with pytest.raises(ValueError, match=f"a message has role '{role}'; allowed: user, assistant, and system in the"):
        turn_table(conversation_table([conversation]))


def test_the_schemas_are_those_of_the_features():
    table = conversation_table([Conversation("1", [{"role": "user", "content": "一"}], "情绪")])
    assert table.schema.equals(FEATURES["conversations"].arrow_schema)
    assert turn_table(table).schema.equals(FEATURES["turns"].arrow_schema)
    row = {"id": "1", "topic": 8, "messages": [{"role": "user", "content": "一"}], "client": None, "counsellor": None}
    assert table.to_pylist() == [row]


def test_tables_of_several_chunks():
    pair = [{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}]
    some = [Conversation(str(number), pair) for number in range(6)]
    chunks = pa.concat_tables([conversation_table(some[:2]), conversation_table(some[2:])])
    assert turn_table(chunks).to_pylist() == expected_turns(some)
