"""What may be scored: pairs of texts, checked before anything is computed."""

from collections.abc import Iterable, Mapping, Set

import numpy as np


def check_pairs(predictions: Iterable[object], references: Iterable[object]) -> tuple[list[str], list[str]]:
    """The pairs as two lists of strings.

    Args:
        predictions: one string a pair, in a list, an array, a Series, a column of a data set, or a generator.
        references: one string a pair, or a list with one string.

    Raises:
        ValueError: the lengths differ, or an entry is no text; names the first such row.
    """
    predictions, references = _as_list("predictions", predictions), _as_list("references", references)
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions but {len(references)} references; allowed: as many")
    checked = [_check_text(text, "prediction", row) for row, text in enumerate(predictions)]
    return checked, [_check_text(_only_reference(text, row), "reference", row) for row, text in enumerate(references)]


def is_blank(text: str) -> bool:
    """Whether a text is empty or only whitespace: it scores 0, and is counted."""
    return not text or text.isspace()


def _as_list(name: str, texts: Iterable[object]) -> list[object]:
    kind = type(texts).__name__
    # A DataFrame is known by its name, for importing pandas takes longer than all of ours; it would give its columns.
    if isinstance(texts, str | bytes | Mapping) or not isinstance(texts, Iterable) or kind == "DataFrame":
        raise ValueError(f"{name} is one {kind}; allowed: a list of strings")
    if isinstance(texts, Set):
        raise ValueError(f"{name} is one {kind}, which has no order; allowed: a list of strings")
    if isinstance(texts, np.ndarray) and texts.ndim == 0:
        raise ValueError(f"{name} is an array of 0 dimensions; allowed: a list of strings")
    return list(texts)


def _only_reference(reference: object, row: int) -> object:
    if not isinstance(reference, list | tuple | np.ndarray):
        return reference
    if len(reference) != 1:
        raise ValueError(f"reference {row} is a list of {len(reference)}; each prediction has exactly one reference")
    return reference[0]


def _check_text(text: object, name: str, row: int) -> str:
    if not isinstance(text, str):
        raise ValueError(f"{name} {row} is {type(text).__name__} ({text!r:.40}); allowed: a string")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{name} {row} has a lone surrogate at character {error.start}, which is no text"
            ) from None
    return text
