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
