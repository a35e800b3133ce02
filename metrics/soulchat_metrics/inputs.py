"""What may be scored: pairs of texts, checked before anything is computed."""

from collections.abc import Sequence


def check_pairs(predictions: Sequence[object], references: Sequence[object]) -> tuple[list[str], list[str]]:
    """The pairs as two lists of strings.

    Args:
        predictions: one string a pair.
        references: one string a pair, or a list with one string.

    Raises:
        ValueError: the lengths differ, there is nothing to score, or an entry is no text; names the first such row.
    """
    for name, texts in (("predictions", predictions), ("references", references)):
        if isinstance(texts, str) or not isinstance(texts, Sequence):
            raise ValueError(f"{name} is one {type(texts).__name__}; it must be a list of strings")
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions but {len(references)} references; there must be as many")
    checked = [_check_text(text, "prediction", row) for row, text in enumerate(predictions)]
    return checked, [_check_text(_only_reference(text, row), "reference", row) for row, text in enumerate(references)]


def is_blank(text: str) -> bool:
    """Whether a text is empty or only whitespace: it scores 0, and is counted."""
    return not text or text.isspace()


def _only_reference(reference: object, row: int) -> object:
    if not isinstance(reference, list | tuple):
        return reference
    if len(reference) != 1:
        raise ValueError(f"reference {row} is a list of {len(reference)}; each prediction has exactly one reference")
    return reference[0]


def _check_text(text: object, name: str, row: int) -> str:
    if not isinstance(text, str):
        raise ValueError(f"{name} {row} is {type(text).__name__} ({text!r:.40}); it must be a string")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{name} {row} has a lone surrogate at character {error.start}; it is no Unicode text"
            ) from None
    return text
