"""Private details in a text: numbers, handles, addresses, births, schools and employers, and names.

Rules in plain `re` and a small model of names work on folded text, so that disguised details are found as well;
numbers with a checksum are verified. Names and places in general need a recogniser (jieba's, on request).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .folding import Folded, fold_characters
from .private_accounts import find_accounts, find_pages
from .private_foreign_names import find_dotted_names, find_latin_names, find_names_of_peoples
from .private_names import find_names
from .private_numbers import find_birth_dates, find_numbers
from .private_places import find_addresses, find_organisations, find_western_addresses

KINDS = (
    "phone",
    "id_card",
    "id_number",
    "bank_card",
    "email",
    "url",
    "handle",
    "plate",
    "birth_date",
    "address",
    "organisation",
    "name",
    "place",
)


@dataclass(slots=True, frozen=True)
class PrivateSpan:
    """Where a private detail stands: `kind` is one of `KINDS`."""

    kind: str
    start: int
    end: int

    def shifted(self, by: int) -> "PrivateSpan":
        """The same detail in a text that begins `by` characters earlier."""
        return PrivateSpan(self.kind, self.start + by, self.end + by)


def find_private(text: str, recogniser: bool = False) -> list[PrivateSpan]:
    """The private details of a text in order, none overlapping another, none over a line break.

    `recogniser` adds the names and places that jieba's part-of-speech tagger finds: slow, and often wrong, so fit for
    flagging rather than masking.
    """
    folded = fold_characters(text)
    found: list[PrivateSpan] = []
    for span in _find(text, folded):
        _add(found, span)
    if recogniser:
        for span in _recognise(text):
            _add(found, span)
    return sorted(found, key=lambda span: span.start)


def mask_private(text: str) -> str:
    """`text` with every private detail replaced by its kind in brackets: `[phone]`."""
    return mask_spans(text, find_private(text))


def mask_spans(text: str, spans: list[PrivateSpan]) -> str:
    """`text` with these spans, as `find_private` gives them, replaced by their kinds in brackets."""
    parts, end = [], 0
    for span in spans:
        parts += [text[end : span.start], f"[{span.kind}]"]
        end = span.end
    return "".join(parts) + text[end:] if parts else text


def _find(text: str, folded: Folded) -> Iterator[PrivateSpan]:
    """All candidates, the most certain first."""
    for finder in _FINDERS:
        for kind, start, end in finder(folded.text):
            yield PrivateSpan(kind, *folded.original(start, end))
    yield from _as_spans("address", find_western_addresses(text))
    yield from _as_spans("name", find_latin_names(text))
    yield from _as_spans("name", find_dotted_names(text))
    for start, end in (*find_names_of_peoples(folded.text), *find_names(folded.text)):
        yield PrivateSpan("name", *folded.original(start, end))


# In order of precedence: a later one never takes over a span of an earlier one.
_FINDERS = (find_pages, find_birth_dates, find_addresses, find_numbers, find_accounts, find_organisations)


def _as_spans(kind: str, places: Iterable[tuple[int, int]]) -> Iterator[PrivateSpan]:
    return (PrivateSpan(kind, start, end) for start, end in places)


def _add(found: list[PrivateSpan], span: PrivateSpan) -> None:
    """Add a span unless an earlier, more certain one overlaps it."""
    if not any(span.start < other.end and other.start < span.end for other in found):
        found.append(span)


def _recognise(text: str) -> Iterator[PrivateSpan]:
    from jieba import posseg  # loads a dictionary of 5 MB

    position = 0
    for word, tag in posseg.cut(text):
        if tag in ("nr", "ns") and len(word) > 1:
            yield PrivateSpan("name" if tag == "nr" else "place", position, position + len(word))
        position += len(word)
