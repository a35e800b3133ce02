"""Names in folded text: what may be one, and what is one by what stands around it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchatcorpus.care.folding import fold_characters
from soulchatcorpus.care.private_names import find_names, frequency_of, is_word


def names(text: str) -> list[str]:
    return [text[start:end] for start, end in find_names(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("我老公陈建国又喝了酒", ["陈建国"]),
        ("班里有个男生叫石磊，他老往我水杯里吐口水", ["石磊"]),
        ("隔壁的王老师来了", ["王老师"]),
        ("我表哥欧阳骏小时候对我很好", ["欧阳骏"]),
        ("你能帮我骂一下彭宇辰吗", ["彭宇辰"]),
        ("是阿强拉我去赌的", ["阿强"]),
    ],
)
def test_names_by_what_stands_around_them(text, found):
    assert names(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "我叫了救护车",
        "他叫我滚",
        "我叫外卖了",
        "我是老师，老公不在家",
        "马上要高考了，小时候很高兴，现在何必呢",
        "江边安静，许多石头，白天常常下雨",
        "叫我怎么办",
        "王者荣耀和西湖",
        "他开始长小胡须了",
        "晚上老胡思乱想",
        "埃及的法老王",
        "床上的小熊不见了",
        "花小钱办大事",
        "借给一个老赖",
    ],
)
def test_verbs_kin_and_ordinary_words_are_no_names(text):
    assert names(text) == []


def test_runs_of_ordinary_talk_are_frequent_words_and_names_are_not():
    assert frequency_of("高兴") > 4
    assert frequency_of("邵一") <= 2
    assert is_word("高兴")
    assert not is_word("邵一")


@given(st.text(alphabet="王李张阿小老师叫我是陈建国欧阳的，\n", max_size=40))
def test_names_lie_apart_and_inside(text):
    taken = sorted(find_names(fold_characters(text).text))
    flat = [edge for span in taken for edge in span]
    assert flat == sorted(flat)
    assert all(0 <= start < end <= len(text) for start, end in taken)
