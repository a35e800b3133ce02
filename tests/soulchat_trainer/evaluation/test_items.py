"""Replies, talks and pairs out of result folders and corpus files."""

from pathlib import Path

import pytest

from hub_cards.predictions import Prediction, write_predictions
from soulchat_trainer.evaluation.items import Item, read_items
from soulchatcorpus.files import write_lines
from soulchatcorpus.schema import Message

USER = Message(role="user", content="我睡不着")
SYSTEM = Message(role="system", content="你是咨询师")


def write_system(folder: Path, ids: list[str] | None = None, user: Message = USER) -> Path:
    folder.mkdir(parents=True)
    rows = [
        Prediction(id=id_, messages=[SYSTEM, user], reference="r", prediction=f"{folder.name}答{id_}")
        for id_ in ids or ["a-0", "b-0"]
    ]
    write_predictions(folder / "predictions.jsonl", rows)
    return folder


def write_talks(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    messages = [USER, Message(role="assistant", content="多久了？"), USER, Message(role="assistant", content="我在听")]
    write_lines(path, [{"id": "t", "messages": [SYSTEM, *messages]}])
    return path


def test_replies_with_their_history_and_without_the_system_text(tmp_path: Path) -> None:
    assert read_items([write_system(tmp_path / "warm", ["a-0"])], "reply") == [
        Item("a-0", "a", ("warm",), "用户：我睡不着", ("warm答a-0",))
    ]


def test_a_talk_up_to_the_reply(tmp_path: Path) -> None:
    [item] = read_items([write_system(tmp_path / "warm", ["a-0"])], "talk")
    assert (item.history, item.texts) == ("", ("用户：我睡不着\n心理咨询师：warm答a-0",))


def test_every_reply_of_a_talk_and_the_whole_of_it(tmp_path: Path) -> None:
    file = write_talks(tmp_path / "cold.jsonl")
    replies = read_items([file], "reply")
    assert [(item.talk, item.systems, item.texts) for item in replies] == [
        ("t", ("cold",), ("多久了？",)),
        ("t", ("cold",), ("我在听",)),
    ]
    assert replies[1].history == "用户：我睡不着\n心理咨询师：多久了？\n用户：我睡不着"
    [talk] = read_items([file], "talk")
    assert talk.texts == ("用户：我睡不着\n心理咨询师：多久了？\n用户：我睡不着\n心理咨询师：我在听",)
    [named] = read_items([write_talks(tmp_path / "simulated" / "conversations.jsonl").parent], "talk")
    assert named.systems == ("simulated",)


def test_thoughts_are_not_shown_to_raters(tmp_path: Path) -> None:
    """Neither those of predictions that another program wrote, nor those of talks; one without an end is no reply."""
    thought = Message(role="assistant", content="<think>他不想说。</think>\n\n我在听")
    rows = [
        Prediction(id="a-0", messages=[USER, thought, USER], reference="r", prediction="</think>\n\n多久了？"),
        Prediction(id="b-0", messages=[USER], reference="r", prediction="<think>他不想说。"),
    ]
    (tmp_path / "qwen").mkdir()
    write_predictions(tmp_path / "qwen" / "predictions.jsonl", rows)
    one, other = read_items([tmp_path / "qwen"], "reply")
    assert (one.history, one.texts) == ("用户：我睡不着\n心理咨询师：我在听\n用户：我睡不着", ("多久了？",))
    assert other.texts == ("",)
    write_lines(tmp_path / "talks.jsonl", [{"id": "t", "messages": [USER, thought]}])
    assert read_items([tmp_path / "talks.jsonl"], "talk")[0].texts == ("用户：我睡不着\n心理咨询师：我在听",)


def test_pairs_of_every_two_systems_on_what_all_have(tmp_path: Path) -> None:
    sources = [write_system(tmp_path / name) for name in ("one", "two", "three")]
    pairs = read_items(sources, "pair")
    assert [item.systems for item in pairs] == [("one", "two")] * 2 + [("one", "three")] * 2 + [("two", "three")] * 2
    assert pairs[0].texts == ("one答a-0", "two答a-0")


def test_a_sample_has_the_same_ids_for_all_systems(tmp_path: Path) -> None:
    ids = [f"d{number}-0" for number in range(20)]
    sources = [write_system(tmp_path / "one", ids), write_system(tmp_path / "two", [*ids, "other-0"])]
    items = read_items(sources, "reply", samples=5, seed=3)
    assert len(items) == 10
    assert [item.id for item in items[:5]] == [item.id for item in items[5:]]
    assert items != read_items(sources, "reply", samples=5, seed=4)


@pytest.mark.parametrize(
    ("judged", "samples", "message"),
    [
        ("reply", 3, "samples is 3; allowed: 1 to 2, what all systems answered"),
        ("pair", None, "allowed for pairs: two systems with the same ids"),
    ],
)
def test_too_few_of_something(judged: str, samples: int | None, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_items([write_system(tmp_path / "warm")], judged, samples)


def test_two_systems_of_one_name_and_different_questions_are_refused(tmp_path: Path) -> None:
    one, same = write_system(tmp_path / "x" / "warm"), write_system(tmp_path / "y" / "warm")
    with pytest.raises(ValueError, match="two systems are named 'warm'"):
        read_items([one, same], "reply")
    other = write_system(tmp_path / "cold", user=Message(role="user", content="别的"))
    with pytest.raises(ValueError, match="warm and cold were asked different things under the id a-0"):
        read_items([one, other], "pair")


def test_pairs_leave_nothing_out_unasked(tmp_path: Path) -> None:
    sources = [write_system(tmp_path / "one", ["a-0", "b-0"]), write_system(tmp_path / "two", ["a-0"])]
    with pytest.raises(ValueError, match="one and two did not answer the same dialogues: 1 ids are not in all"):
        read_items(sources, "pair")
    assert [item.id for item in read_items(sources, "pair", samples=1)] == ["a-0"]


def test_a_system_without_any_reply_is_not_left_out_unasked(tmp_path: Path) -> None:
    silent = tmp_path / "silent"
    write_predictions(silent / "predictions.jsonl", [])
    with pytest.raises(ValueError, match="silent has nothing to judge; allowed: sources with a reply at least"):
        read_items([write_system(tmp_path / "warm"), silent], "reply")


def test_a_folder_of_something_else_is_told_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds neither predictions\.jsonl nor conversations\.jsonl"):
        read_items([tmp_path], "reply")
