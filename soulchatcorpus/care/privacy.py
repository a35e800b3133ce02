"""Private details in a text: numbers, handles, addresses, births, schools and employers, and names.

Rules in plain `re` and a small model of names work on folded text, so that disguised details are found as well;
numbers with a checksum are verified. Names and places in general need a recogniser (jieba's, on request).
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

import numpy as np

from ..sieve import Openings, Sieve
from .folding import HAN, fold_characters, read_html
from .private_accounts import (
    ACCOUNT_OPENINGS,
    MAIL_OPENINGS,
    MENTION_OPENINGS,
    NAMED_ACCOUNT_OPENINGS,
    PLATE_OPENINGS,
    URL_OPENINGS,
    find_accounts,
    find_mails,
    find_mentions,
    find_named_accounts,
    find_plates,
    find_urls,
)
from .private_foreign_names import (
    DOTTED_NAME_OPENINGS,
    LATIN_NAME_OPENINGS,
    find_dotted_names,
    find_latin_names,
    find_names_of_peoples,
    openings_of_names_of_peoples,
)
from .private_names import find_names_in_each, find_titled, is_kin_or_role, openings_of_titled
from .private_numbers import BIRTH_DATE_OPENINGS, NUMBER_OPENINGS, Found, find_birth_dates, find_numbers
from .private_places import (
    WESTERN_ADDRESS_OPENINGS,
    find_addresses,
    find_organisations,
    find_western_addresses,
    is_generic,
)
from .second_look import load_second_look
from .tagger import Reading, Tagger, load_tagger, sentence_around
from .traits import EDGE
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
    return find_private_in_each([text], recogniser)[0]


def find_private_in_each(texts: Sequence[str], recogniser: bool = False) -> list[list[PrivateSpan]]:
    """`find_private` of each of many texts, in a fraction of the time: for a corpus."""
    found = [list[PrivateSpan]() for _ in texts]
    for start in range(0, len(texts), _AT_ONCE):
        for number, span in _find(texts[start : start + _AT_ONCE]):
            _add(found[start + number], span)
    if recogniser:
        for text, spans in zip(texts, found, strict=True):
            for span in _recognise(text):
                _add(spans, span)
    return found


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


# Texts that are looked at together: more of them leave the processor's cache.
_AT_ONCE = 16


def _find(texts: Sequence[str]) -> Iterator[tuple[int, PrivateSpan]]:
    """All candidates with the number of their text; for each text the most certain first."""
    folded = read_html(fold_characters(EDGE.join([*texts, ""])))
    typed_starts = [0, *accumulate(len(text) + len(EDGE) for text in texts)][:-1]
    starts = folded.starts.searchsorted(typed_starts).tolist()
    ends = [start - len(EDGE) for start in [*starts[1:], len(folded.text)]]

    def as_span(number: int, kind: str, start: int, end: int) -> PrivateSpan:
        return PrivateSpan(kind, *folded.original(start, end)).shifted(-typed_starts[number])

    sieve, own_bits = _load_sieve()
    opened = np.bitwise_or.reduceat(sieve.sift(folded.text), starts).tolist()
    for number, (text, start, end, bits) in enumerate(zip(texts, starts, ends, opened, strict=True)):
        for finder, own in zip(_FINDERS, own_bits, strict=True):
            if not bits & own:
                continue
            if finder.typed:
                yield from ((number, PrivateSpan(*found)) for found in finder.find(text))
            else:
                for kind, first, last in finder.find(folded.text[start:end]):
                    yield number, as_span(number, kind, start + first, start + last)
    for kind, first, last in _find_named(folded.text):
        number = bisect_right(starts, first) - 1
        yield number, as_span(number, kind, first, last)


@dataclass(frozen=True, slots=True)
class _Finder:
    """What finds (kind, start, end) in a folded text, or in one as it was `typed`, that has one of the openings.

    These are groups of openings as a `Sieve` has them, of folded text in any case.
    """

    find: Callable[[str], Iterable[Found]]
    openings: Openings
    typed: bool = False


def _find_titled(text: str) -> Iterator[Found]:
    """("name", start, end) of each surname with a title or after 小, 老 or 阿, in sentences of any kind."""
    first, last, sentence = 0, 0, ""
    for start, end in find_titled(text):
        if start >= last:
            first, last = sentence_around(text, start)
            sentence = text[first:last]
        if not _is_nobodys("name", sentence, start - first, end - first):
            yield "name", start, end


# What the labeller's margin and the second look come to together for a detail of these kinds.
_SURE = {"name": 10.0, "address": 10.0, "organisation": 10.0}
# In order of precedence: a later one never takes over a span of an earlier one.
_FINDERS = (
    _Finder(find_plates, PLATE_OPENINGS),
    _Finder(find_mails, MAIL_OPENINGS),
    _Finder(find_urls, URL_OPENINGS),
    _Finder(find_birth_dates, BIRTH_DATE_OPENINGS),
    _Finder(find_numbers, NUMBER_OPENINGS),
    _Finder(find_accounts, ACCOUNT_OPENINGS),
    _Finder(find_mentions, MENTION_OPENINGS),
    _Finder(find_named_accounts, NAMED_ACCOUNT_OPENINGS),
    _Finder(find_western_addresses, WESTERN_ADDRESS_OPENINGS, typed=True),
    _Finder(find_latin_names, LATIN_NAME_OPENINGS, typed=True),
    _Finder(find_dotted_names, DOTTED_NAME_OPENINGS, typed=True),
    _Finder(find_names_of_peoples, openings_of_names_of_peoples()),
    _Finder(_find_titled, openings_of_titled()),
)


@cache
def _load_sieve() -> tuple[Sieve, list[int]]:
    """A sieve of all openings, and which of its bits are those of each finder."""
    ends = accumulate(len(finder.openings) for finder in _FINDERS)
    own_bits = [(1 << end) - (1 << end - len(finder.openings)) for finder, end in zip(_FINDERS, ends, strict=True)]
    return Sieve([group for finder in _FINDERS for group in finder.openings]), own_bits


def _find_named(text: str) -> Iterator[Found]:
    """(kind, start, end) of what names a person, a place or an organisation, in the sentences that may hold one."""
    tagger = load_tagger()
    places = list(tagger.suspicious(text))
    if not places:
        return
    for kind, start, end, margin in read_named(text, places, tagger):
        sure = _SURE.get(kind)
        if sure is None or margin + load_second_look().likelihood(text, kind, start, end) >= sure:
            yield kind, start, end


def read_named(text: str, places: Sequence[tuple[int, int]], tagger: Tagger) -> Iterator[Reading]:
    """What the labeller reads in some sentences of a folded text, less what is nobody's; it wants a second look."""
    sentences = [text[start:end] for start, end in places]
    likely = list[Found]()
    for (start, _), sentence, names in zip(places, sentences, find_names_in_each(sentences), strict=True):
        found = (*find_addresses(sentence), *find_organisations(sentence), *(("name", *span) for span in names))
        likely += [(kind, start + first, start + last) for kind, first, last in found]
    for reading in tagger.read(text, places, likely):
        kind, first, last, _ = reading
        number = bisect_right(places, (first, len(text))) - 1
        start = places[number][0]
        of_a_message = kind == "birth_date" and _TIME.match(text, last)
        nobodys = of_a_message or _is_nobodys(kind, sentences[number], first - start, last - start)
        if _FORMS[kind].fullmatch(text, first, last) and not nobodys:
            yield reading


