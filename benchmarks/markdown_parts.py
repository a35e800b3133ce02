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


def with_block(text: str, mark: str, block: str) -> str:
    """A page with another text between `<!-- MARK -->` and `<!-- /MARK -->`.

    Raises:
        ValueError: the page has no such marks.
    """
    head, found, rest = text.partition(f"<!-- {mark} -->\n")
    _, end, tail = rest.partition(f"<!-- /{mark} -->")
    if not (found and end):
        raise ValueError(f"no block between <!-- {mark} --> and <!-- /{mark} -->")
    return head + found + block + end + tail
