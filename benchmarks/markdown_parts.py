"""Pieces of Markdown that the READMEs and the benchmark page share."""

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, without a newline at its end."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def cell(text: str) -> str:
    """A text as a cell of a table: in one line."""
    return " ".join(text.split()).replace("|", "\\|")


def last_words(prompt: str) -> str:
    """What the user said last in a prompt of the paper's form, as a cell."""
    return cell(prompt.rsplit("用户：", 1)[-1].removesuffix("心理咨询师："))
