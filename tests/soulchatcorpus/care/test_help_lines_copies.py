"""Help lines in cards are among those that the chat shows, whose sources were looked at."""

import json
import re

from tests.paths import ROOT


def test_every_number_in_the_notices_is_a_checked_one() -> None:
    lines = json.loads((ROOT / "soulchatcorpus" / "care" / "help_lines.json").read_text(encoding="utf-8"))
    known = {
        entry["number"] for country in lines["countries"] for kind in ("lines", "emergency") for entry in country[kind]
    }
    templates = ROOT / "hub_cards" / "templates"
    for name, mark in (("notice.md", "In a crisis"), ("dataset_card.md", "In a crisis")):
        text = (templates / name).read_text(encoding="utf-8")
        notice = text[text.index(mark) : text.index("findahelpline")]
        numbers = re.findall(r"\d{3} \d{3}|\d{3,}", notice)
        assert numbers
        assert set(numbers) <= known, name
