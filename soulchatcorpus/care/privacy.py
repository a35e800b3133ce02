"""Private details in a text: numbers, handles, addresses, births, schools and employers, and names.

Rules in plain `re` and a small model of names work on folded text, so that disguised details are found as well;
numbers with a checksum are verified. Names and places in general need a recogniser (jieba's, on request).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .folding import HAN, Folded, fold_characters
from .private_accounts import find_accounts, find_pages
from .private_foreign_names import find_dotted_names, find_latin_names, find_names_of_peoples
from .private_names import find_names, find_titled, is_kin_or_role
from .private_numbers import Found, find_birth_dates, find_numbers
from .private_places import find_addresses, find_organisations, find_western_addresses, is_generic
from .second_look import load_second_look
from .tagger import Reading, Tagger, load_tagger
from .well_known import is_well_known

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
    for kind, start, end in _find_named(folded.text):
        yield PrivateSpan(kind, *folded.original(start, end))


# What the labeller's margin and the second look come to together for a name.
_SURE_OF_NAME = 9.5
_LONGEST_TITLE = 30
# In order of precedence: a later one never takes over a span of an earlier one.
_FINDERS = (find_pages, find_birth_dates, find_numbers, find_accounts)


def _find_named(text: str) -> Iterator[Found]:
    """(kind, start, end) of what names a person, a place or an organisation, in the sentences that may hold one."""
    yield from (("name", start, end) for start, end in find_names_of_peoples(text))
    tagger = load_tagger()
    for first, last in tagger.suspicious(text):
        for start, end in find_titled(text[first:last]):
            if not is_nobodys("name", text, first + start, first + end):
                yield "name", first + start, first + end
        for kind, start, end, margin in read_named(text, first, last, tagger):
            if kind != "name" or margin + load_second_look().likelihood(text, start, end) >= _SURE_OF_NAME:
                yield kind, start, end


def read_named(text: str, start: int, end: int, tagger: Tagger) -> Iterator[Reading]:
    """What the labeller reads in one sentence of a folded text, less what is nobody's; names want a second look."""
    sentence = text[start:end]
    named = (("name", *span) for span in find_names(sentence))
    likely = (*find_addresses(sentence), *find_organisations(sentence), *named)
    for reading in tagger.read(text, start, end, [(k, start + s, start + e) for k, s, e in likely]):
        kind, first, last, _ = reading
        if _FORMS[kind].fullmatch(text, first, last) and not is_nobodys(kind, text, first, last):
            yield reading


def is_nobodys(kind: str, text: str, start: int, end: int) -> bool:
    """Whether it is of somebody whom all know, of many, or in a title."""
    if kind == "name":
        nobodys = is_kin_or_role(text[start:end]) or is_well_known(text, start, end)
    else:
        nobodys = kind == "organisation" and is_generic(text[start:end])
    return nobodys or _in_title(text, start)


def _in_title(text: str, place: int) -> bool:
    """Whether it stands in the title of a book or a film: 《…》."""
    before = text[max(0, place - _LONGEST_TITLE) : place]
    return before.rfind("《") > before.rfind("》")


# What a detail that was read has at least: so many characters, and of its kind. Latin names go by `find_latin_names`.
_FORMS = {
    "name": re.compile(f"[{HAN}]{{2,}}(?:[·-][{HAN}]+)*"),
    "address": re.compile(
        f"(?!.*[0-9][0-9-]{{7}}|.*[某到]|.*[0-9]元)(?![今昨明后前]天|.?[0-9]+[月日号])(?=.{{4}})(?=.*[{HAN}].*[{HAN}]).*"
        "(?:[路街巷弄道村镇乡县区市省州旗园苑庄里湾坊院庭府居城屯寨号栋幢座层楼室房组队期床舍门堂厦寓站场馆桥塔店后旁边]"
        "|单元|[0-9]-[0-9]|[a-z] [0-9]).*"
    ),
    "organisation": re.compile(f"(?!一[个家所]|[的某那这办])(?=.*[{HAN}]{{2}}).{{4,}}"),
    "handle": re.compile(".{3,}"),
    "id_number": re.compile("(?!.*[0-9]{15})(?=.*[0-9].*[0-9].*[0-9]).{5,}"),
    "birth_date": re.compile(".{6,}"),
}


def _as_spans(kind: str, places: Iterable[tuple[int, int]]) -> Iterator[PrivateSpan]:
    return (PrivateSpan(kind, start, end) for start, end in places)


def _add(found: list[PrivateSpan], span: PrivateSpan) -> None:
    """Add a span, to those of its kind that it overlaps, unless it overlaps an earlier one of another kind."""
    over = [other for other in found if span.start < other.end and other.start < span.end]
    if all(other.kind == span.kind for other in over):
        found[:] = [other for other in found if other not in over]
        together = [span, *over]
        found.append(PrivateSpan(span.kind, min(each.start for each in together), max(each.end for each in together)))


def _recognise(text: str) -> Iterator[PrivateSpan]:
    from jieba import posseg  # loads a dictionary of 5 MB

    position = 0
    for word, tag in posseg.cut(text):
        if tag in ("nr", "ns") and len(word) > 1:
            yield PrivateSpan("name" if tag == "nr" else "place", position, position + len(word))
        position += len(word)
