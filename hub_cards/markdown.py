"""The one maker of Markdown tables."""

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