def _is_nobodys(kind: str, sentence: str, start: int, end: int) -> bool:
    """Whether it is of somebody whom all know, of many, or in the title of a book or a film: 《…》."""
    if kind == "name":
        nobodys = is_kin_or_role(sentence[start:end]) or is_well_known(sentence, start, end)
    else:
        nobodys = kind == "organisation" and is_generic(sentence[start:end])
    return nobodys or sentence.rfind("《", 0, start) > sentence.rfind("》", 0, start)


# Behind the date of a message.
_TIME = re.compile(" ?[0-9]{1,2}:[0-9]{2}")
# What a detail that was read has at least: so many characters, and of its kind. Latin names go by `find_latin_names`.
_FORMS = {
    "name": re.compile(f"[{HAN}]{{2,}}(?:[·-][{HAN}]+)*"),
    "address": re.compile(
        f"(?!.*[0-9][0-9-]{{7}}|.*[某到]|.*[0-9][人元])(?![今昨明后前]天|.?[0-9]+[月日号])(?=.*[{HAN}].*[{HAN}])(?=.{{4}}).*"
        "(?:[路街巷弄道村镇乡县区市省州旗园苑庄里湾坊院庭府居城屯寨号栋幢座层楼室房组队期床舍门堂厦寓站场馆桥塔店后旁边]"
        "|单元|[0-9]-[0-9]|[a-z] [0-9]).*"
    ),
    "organisation": re.compile(f"(?!一[个家所]|[的某那这办])(?=.*[{HAN}]{{2}}).{{4,}}"),
    "handle": re.compile(".{3,}"),
    "id_number": re.compile("(?!.*[0-9]{15})(?=.*[0-9].*[0-9].*[0-9]).{5,}"),
    "birth_date": re.compile(".{6,}"),
}


def _add(found: list[PrivateSpan], span: PrivateSpan) -> None:
    """Add a span, to those of its kind that it overlaps, unless it overlaps an earlier one of another kind.

    Those found, in order, do not overlap.
    """
    first = bisect_right(found, span.start, key=lambda other: other.end)
    behind = bisect_left(found, span.end, key=lambda other: other.start)
    over = found[first:behind]
    if all(other.kind == span.kind for other in over):
        together = [span, *over]
        start, end = min(each.start for each in together), max(each.end for each in together)
        found[first:behind] = [PrivateSpan(span.kind, start, end)]


def _recognise(text: str) -> Iterator[PrivateSpan]:
    from jieba import posseg  # loads a dictionary of 5 MB

    position = 0
    for word, tag in posseg.cut(text):
        if tag in ("nr", "ns") and len(word) > 1:
            yield PrivateSpan("name" if tag == "nr" else "place", position, position + len(word))
        position += len(word)
