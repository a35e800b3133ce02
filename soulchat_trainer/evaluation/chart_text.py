"""Names of others in charts."""

from hub_cards.printable import printable


def chart_text(text: str) -> str:
    """A text as matplotlib shows it as it is: in one line, and no formula, whatever dollar signs it has."""
    return printable(" ".join(text.split())).replace("$", r"\$")
