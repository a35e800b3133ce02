"""Numbers that lead to a person, in every spelling; and those that lead to nobody."""

import pytest

from soulchatcorpus.care.folding import fold_characters
from soulchatcorpus.care.help_lines import load_countries
from soulchatcorpus.care.private_numbers import find_birth_dates, find_numbers, is_id_card, is_luhn


def numbers(text: str) -> list[tuple[str, str]]:
    return [(kind, text[start:end]) for kind, start, end in find_numbers(fold_characters(text).text)]


@pytest.mark.parametrize(
    "number",
    [
        "13812345678",
        "138 1234 5678",
        "138-1234-5678",
        "138.1234.5678",
        "138_1234_5678",
        "一三八一二三四五六七八",
        "幺三八幺二三四五六七八",
        "壹叁捌壹贰叁肆伍陆柒捌",
        "１３８１２３４５６７８",
        "13⑧12345678",
        "138o2345678",
        "138零二三四五六七八",
        "+86 138 1234 5678",
        "0571-8888 6666",
        "1 3 8 1 2 3 4 5 6 7 8",
    ],
)
def test_a_telephone_in_every_spelling(number):
    assert numbers(f"请打{number}，谢谢") == [("phone", number)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("幺五九，三六零四，幺幺八二，我念慢点", [("phone", "幺五九，三六零四，幺幺八二")]),
        ("全填了：13506994772，6226 0958 3310 7724", [("phone", "13506994772"), ("bank_card", "6226 0958 3310 7724")]),
        ("建行4367-4221-8850-1937-266冻结了", [("bank_card", "4367-4221-8850-1937-266")]),
        ("办公室6273 4418，找系秘书", [("phone", "6273 4418")]),
    ],
)
def test_numbers_in_a_row_and_in_parts(text, found):
    assert numbers(text) == found


def test_no_help_line_is_private():
    for country in load_countries().values():
        for line in (*country.lines, *country.emergency):
            assert numbers(f"请打{line.number}，有人在") == []


@pytest.mark.parametrize(
    "text",
    [
        "2023年考了480分",
        "血压150/95",
        "欠了18600块",
        "每天冥想10-15分钟",
        "舍曲林50毫克",
        "iPhone 13 128G",
        "凌晨3点25分",
        "第13800138000号",
    ],
)
def test_numbers_of_nobody(text):
    assert numbers(text) == []


def test_identity_and_bank_cards():
    assert numbers("身份证11010519491231002X") == [("id_card", "11010519491231002X")]
    assert numbers("编号110105194912310021") == []  # its checksum is wrong
    assert numbers("卡号6222021001122334455") == [("bank_card", "6222021001122334455")]
    assert is_id_card("11010519491231002x")
    assert not is_id_card("110105194912310021")
    assert is_luhn("4111111111111111")
    assert not is_luhn("4111111111111112")


def test_a_date_is_private_where_somebody_was_born_on_it():
    assert [text for text in ("我是1998年4月12日生的", "1998年4月12日下了雪") if list(find_birth_dates(text))] == [
        "我是1998年4月12日生的"
    ]


@pytest.mark.parametrize("date", ["03/14/2005", "1947.05.21", "03 jan 2001"])
def test_a_date_in_other_orders(date):
    text = f"dob {date}，保险要填"
    assert [text[start:end] for _, start, end in find_birth_dates(text)] == [date]
