import pickle

import pytest
from datasets import Dataset, DatasetDict, load_dataset
from hypothesis import given
from hypothesis import strategies as st

from soulchatcorpus.reading.rules import Regulariser
from soulchatcorpus.tables import conversation_table, turn_table
from soulchatcorpus.turn_view import TurnView
from tests.soulchatcorpus.strategies import conversations


@pytest.fixture(scope="module")
def stored():
    return {name: load_dataset("./soulchatcorpus", name, split="validation") for name in ("turns", "conversations")}


def test_the_rows_are_those_of_the_turns_config(stored):
    view, turns = TurnView(stored["conversations"]), stored["turns"]
    assert len(view) == len(turns) == 280
    assert [view[index] for index in range(len(view))] == turns.to_list() == list(view)
    assert view[-1] == turns[-1]
    assert view.__getitems__([5, 0, -2]) == [turns[5], turns[0], turns[-2]]
    assert view.features == turns.features


@given(st.lists(conversations(), max_size=6))
def test_any_conversations(some):
    regularise = Regulariser()
    table = conversation_table([conversation for conversation in some if regularise(conversation)])
    assert list(TurnView(Dataset(table))) == turn_table(table).to_pylist()


def test_selected_and_shuffled_conversations(stored):
    some = stored["conversations"].shuffle(seed=1).select(range(7))
    ids = dict.fromkeys(row["conversation_id"] for row in TurnView(some))
    assert list(ids) == some["id"][:]


def test_an_index_out_of_range_and_an_index_that_is_none(stored):
    view = TurnView(stored["conversations"])
    for index in (280, -281):
        with pytest.raises(IndexError, match=f"turn {index} of 280"):
            view[index]
    with pytest.raises(TypeError):
        view["prompt"]


def test_the_order_of_a_message_s_fields_does_not_matter(stored):
    rows = [
        row | {"messages": [dict(reversed(m.items())) for m in row["messages"]]}
        for row in stored["conversations"].select(range(3))
    ]
    assert list(rows[0]["messages"][0]) == ["content", "role"]
    view = TurnView(Dataset.from_list(rows))
    assert list(view) == list(TurnView(stored["conversations"].select(range(3))))


def test_conversations_of_older_versions_without_client_and_counsellor(stored):
    old = stored["conversations"].remove_columns(["client", "counsellor"])
    assert list(TurnView(old)) == stored["turns"].to_list()


def test_what_is_not_a_split_of_conversations(stored):
    for other, found in (
        (stored["turns"], "'prompt'"),
        (DatasetDict(train=stored["conversations"]), "DatasetDict"),
        (stored["conversations"].remove_columns("topic"), "'messages'"),
    ):
        with pytest.raises(ValueError, match=f"TurnView reads one split of config conversations, found .*{found}"):
            TurnView(other)


def test_it_travels_to_worker_processes(stored):
    view = pickle.loads(pickle.dumps(TurnView(stored["conversations"])))
    assert view[3] == stored["turns"][3]


def test_a_torch_data_loader_takes_it(stored):
    data = pytest.importorskip("torch.utils.data")
    loader = data.DataLoader(TurnView(stored["conversations"]), batch_size=8, num_workers=2, collate_fn=list)
    assert [row for batch in loader for row in batch] == stored["turns"].to_list()
