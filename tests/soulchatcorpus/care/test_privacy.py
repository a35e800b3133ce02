"""Private details: held to their recall and precision on labelled sentences, and to the checksums of numbers."""

import csv
import json
import re
import time
from collections import Counter
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchatcorpus.care.folding import fold_characters
from soulchatcorpus.care.privacy import _FINDERS, KINDS, find_private, find_private_in_each, mask_private
from soulchatcorpus.sieve import Sieve
from tests.paths import FIXTURES, ROOT

SENTENCES = FIXTURES / "making" / "privacy.tsv"
_MARKED = re.compile(r"\{(\w+)\|([^}]*)\}")


def labelled() -> list[tuple[str, str, int, int]]:
    """(text, kind, start, end) of every sentence; kind "none" where nothing is private."""
    rows = []
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            mark = _MARKED.search(row["text"])
            text = _MARKED.sub(r"\2", row["text"])
            rows.append(
                (text, "none", 0, 0) if mark is None else (text, mark[1], mark.start(), mark.start() + len(mark[2]))
            )
    return rows


def measure() -> tuple[dict[str, float], float]:
    """Recall by kind (the whole detail is covered, by whatever kind) and the precision of all spans."""
    wanted, covered, right, found = Counter(), Counter(), 0, 0
    for text, kind, start, end in labelled():
        spans = find_private(text)
        found += len(spans)
        right += sum(kind != "none" and span.start < end and start < span.end for span in spans)
        if kind != "none":
            wanted[kind] += 1
            covered[kind] += any(span.start <= start and end <= span.end for span in spans)
    return {kind: covered[kind] / wanted[kind] for kind in wanted}, right / found


def test_at_least_300_sentences_of_every_kind():
    rows = labelled()
    assert len({text for text, *_ in rows}) == len(rows) >= 300
    assert {kind for _, kind, *_ in rows} <= {*KINDS, "none"}


def test_recall_and_precision():
    recall, precision = measure()
    for kind in ("phone", "id_card", "bank_card", "email", "handle"):
        assert recall[kind] >= 0.95, (kind, recall[kind])
    for kind in ("url", "address", "name"):
        assert recall[kind] >= 0.9, (kind, recall[kind])
    assert precision >= 0.95


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("电话13812345678，微信abc_12345", "电话[phone]，微信[handle]"),
        ("身份证11010519491231002X", "身份证[id_card]"),
        ("编号110105194912310021", "编号110105194912310021"),  # its checksum is wrong
        ("热线12356，报警110", "热线12356，报警110"),
        ("I have borderline personality disorder", "I have borderline personality disorder"),
        ("my online profile and a hotline, calling them", "my online profile and a hotline, calling them"),
        ("on Instagram, iMessage, or snapchat people read", "on Instagram, iMessage, or snapchat people read"),
        ("discord between us", "discord between us"),
        ("My discord is moonlight, snapchat annie_01", "My discord is [handle], snapchat [handle]"),
        ("skype: janedoe，我的line是moonlight", "skype: [handle]，我的line是[handle]"),
        ("", ""),
    ],
)
def test_masking(text, masked):
    assert mask_private(text) == masked


def test_names_and_places_by_the_recogniser():
    text = "王小明昨天去了北京。"
    assert {span.kind for span in find_private(text)} == {"name"}
    assert {span.kind for span in find_private(text, recogniser=True)} == {"name", "place"}


@given(st.text(alphabet="我的电话微信号路1234567890@.-ab qQ\n", max_size=80))
def test_spans_are_ordered_and_apart(text):
    spans = find_private(text)
    flat = [edge for span in spans for edge in (span.start, span.end)]
    assert flat == sorted(flat)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)


@pytest.mark.parametrize(
    "text",
    ["我叫了救护车", "北京010-82951332占线", "血压150/95，考了480分，2023年欠了18600块", "每天冥想10-15分钟"],
)
def test_what_is_nobodys_stays(text):
    assert mask_private(text) == text


