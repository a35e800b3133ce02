"""Addresses from their first part to their last, and organisations that their name singles out."""

import pytest

from soulchatcorpus.care.privacy import find_private
from soulchatcorpus.care.private_places import find_organisations, find_western_addresses, is_generic


def addresses(text: str) -> list[str]:
    return [text[span.start : span.end] for span in find_private(text) if span.kind == "address"]


@pytest.mark.parametrize(
    ("before", "address", "after"),
    [
        ("我住在", "浙江省杭州市西湖区文三路18号2幢301室", "，他知道地址"),
        ("寄药的话寄到", "成都市武侯区玉林北路66号附3号", "，写我爸收"),
        ("我在", "翠苑三区15幢", "，等你"),
        ("写信请寄", "巴中市通江县诺水河镇碧山村二组", "，我收"),
        ("她住", "兰苑2栋505", " 她把刀藏起来"),
    ],
)
def test_a_whole_address(before, address, after):
    assert addresses(before + address + after) == [address]


@pytest.mark.parametrize(
    "text", ["我在北京上班", "第三组实验", "一路走来，一栋房子", "今天1号，第5号选手", "西湖边散步"]
)
def test_what_is_no_address(text):
    assert addresses(text) == []


def test_a_street_in_english():
    text = "I live at 42 Maple Grove Ave, Unit 5"
    assert [text[start:end] for _, start, end in find_western_addresses(text)] == ["42 Maple Grove Ave, Unit 5"]


@pytest.mark.parametrize("name", ["苏州市第三中学", "哈尔滨工业大学", "深圳市云帆网络科技有限公司", "仁爱养老院"])
def test_an_organisation_with_its_name(name):
    text = f"我在{name}上过学"
    assert [text[start:end] for _, start, end in find_organisations(text)] == [name]


@pytest.mark.parametrize(
    "text", ["我在一所大学读书", "一家公司", "985大学毕业", "去医院看病", "我们学校", "普通高中", "那家互联网公司"]
)
def test_a_kind_of_organisation_singles_out_nobody(text):
    assert list(find_organisations(text)) == []


@pytest.mark.parametrize(
    ("organisation", "generic"),
    [
        ("社区卫生服务中心", True),
        ("从街道办事处", True),
        ("理想大学", True),
        ("苏州市第三中学", False),
        ("金鼎大学", False),
    ],
)
def test_an_organisation_of_which_there_are_many(organisation, generic):
    assert is_generic(organisation) == generic
