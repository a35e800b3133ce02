"""Tables and names as a reader of Markdown sees them."""

import html
import re

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hub_cards.markdown import Marked, cell, code, plain, table

NAMES = [
    "a|b",
    "a\nb",
    "a\r\n\n# 标题",
    "![x](http://tracker.example/x.png)",
    "[x](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "</td><script>alert(1)</script>",
    "`a`",
    "**a**",
    "a\\|b",
    "&lt;b&gt;",
    "~~a~~",
]
READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def shown(markdown: str) -> list[str]:
    """The cells of a table, as text; whatever tag is in one stays in it."""
    found = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", READER.render(markdown))
    return [html.unescape(cell) for cell in found]


def test_a_name_is_shown_as_it_is() -> None:
    for name in NAMES:
        assert shown(table(["Model", "B-1"], [[plain(name), "1"]])) == ["Model", "B-1", " ".join(name.split()), "1"]
        assert READER.render(plain(name)).count("<") == 2, name  # a paragraph's


def test_a_cell_is_text_unless_it_says_otherwise() -> None:
    for name in NAMES:
        assert shown(table(["a", name], [[name, "1"]])) == shown(table(["a", plain(name)], [[plain(name), "1"]]))
    assert cell(Marked("1<sup>a</sup>")) == "1<sup>a</sup>"
    assert table(["a"], [[code("b|c")]]).endswith("| `b\\|c` |")


def test_no_text_turns_what_stands_behind_it_or_steers_a_terminal() -> None:
    for text in ("\u202eabc", "a\x1b]0;title\x07", "\u2066a", "\x9b2Ja"):
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", plain(text) + code(text) + cell(text))


@given(st.text(alphabet=st.sampled_from("ab|\\`*~[]()<>&!#\n\r \u2028"), min_size=1))
def test_no_text_is_more_than_its_cell(text: str) -> None:
    page = READER.render(table(["a", "b"], [[plain(text), "1"]]))
    assert page.count("<td>") == 2
    assert not re.search(r"<(?!/?(?:table|thead|tbody|tr|th|td)>)", page)


def test_code_is_one_span() -> None:
    assert code("a`b\nc") == "`a'b c`"
