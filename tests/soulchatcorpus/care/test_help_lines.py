"""The help lines: every number has a source and a day, and the right ones come first."""

import datetime
import json
from importlib.resources import files

import pytest

from soulchatcorpus.care.help_lines import check_country, list_help_lines, load_countries, render_help_lines

LINES = [line for country in load_countries().values() for line in (*country.lines, *country.emergency)]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.number)
def test_every_number_has_a_source_and_a_day_on_which_it_was_checked(line):
    assert line.source.startswith("http")
    assert datetime.date(2025, 1, 1) < datetime.date.fromisoformat(line.checked)
    assert set(line.name) == {"zh", "en"}
    assert line.number.replace("-", "").replace(" ", "").isdigit()


def test_every_country_has_help_and_emergency_numbers_and_a_place_in_both_orders():
    order = json.loads(files("soulchatcorpus.care").joinpath("help_lines.json").read_text(encoding="utf-8"))["order"]
    for country in load_countries().values():
        assert country.lines
        assert country.emergency
    assert sorted(order["zh"]) == sorted(order["en"]) == sorted(load_countries())


def test_chinese_begins_with_12356_and_its_emergency_numbers():
    opening, first, emergency, others, elsewhere = render_help_lines("zh").splitlines()
    assert "伤害自己的念头" in opening
    assert first.startswith("中国大陆：全国统一心理援助热线 12356")
    assert emergency == "紧急情况：急救 120；报警 110"
    assert "香港 18111（紧急 999）" in others
    assert elsewhere == "其他国家和地区：findahelpline.com"
    assert list_help_lines("zh")[0] == {
        "country": "CN",
        "name": "全国统一心理援助热线",
        "number": "12356",
        "emergency": False,
    }


def test_english_names_every_country_once():
    _, everywhere, elsewhere = render_help_lines("en").splitlines()
    assert everywhere.startswith("United States 988 (emergency 911); Canada 988")
    assert everywhere.count("emergency") == len(load_countries())
    assert elsewhere == "Elsewhere: findahelpline.com"
    assert {row["country"] for row in list_help_lines("en")} == set(load_countries())


def test_a_named_country_comes_first():
    assert render_help_lines("zh", "TW").splitlines()[1].startswith("台湾：安心专线 1925")
    assert {row["country"] for row in list_help_lines("en", "GB")} == {"GB"}
    with pytest.raises(ValueError, match="no help lines for country 'XX'; known: CN, HK"):
        check_country("XX")
