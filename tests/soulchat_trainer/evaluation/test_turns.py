"""Which test turns are taken."""

import pytest
from datasets import Dataset

from soulchat_trainer.evaluation import turns
from soulchat_trainer.evaluation.turns import list_turns, sample_turns

TURNS = [{"id": str(number), "prompt": "p", "completion": "c"} for number in range(50)]


def test_sampling_is_deterministic_and_in_order() -> None:
    chosen = sample_turns(TURNS, 10, seed=0)
    assert chosen == sample_turns(TURNS, 10, seed=0) != sample_turns(TURNS, 10, seed=1)
    places = [TURNS.index(turn) for turn in chosen]
    assert places == sorted(set(places))


def test_by_default_all_up_to_the_papers_10000(monkeypatch: pytest.MonkeyPatch) -> None:
    assert turns.MAX_SAMPLES == 10_000
    assert sample_turns(TURNS, None, seed=0) == TURNS
    monkeypatch.setattr(turns, "MAX_SAMPLES", 20)
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


def test_conversations_and_turns_give_the_same_rows() -> None:
    talk = [{"role": role, "content": text} for role, text in zip(["user", "assistant"] * 2, "abcd", strict=True)]
    rows = list_turns(Dataset.from_list([{"id": "7", "messages": talk, "topic": "情绪"}]))
    assert rows == [
        {"id": "7-1", "prompt": "用户：a\n心理咨询师：", "completion": "b"},
        {"id": "7-2", "prompt": "用户：a\n心理咨询师：b\n用户：c\n心理咨询师：", "completion": "d"},
    ]
    assert list_turns(Dataset.from_list([dict(row, turn=1) for row in rows])) == rows
    with pytest.raises(ValueError, match="no column id, completion; found prompt"):
        list_turns(Dataset.from_list([{"prompt": "a"}]))
