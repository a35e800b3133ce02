import re

import pytest

from soulchat.web.help_box import render_help_box
from soulchatcorpus.care.help_lines import load_countries, render_help_lines

NUMBERS = re.compile(r'<a href="tel:(\d+)">([^<]*)</a>')


@pytest.mark.parametrize("country", [None, *load_countries()])
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("brief", [False, True])
def test_every_number_of_the_text_can_be_dialled(language, country, brief):
    box = render_help_box(language, country, brief)
    numbers = NUMBERS.findall(box)
    assert all(re.sub(r"\D", "", shown) == dialled for dialled, shown in numbers)
    text = render_help_lines(language, country)
    assert all(shown in text for _, shown in numbers)
    assert {row.lines[0].number for row in load_countries().values()} <= {shown for _, shown in numbers}
    assert '<a href="https://findahelpline.com" target="_blank" rel="noopener noreferrer">' in box


def test_the_first_country_is_in_sight_and_the_others_are_folded():
    shown, folded = render_help_box("zh").split("<details>")
    assert [number for _, number in NUMBERS.findall(shown)] == ["12356", "010-82951332", "12355", "120", "110"]
    assert "988" in folded
    shown, folded = render_help_box("en", "HK", brief=True).split("<details>")
    assert [number for _, number in NUMBERS.findall(shown)] == ["18111", "999"]
    assert "2389 2222" in folded
    assert "12356" in folded
    assert "<details open>" in render_help_box("en")  # where nobody knows the country, nothing is hidden


def test_there_are_no_lines_of_a_country_that_nobody_knows():
    with pytest.raises(ValueError, match="no help lines for country 'XX'"):
        render_help_box("zh", "XX")
