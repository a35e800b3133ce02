"""Whom all know, by the list and by what stands beside the name."""

import tomllib

import pytest

from soulchatcorpus.care.privacy import mask_private
from soulchatcorpus.care.well_known import _words, is_well_known
from tests.paths import ROOT

LIST = ROOT / "soulchatcorpus" / "care" / "well_known.toml"


def known(text: str, name: str) -> bool:
    return is_well_known(text, text.index(name), text.index(name) + len(name))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("鲁迅和欧文亚隆的书", "鲁迅"),
        ("鲁迅和欧文亚隆的书", "亚隆"),
        ("我喜欢彭于晏", "彭于"),
        ("女演员方知夏说过一句话", "方知夏"),
        ("《长街》里的方知夏和我很像", "方知夏"),
        ("方知夏主演的那部戏", "方知夏"),
        ("按方知夏的成长理论来看", "方知夏"),
        ("史蒂芬·方夏这样写", "方夏"),
        ("莉莎贝尔给了他一个拥抱", "莉莎贝尔"),
        ("医生开了氟伏沙明给我", "伏沙明"),
    ],
)
def test_somebody_whom_all_know(text, name):
    assert known(text, name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("陈建国也看鲁迅", "陈建国"),
        ("王维军是我同桌", "王维军"),
        ("我叫彭于晏,跟明星同名", "彭于晏"),
        ("他叫荆轲,脾气很好", "荆轲"),
        ("读完《长街》。方知夏来找我", "方知夏"),
        ("方知夏提出跟我分手", "方知夏"),
        ("我叫莉莎贝尔", "莉莎贝尔"),
    ],
)
def test_somebody_else(text, name):
    assert not known(text, name)


@pytest.mark.parametrize(
    "name",
    [
        "徐熙媛",
        "尹锡悦",
        "陆九渊",
        "祝枝山",
        "张海迪",
        "孟晚舟",
        "聂赫留朵夫",
        "庾澄庆",
        "李瓶儿",
        "方鸿渐",
        "岳灵珊",
        "朱锁锁",
        "魏嬿婉",
        "邓布利多",
        "流川枫",
        "田馥甄",
    ],
)
def test_whom_a_talk_mentions_is_not_masked(name):
    for text in (f"我很喜欢{name}。", f"我想起了{name}的经历。", f"就像{name}一样,慢慢好起来。"):
        assert mask_private(text) == text


def test_every_name_is_listed_once():
    names = tomllib.loads(LIST.read_text(encoding="utf-8"))["names"].split()
    assert len(names) == len(set(names)) > 2_000


@pytest.mark.parametrize("name", ["王芳", "陈婷", "张丽", "李静", "刘洋", "王建国", "顾佳", "陶虹", "张雨霏"])
def test_what_many_bear_is_nobodys_own(name):
    assert name not in _words().names
