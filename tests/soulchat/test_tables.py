"""Tables for a terminal: no marks of Markdown or HTML, no cell cut."""

import re

import pytest

from soulchat import tables
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


NUMBERS = [f"{n}.25ᵃᵇ" for n in range(10, 24)]
WIDE_TABLE = "\n".join(
    [
        f"| Model | {' | '.join(f'Share of replies {n}' for n in range(14))} |",
        f"| --- |{' ---: |' * 14}",
        f"| a untrained:demo | {' | '.join(NUMBERS)} |",
        f"| b 我的模型 | {' | '.join(NUMBERS)} |",
    ]
)


@pytest.mark.parametrize("width", [40, 80, 160])
def test_no_number_is_cut_in_a_narrow_window(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "WIDE", width)
    print_markdown(WIDE_TABLE)
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert [len(re.findall(number, printed)) for number in NUMBERS] == [2] * 14
    assert printed.count("a untrained:demo") == printed.count("b 我的模型") >= (160 // width)
    assert max(map(len, printed.splitlines())) <= width


def test_text_is_broken_between_words(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "WIDE", 60)
    said = "the client says the same thing again and again, whatever is asked"
    print_markdown(f"| why | n |\n| --- | ---: |\n| {said} | 12 |\n")
    printed = capsys.readouterr().out
    assert " ".join(re.findall(r"[a-z,]+", printed)) == f"why n {said}"
    assert printed.split("asked")[0].count("12") == 1
