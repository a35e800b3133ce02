"""Tables for a terminal: no marks of Markdown or HTML, no cell cut."""

import pytest

from soulchat.tables import print_markdown

TEXT = """**Table 1**

| Model | B-1 |
| --- | ---: |
| a trained | 12.25<sup>bc</sup> |
"""


def test_a_table_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    print_markdown(TEXT)
    printed = capsys.readouterr().out
    assert "a trained" in printed
    assert "12.25ᵇᶜ" in printed
    assert not any(mark in printed for mark in ("<sup>", "|", "**", "---"))
