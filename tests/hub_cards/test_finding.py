"""Findings as lines, and the lines of a card that are looked at."""

from hub_cards.finding import Finding, numbered_prose


def test_a_finding_reads_like_a_compilers() -> None:
    assert str(Finding("README.md", 3, "dead link: a.png")) == "README.md:3: dead link: a.png"
    assert str(Finding("README.md", None, "there is no card")) == "README.md: there is no card"


def test_head_code_and_quotations_are_left_out() -> None:
    text = "---\nlicense: mit\n---\n# A\n```python\nTODO\n```\n> TODO\ntext"
    assert list(numbered_prose(text)) == [(4, "# A"), (9, "text")]
    assert list(numbered_prose("a\n---\nb")) == [(1, "a"), (2, "---"), (3, "b")]
