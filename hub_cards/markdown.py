"""The one maker of Markdown tables."""

import re
from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numeric: bool = False) -> str:
    """A table, without a newline at its end; `numeric`: all columns but the first stand at their right side."""
    rules = ["---", *["---:" if numeric else "---"] * (len(head) - 1)]
    return "\n".join(
        f"| {' | '.join(line)} |" for line in ([*map(cell, head)], rules, *([*map(cell, r)] for r in rows))
    )


def cell(text: str) -> str:
    """A text as a cell: in one line, its bars no borders."""
    return " ".join(text.split()).replace("\\|", "|").replace("|", "\\|")


def plain(text: str) -> str:
    """A text that somebody else has chosen, such as a name, so that Markdown shows it as it is: links, pictures and
    tags are none, and it is one line."""
    return re.sub(r"[\\`*~\[\]<>&|]", r"\\\g<0>", " ".join(text.split()))


def code(text: str) -> str:
    """A text as a code span, in one line."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"
