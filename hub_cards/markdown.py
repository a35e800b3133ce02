"""The one maker of Markdown tables. A cell is text, which is shown as it is, unless it says that it is Markdown."""

import re
from collections.abc import Sequence

from .printable import printable


class Marked(str):
    """Text that is Markdown already, such as what `plain` and `code` return."""

    __slots__ = ()


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numeric: bool = False) -> str:
    """A table, without a newline at its end; `numeric`: all columns but the first stand at their right side."""
    rules = ["---", *["---:" if numeric else "---"] * (len(head) - 1)]
    lines: list[Sequence[str]] = [list(map(cell, head)), rules, *(list(map(cell, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> Marked:
    """A text as a cell: in one line, its bars no borders, its marks none unless it is `Marked`."""
    marked = text if isinstance(text, Marked) else plain(text)
    return Marked(_in_one_line(marked).replace("\\|", "|").replace("|", "\\|"))


def plain(text: str) -> Marked:
    """A text that somebody else has chosen, such as a name, so that Markdown shows it as it is: links, pictures and
    tags are none, and it is one line."""
    return Marked(re.sub(r"[\\`*~\[\]<>&|]", r"\\\g<0>", _in_one_line(text)))


def code(text: str) -> Marked:
    """A text as a code span, in one line."""
    return Marked(f"`{_in_one_line(text).replace('`', chr(39))}`")


def _in_one_line(text: str) -> str:
    return printable(" ".join(text.split()))
