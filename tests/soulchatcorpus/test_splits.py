import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchatcorpus import splits
from soulchatcorpus.splits import Splitter, held_out_turns, opening_key, opening_keys, split_all


def corpus(conversations: int, openings: int, seed: int = 0) -> list[tuple[int, int, int]]:
    chance = random.Random(seed)
    return [
        (opening_key(f"开头{chance.randrange(openings)}"), chance.randrange(11), number)
        for number in range(conversations)
    ]


def by_split(items: list[tuple[int, int, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {split: [] for split in splits.SPLITS}
    for split, number in split_all(items):
        found[split].append(number)
    return found


def test_the_paper_s_test_split_is_exact_in_a_large_corpus():
    items = corpus(40_000, 30_000)
    found = by_split(items)
    turns = {split: sum(items[number][1] for number in found[split]) for split in found}
    assert turns["test"] == 10_000
    assert turns["validation"] == 5_000
    assert sum(map(len, found.values())) == 40_000


@pytest.mark.parametrize(
    ("total", "held_out"),
    [(5607, (560, 280)), (99_999, (9999, 4999)), (100_000, (10_000, 5000)), (10**7, (10_000, 5000)), (3, (0, 0))],
)
def test_how_much_is_held_out(total, held_out):
    assert held_out_turns(total) == held_out


@given(st.integers(0, 300), st.integers(1, 60), st.integers(0, 5))
def test_openings_stay_on_one_side_and_nothing_is_lost(conversations, openings, seed):
    items = corpus(conversations, openings, seed)
    found = by_split(items)
    assert sorted(number for numbers in found.values() for number in numbers) == list(range(conversations))
    keys = [{items[number][0] for number in numbers} for numbers in found.values()]
    assert not (keys[0] & keys[1] | keys[0] & keys[2] | keys[1] & keys[2])


def test_openings_stay_on_one_side_where_the_reservoir_overflows(monkeypatch):
    monkeypatch.setattr(splits, "CAPACITY", 60)
    monkeypatch.setattr(splits, "COMMON_TURNS", 20)
    for seed in range(20):
        items = corpus(500, 60, seed)
        found = by_split(items)
        keys = [{items[number][0] for number in numbers} for numbers in found.values()]
        assert not (keys[0] & keys[1] | keys[0] & keys[2] | keys[1] & keys[2])
        assert sum(map(len, found.values())) == 500


def test_the_order_of_the_file_does_not_matter():
    items = corpus(30_000, 20_000)
    shuffled = random.Random(1).sample(items, len(items))
    assert set(by_split(items)["test"]) == set(by_split(shuffled)["test"])


def test_only_candidates_are_kept_in_memory():
    splitter: Splitter[int] = Splitter()
    held = 0
    for key, turns, number in corpus(60_000, 60_000):
        held += 1 - len(splitter.keep(key, turns, number))
    assert held < 4_000


def test_what_is_for_training_comes_before_all_is_read():
    read = iter(corpus(60_000, 60_000))
    assert next(split_all(read))[0] == "train"
    assert len(list(read)) > 40_000


def test_a_greeting_that_many_share_is_not_held_out():
    items = [(1, 5, number) for number in range(200)] + [(2, 5, 1000)]  # 1 and 2 are the smallest keys of all
    assert 0 not in by_split(items)["test"]


def test_no_candidate_is_overlooked_when_many_are_counted_at_once():
    items = corpus(20_000, 15_000)
    keys, turns = np.array([key for key, _, _ in items], np.uint64), np.array([count for _, count, _ in items])
    splitter: Splitter[int] = Splitter()
    found: dict[str, list[int]] = {split: [] for split in splits.SPLITS}
    for start in range(0, len(items), 500):
        candidates = splitter.count(keys[start : start + 500], turns[start : start + 500])
        for (key, count, number), is_candidate in zip(items[start : start + 500], candidates, strict=True):
            found["train"] += splitter.keep(key, count, number) if is_candidate else [number]
    for split, rest in splitter.finish().items():
        found[split] += rest
    assert splitter.turns == turns.sum()
    assert found == by_split(items)


def test_keys_of_many_openings():
    openings = ["", "我 很累\n", "你好", "你好"]
    assert opening_keys(openings).tolist() == [opening_key(opening) for opening in openings]
    assert opening_key("你好") == 6132876256205393628  # splits made with an earlier version stay as they are


def test_white_space_does_not_make_another_opening():
    assert opening_key("我 很累\n") == opening_key("我很累") != opening_key("我很累。")
