import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from soulchatcorpus.reading.rules import Regulariser
from soulchatcorpus.schema import FEATURES, TOPICS, Conversation
from soulchatcorpus.tables import conversation_table, find_openings, turn_counts, turn_table
from soulchatcorpus.turns import count_turns, split_turns
from tests.soulchatcorpus.strategies import conversations


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
            "prompt": turn.prompt,
            "completion": turn.completion,
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
    assert turn_counts(table).tolist() == [count_turns(conversation.messages) for conversation in some]
    assert find_openings(table) == [conversation.messages[0]["content"] for conversation in some]


def test_the_schemas_are_those_of_the_features():
    table = conversation_table([Conversation("1", [{"role": "user", "content": "一"}], "情绪")])
    assert table.schema.equals(FEATURES["conversations"].arrow_schema)
    assert turn_table(table).schema.equals(FEATURES["turns"].arrow_schema)
    assert table.to_pylist() == [{"id": "1", "topic": 8, "messages": [{"role": "user", "content": "一"}]}]


def test_tables_of_several_chunks():
    pair = [{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}]
    some = [Conversation(str(number), pair) for number in range(6)]
    chunks = pa.concat_tables([conversation_table(some[:2]), conversation_table(some[2:])])
    assert turn_table(chunks).to_pylist() == expected_turns(some)