@pytest.mark.parametrize(
    ("text", "kind", "detail"),
    [
        ("电话１３６ ２２０４ ７７１９", "phone", "１３６ ２２０４ ７７１９"),
        ("我的号136_2084_7790", "phone", "136_2084_7790"),
        ("手机一八六二零五五七三三一", "phone", "一八六二零五五七三三一"),
        ("学号2021304178", "id_number", "2021304178"),
        ("卫星 dadaxiong66", "handle", "dadaxiong66"),
        ("车号沪A7K392", "plate", "沪A7K392"),
        ("我是1998年4月12日生的", "birth_date", "1998年4月12日"),
        ("我在苏州市第三中学读书", "organisation", "苏州市第三中学"),
        ("隔壁的王老师来了", "name", "王老师"),
        ("我老公陈建国又喝了酒", "name", "陈建国"),
    ],
)
def test_details_stand_where_the_text_stands(text, kind, detail):
    assert [(span.kind, text[span.start : span.end]) for span in find_private(text)] == [(kind, detail)]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("小王说他明天来", "[name]说他明天来"),
        ("小张,你听我说", "[name],你听我说"),
        ("我想分享一段陈老师的寄语", "我想分享一段[name]的寄语"),
        ("你好。老杨还要送你一个词。", "你好。[name]还要送你一个词。"),
        ("《书。\n小王说他明天来", "《书。\n[name]说他明天来"),
        ("《小王说他明天来》", "《小王说他明天来》"),
    ],
)
def test_a_surname_with_a_title_is_a_name_in_any_sentence(text, masked):
    assert mask_private(text) == masked


@given(st.text(alphabet="我叫陈建国王老师的电话微信住在文路号区1234567890@.ab \n", max_size=60))
def test_no_detail_reaches_over_a_line_break(text):
    assert all("\n" not in text[span.start : span.end] for span in find_private(text))


@pytest.mark.parametrize(
    "text",
    [
        "工资比基础员工低500-1000块",
        "做了SCL_90和PHQ9的测试表格",
        "电视剧《长街》里的方知夏和我很像",
        "我去社区卫生服务中心问过了",
        "读过《陈建国在苏州市第三中学》",
        "试着与堂哥沟通",
    ],
)
def test_what_singles_out_nobody_stays(text):
    assert mask_private(text) == text


SOME = [text for text, *_ in labelled()]


@given(st.lists(st.lists(st.one_of(st.sampled_from(SOME), st.text(max_size=20)), max_size=9).map("\n".join)))
def test_many_at_once_are_read_like_one_by_one(texts):
    assert find_private_in_each(texts) == [find_private(text) for text in texts]


@cache
def examples() -> list[str]:
    lines = (ROOT / "benchmarks" / "care_data" / "privacy-train.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


@pytest.mark.parametrize("finder", _FINDERS, ids=lambda finder: finder.find.__name__)
def test_whatever_is_found_has_an_opening(finder):
    sieve, found = Sieve(finder.openings), 0
    for text in SOME + examples():
        folded = fold_characters(text).text
        if list(finder.find(text if finder.typed else folded)):
            found += 1
            assert sieve.sift(folded).any(), text
    assert found


@pytest.mark.parametrize(
    "text",
    [
        "Samaritans 116 123 in the UK",
        "Lifeline Australia 13 11 14",
        "日本いのちの電話 0570-783-556",
        "微信8.0.42版本闪退",
        "微信 v8.0.42 闪退",
        "2024/01/05 08:00 打卡",
        "班里52人我排48",
        "HCG 12543",
        "2008年汶川地震那年我5岁",
        "PHQ-9得分18分，GAD-7得分15",
        "每天吃舍曲林50mg，喹硫平25mg",
        "欠了花呗36800.50元",
        "ISBN 978-7-02-000220-7这本书很好",
        "坐G1234次列车回家",
        "[10:32:15] 他说不想见我",
        "论文DOI 10.1038/s41586-020-2649-2",
        "IP地址192.168.1.1连不上",
    ],
)
def test_numbers_of_everybody_stay(text):
    assert mask_private(text) == text


def test_a_mask_takes_the_marks_on_a_digit_with_it():
    assert mask_private("打1⃣3⃣9⃣1⃣2⃣3⃣4⃣5⃣6⃣7⃣8⃣给我") == "打[phone]给我"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("打138&nbsp;1234&nbsp;5678给我", "打[phone]给我"),
        ("打&#49;&#51;812345678给我", "打[phone]给我"),
        ("<b>138</b>12345678", "<b>[phone]"),
        ("&lt;13812345678&gt;", "&lt;[phone]&gt;"),
    ],
)
def test_character_references_of_html_hide_nothing(text, masked):
    assert mask_private(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "老张" * 25_000,
        "艾力" * 25_000,
        "a" * 100_000 + " x@y",
        "a." * 50_000 + " x@y",
        "a@" + "a-" * 50_000,
        "-" * 100_000 + " www.",
    ],
    ids=["names", "syllables", "no mail", "dots and no mail", "no host", "no page"],
)
def test_time_grows_with_the_length_alone(text):
    began = time.process_time()
    find_private(text)
    assert time.process_time() - began < 4
