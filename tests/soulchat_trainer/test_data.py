"""The corpus of a run, by name or from a file, and its fingerprint."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from hub_cards.results import DataSet
from soulchat_trainer import data
from soulchat_trainer.data import (
    StoredTurns,
    TrainingConversation,
    corpus_fingerprint,
    describe_dataset,
    is_preferences,
    list_turns,
    load_corpus,
    load_preferences,
    preferred_turns,
    read_batch,
    sample_turns,
    turns_fingerprint,
)
from soulchatcorpus import Conversation
from soulchatcorpus.features import FEATURES
from soulchatcorpus.tables import conversation_table, turn_table
from soulchatcorpus.turns import Turn, split_turns
from tests.soulchat_trainer.preference_parts import make_judged, make_pairs
from tests.soulchat_trainer.training_parts import make_rows

TURNS = [Turn(str(number), 1, [{"role": "user", "content": "p"}], "c") for number in range(50)]


def test_the_embedded_sample_by_name() -> None:
    corpus = load_corpus("soulchatcorpus")
    assert {split: rows.num_rows for split, rows in corpus.items()} == {"train": 844, "validation": 52, "test": 104}
    assert "messages" in corpus["train"].column_names


def test_a_file_is_split_by_opening(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    make_rows(60).to_json(path, force_ascii=False)
    corpus = load_corpus(str(path))
    openings = {split: {row["messages"][0]["content"] for row in rows} for split, rows in corpus.items()}
    assert sum(rows.num_rows for rows in corpus.values()) == 60
    assert not openings["train"] & (openings["validation"] | openings["test"])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dataset .*gone\.jsonl: no such file"):
        load_corpus(str(tmp_path / "gone.jsonl"))


@pytest.mark.parametrize("load", [load_corpus, load_preferences])
@pytest.mark.parametrize("name", ["", "*", "folder/t*.jsonl", "~", "http://127.0.0.1/c.jsonl", "a/b/c", "\udce9.txt"])
def test_what_can_be_no_name_is_not_looked_for(name: str, load: Callable[[str], Any]) -> None:
    with pytest.raises(FileNotFoundError, match="no such file; allowed: a file, a folder or a name for load_dataset"):
        load(name)


def test_a_data_set_of_other_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(json.dumps({"text": "一"}))
    with pytest.raises(ValueError, match=r"dataset .* has columns text; allowed: messages, or prompt and completion"):
        load_corpus(str(tmp_path))


def test_the_fingerprint_is_of_texts_and_splits_alone() -> None:
    rows = make_rows(3)
    corpus = DatasetDict(train=rows)
    same = DatasetDict(train=Dataset.from_list([{"id": "other", "messages": row["messages"]} for row in rows]))
    assert corpus_fingerprint(corpus) == corpus_fingerprint(same)
    assert len({corpus_fingerprint(c) for c in (corpus, DatasetDict(test=rows), DatasetDict(train=make_rows(2)))}) == 3


def test_fingerprints_tell_turns_apart() -> None:
    assert turns_fingerprint(TURNS) == turns_fingerprint([replace(turn, topic="情绪") for turn in TURNS])
    assert turns_fingerprint(TURNS) != turns_fingerprint(TURNS[:1])
    assert turns_fingerprint(TURNS) != turns_fingerprint(TURNS[::-1])


def test_the_embedded_sample_is_called_what_it_is() -> None:
    corpus = DatasetDict(train=make_rows(3, rounds=1), test=make_rows(2, rounds=1))
    assert describe_dataset("soulchatcorpus", corpus, "f00d") == DataSet(
        name="smilechat-1k",
        config="turns",
        fingerprint="f00d",
        splits={"train": 3, "test": 2},
        licence="cc0-1.0",
    )
    assert describe_dataset("/home/somebody/own.jsonl", corpus, "").name == "own.jsonl"


def test_stored_turns_are_read_again_and_again() -> None:
    rows = make_rows(10)
    turns = StoredTurns(rows)
    assert list(turns) == list(turns) == list_turns(rows)
    assert turns.count() == len(list(turns))
    assert list(turns.openings()) == [row["messages"][0]["content"] for row in rows]


def test_an_opening_is_no_system_text_and_rows_without_ids_are_numbered() -> None:
    messages = [
        {"role": "system", "content": "你是心理咨询师。"},
        {"role": "user", "content": "我睡不着"},
        {"role": "assistant", "content": "多久了？"},
    ]
    turns = StoredTurns(Dataset.from_list([{"messages": messages}] * 2))
    assert list(turns.openings()) == ["我睡不着"] * 2
    assert [turn.id for turn in turns] == ["0-1", "1-1"]
    prompts = StoredTurns(Dataset.from_list([{"prompt": "用户：我睡不着\n心理咨询师：", "completion": "多久了？"}]))
    assert [(turn.id, turn.context) for turn in prompts] == [("0", messages[1:2])]
    assert (prompts.count(), list(prompts.openings())) == (1, ["我睡不着"])


def test_sampling_is_deterministic_and_in_order() -> None:
    chosen = sample_turns(TURNS, 10, seed=0)
    assert chosen == sample_turns(TURNS, 10, seed=0) != sample_turns(TURNS, 10, seed=1)
    places = [TURNS.index(turn) for turn in chosen]
    assert places == sorted(set(places))


def test_by_default_all_up_to_the_papers_10000(monkeypatch: pytest.MonkeyPatch) -> None:
    assert data.MAX_SAMPLES == 10_000
    assert sample_turns(TURNS, None, seed=0) == TURNS
    monkeypatch.setattr(data, "MAX_SAMPLES", 20)
    assert len(sample_turns(TURNS, None, seed=0)) == 20
    assert len(sample_turns(TURNS, 30, seed=0)) == 30


@pytest.mark.parametrize("samples", [0, -1, 51])
def test_more_than_there_are_is_refused(samples: int) -> None:
    with pytest.raises(ValueError, match="test split has 50; allowed: 1 to that"):
        sample_turns(TURNS, samples, seed=0)


def test_nothing_and_shared_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="test split has 0"):
        sample_turns([], None, seed=0)
    with pytest.raises(ValueError, match="share ids"):
        sample_turns([*TURNS, TURNS[0]], None, seed=0)


def test_conversations_and_turns_are_the_same_turns() -> None:
    roles = ["system", "user", "assistant", "user", "assistant"]
    talk = [{"role": role, "content": text} for role, text in zip(roles, "sabcd", strict=True)]
    turns = list_turns(Dataset.from_list([{"id": "7", "messages": talk}]))
    assert [(turn.id, turn.context, turn.completion) for turn in turns] == [
        ("7-1", talk[:2], "b"),
        ("7-2", talk[:4], "d"),
    ]
    rows = [{"id": turn.id, "system": "s", "prompt": turn.prompt, "completion": turn.completion} for turn in turns]
    read = list_turns(Dataset.from_list(rows))
    assert [(turn.id, turn.context) for turn in read] == [(turn.id, turn.context) for turn in turns]
    with pytest.raises(ValueError, match="has columns prompt; allowed: messages, or prompt and completion"):
        list_turns(Dataset.from_list([{"prompt": "a"}]))
    without_ids = (
        list_turns(Dataset.from_list([{"messages": talk}])),
        list_turns(Dataset.from_list(rows).remove_columns("id")),
    )
    assert [[turn.id for turn in turns] for turns in without_ids] == [["0-1", "0-2"], ["0", "1"]]


def test_a_line_that_looks_like_the_other_speaker_stays_the_user_s() -> None:
    talk = [
        {"role": "user", "content": "在吗"},
        {"role": "assistant", "content": "在"},
        {"role": "user", "content": "我给她发了：\n心理咨询师：你好\n她没回"},
        {"role": "assistant", "content": "嗯"},
    ]
    [_, turn] = list_turns(Dataset.from_list([{"id": "1", "messages": talk}]))
    assert turn.context == talk[:3]


def test_rows_of_turns_meet_again_in_their_conversation() -> None:
    messages = make_rows(9)[3]["messages"]
    assert len(messages) > 2
    system = {"role": "system", "content": "请倾听"}
    turns = list(split_turns(Conversation("c", [system, *messages])))
    rows = [
        {"conversation_id": "c", "system": t.system, "prompt": t.prompt, "completion": t.completion} for t in turns
    ]
    batch = {name: [row[name] for row in rows] for name in rows[0]}
    assert read_batch(batch) == [TrainingConversation([system, *messages], [*range(2, len(messages) + 1, 2)])]
    batch = {name: [*values, *values, *values[:1]] for name, values in batch.items()}
    batch["conversation_id"][-1] = "d"
    assert [conversation.targets for conversation in read_batch(batch)] == [[*range(2, len(messages) + 1, 2)], [2]]


def test_a_turn_left_out_is_no_target() -> None:
    rows = {
        "conversation_id": ["c"],
        "prompt": ["用户：一\n心理咨询师：二\n用户：三\n心理咨询师："],
        "completion": ["四"],
    }
    (conversation,) = read_batch(rows)
    assert [message["content"] for message in conversation.messages] == ["一", "二", "三", "四"]
    assert conversation.targets == [3]


def test_rewritten_history_becomes_its_own_conversation() -> None:
    rows = {
        "conversation_id": ["c", "c"],
        "prompt": ["用户：一\n心理咨询师：", "用户：一\n心理咨询师：别的\n用户：三\n心理咨询师："],
        "completion": ["二", "四"],
    }
    assert [conversation.targets for conversation in read_batch(rows)] == [[3], [1]]


@pytest.mark.parametrize(
    "prompt",
    ["问：你好\n答：", "用户：你好", "用户：你好\n心理咨询师：嗯", "心理咨询师：", "心理咨询师：好\n心理咨询师："],
)
def test_prompts_of_another_form_are_refused(prompt: str) -> None:
    with pytest.raises(ValueError, match=r"用户"):
        read_batch({"prompt": [prompt], "completion": ["好"]})


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (None, "messages of row 7 is None; allowed: a list of messages"),
        ([("user", None)], "message 1 of row 7 has a NoneType; allowed: text"),
        ([("user", "你好"), ("assistant", None)], "message 2 of row 7 has a NoneType; allowed: text"),
        ([("tool", "你好")], "message 1 of row 7 has role 'tool'; allowed: system, user, assistant"),
        ([("user", "你好"), ("system", "x")], "message 2 of row 7 has role 'system'; allowed: user, assistant"),
        ([("user", "你好"), (None, "好")], "message 2 of row 7 has role None; allowed: user, assistant"),
    ],
)
def test_messages_of_rows_that_were_not_built_here_are_checked(messages: list | None, message: str) -> None:
    good = [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "好"}]
    talk = messages and [{"role": role, "content": content} for role, content in messages]
    rows = Dataset.from_list([{"id": "1", "messages": good}, {"id": "7", "messages": talk}])
    for read in (lambda: read_batch(rows[:]), lambda: list_turns(rows)):
        with pytest.raises(ValueError, match=f"^{message}$"):
            read()


def test_thoughts_before_replies_are_neither_learned_nor_scored() -> None:
    """In conversations, which corpora made with a model that thinks have, and in turns made of them."""
    first, second = "<think>\n他很难过\n</think>\n\n多久了？", "\n</think>\n\n我在听"
    roles = ["user", "assistant"] * 2
    texts = ["睡不着", first, "两个月", second]
    talk = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    rows = Dataset.from_list([{"id": "a", "messages": talk}])
    said = ["睡不着", "多久了？", "两个月", "我在听"]
    (conversation,) = read_batch(rows[:])
    assert [message["content"] for message in conversation.messages] == said
    prompt = f"用户：睡不着\n心理咨询师：{first}\n用户：两个月\n心理咨询师："
    turns = Dataset.from_list([{"prompt": prompt, "completion": second}])
    for turn in (list_turns(rows)[1], list_turns(turns)[0]):
        assert [*(message["content"] for message in turn.context), turn.completion] == said
    with pytest.raises(ValueError, match="row a: message 2 is a thought without a reply"):
        read_batch({"id": ["a"], "messages": [[talk[0], {"role": "assistant", "content": "<think>他很难过"}]]})


def test_rows_of_turns_without_words_are_refused() -> None:
    rows = Dataset.from_dict({"prompt": ["用户：你好\n心理咨询师："], "completion": [None]})
    with pytest.raises(ValueError, match=r"^prompt or completion of row 0 is none; allowed: text"):
        list_turns(rows)


def test_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="has columns text; allowed: messages, or prompt and completion"):
        read_batch({"text": ["…"]})


def test_preferences_by_name_and_by_file_are_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "named"
    folder.mkdir()
    make_pairs(40).to_json(folder / "train.jsonl", force_ascii=False)
    by_file, by_name = load_preferences(str(folder / "train.jsonl")), load_preferences(str(folder))
    assert {split: rows.to_list() for split, rows in by_name.items()} == {
        split: rows.to_list() for split, rows in by_file.items()
    }
    assert {split: len(rows) for split, rows in by_file.items()} == {"train": 34, "validation": 2, "test": 4}
    assert is_preferences(by_file)
    with pytest.raises(FileNotFoundError, match=r"none\.jsonl: no such file"):
        load_preferences(str(tmp_path / "none.jsonl"))
    (folder / "train.jsonl").write_text('{"prompt": "一", "chosen": "好", "rejected": "好"}\n' * 30)
    with pytest.raises(ValueError, match="'chosen' equals 'rejected'"):
        load_preferences(str(folder))


def test_wanted_replies_become_turns() -> None:
    pairs = DatasetDict(test=make_pairs(3))
    turns = list_turns(preferred_turns(pairs)["test"])
    assert [turn.completion for turn in turns] == pairs["test"]["chosen"]
    assert [turn.context for turn in turns] == pairs["test"]["prompt"]
    judged = DatasetDict(test=make_judged(4))
    assert [turn.completion for turn in list_turns(preferred_turns(judged)["test"])] == [
        judged["test"]["completion"][n] for n in (0, 2)
    ]


def test_preference_data_is_no_corpus() -> None:
    with pytest.raises(ValueError, match="a data set is preference data, by its columns chosen, rejected"):
        list_turns(make_pairs(3))


def test_topic_client_and_counsellor_come_with_the_turns() -> None:
    messages = [{"role": "user", "content": "我睡不着"}, {"role": "assistant", "content": "多久了？"}]
    stated = Conversation("a", messages, "情绪", client={"gender": "female"}, counsellor="lin")
    table = conversation_table([stated, Conversation("b", messages)])
    for rows in (Dataset(table), Dataset(turn_table(table))):
        rows = rows.cast(FEATURES["turns" if "prompt" in rows.column_names else "conversations"])
        first, second = StoredTurns(rows)
        assert (first.topic, first.client, first.counsellor) == ("情绪", {"gender": "female"}, "lin")
        assert (second.topic, second.client, second.counsellor) == (None, None, None)


def test_other_people_s_columns_of_these_names_are_left_alone() -> None:
    row = {"prompt": "用户：我睡不着\n心理咨询师：", "completion": "多久了？", "topic": "sleep"}
    foreign = {"client": "Mary", "counsellor": {"name": "Lin"}}
    for more in ({}, foreign, {"client": {"name": "Mary"}}):
        [turn] = StoredTurns(Dataset.from_list([row | more]))
        assert (turn.topic, turn.client, turn.counsellor) == ("sleep", None, None)
