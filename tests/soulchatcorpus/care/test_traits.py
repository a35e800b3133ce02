"""What stands around a character."""

import numpy as np

from soulchatcorpus.care.tagger import load_tagger
from soulchatcorpus.care.traits import RUN_BITS, RUN_KINDS, find_traits, hash_run, hash_runs

NOTHING_KNOWN = np.zeros(1 << RUN_BITS, dtype=np.uint8)


def traits(text: str, place: int) -> list[int]:
    return find_traits(text, np.array([place]), NOTHING_KNOWN)[:, 0].tolist()


def test_traits_are_those_of_the_place_wherever_it_is_asked_for():
    text = "我住在文三路18号"
    whole = find_traits(text, np.arange(len(text)), NOTHING_KNOWN)
    assert [row.tolist() for row in whole.T] == [traits(text, place) for place in range(len(text))]


def test_only_what_is_near_counts():
    assert traits("啊啊啊啊住在文三路上上", 6) == traits("哦哦啊啊住在文三路上上啊", 6)
    assert traits("住在文三路", 2) != traits("不在文三路", 2)


def test_all_digits_are_one():
    assert traits("我住18号楼", 3) == traits("我住29号楼", 3)


def test_a_character_beyond_the_basic_plane_is_no_fault():
    assert len(traits("我\U00020000叫", 1)) == len(traits("我在叫", 1))


def test_a_run_has_one_bucket():
    codes = [np.array([ord(character)], dtype=np.uint32) for character in "高兴"]
    assert hash_run("高兴") == hash_runs(*codes)[0] != hash_run("兴高")


def test_runs_of_ordinary_talk_are_frequent_and_names_are_not():
    known = load_tagger().runs
    assert known[hash_run("高兴")] & 15 > 4
    assert known[hash_run("邵一")] & 15 <= 2
    kinds = {run: RUN_KINDS[known[hash_run(run)] >> 4] for run in ("杭州", "老公", "医生", "鲁迅", "名叫")}
    assert kinds == {"杭州": "place", "老公": "kin", "医生": "role", "鲁迅": "known", "名叫": "naming"}
