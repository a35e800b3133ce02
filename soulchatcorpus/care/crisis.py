"""Does this text speak of suicide or self-harm? One answer for the corpus (a label) and the chat (show help lines).

A small learned detector decides, with what a few rules found among its words; the rules say the category. What it
finds and misses of messages kept from it stands in `docs/safety.md`. It finds words, not people: a text without a
finding is no proof that all is well.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from .detector import Detector
from .judging import Judgement, judge, load_own_detector, score_each
from .rules import Words

CATEGORIES = ("incitement", "suicide", "self_harm", "death_wish", "other_person")
# From this score a text is a finding; `docs/safety.md` says what other thresholds find, and how often in vain.
THRESHOLD = 0.5
# Nearly all that was learned from are messages of up to 250 characters: a longer text is judged in parts that end with
# sentences.
_PART = re.compile(r".{1,250}(?:(?<=[。！？!?…\n])|\Z)|.{1,250}(?<=[，,；;、\s])|(.{250})", re.DOTALL)
# A part that ends amid words goes on for so many characters, which are judged with the next one, too.
_AMID = 8
# Parts that are scored at once: more of them leave the processor's cache.
_AT_ONCE = 64


@dataclass(slots=True, frozen=True)
class CrisisFinding:
    """What was found in a text.

    Attributes:
        category: the gravest of `CATEGORIES` among the words that the rules found: "incitement" (somebody is told to
            die, or how to), "suicide" (wish, plan or attempt said outright), "self_harm", "death_wish" (hinted at, or
            found by the detector alone), or "other_person" where all of them are about somebody other than the
            speaker.
        spans: start and end, in the text as given, of the words that weighed most.
        score: between the threshold and 1.
    """

    category: str
    spans: list[tuple[int, int]]
    score: float


def find_crisis(text: str, threshold: float = THRESHOLD) -> CrisisFinding | None:
    """What `text` says of suicide or self-harm, present, past, hinted at or another's; None where it says nothing.

    Denials ("我没有想过自杀"), figures of speech ("笑死我了"), films, books, statistics and deaths of other causes are
    not meant to be findings.

    Args:
        text: what was written, of any length.
        threshold: between 0 and 1; a lower one finds more, and more in vain.
    """
    return _together((first, judge(_detector(), part, threshold)) for first, part in _parts(text))


def find_crisis_in_each(texts: Sequence[str], threshold: float = THRESHOLD) -> list[CrisisFinding | None]:
    """`find_crisis` of each of many texts, in a fraction of the time: for a corpus."""
    parts = [(number, first, part) for number, text in enumerate(texts) for first, part in _parts(text)]
    judged = [list[tuple[int, Judgement | None]]() for _ in texts]
    for start in range(0, len(parts), _AT_ONCE):
        batch = parts[start : start + _AT_ONCE]
        scores = score_each(_detector(), [text for _, _, text in batch])
        for (number, first, text), score in zip(batch, scores, strict=True):
            if score >= threshold:
                judged[number].append((first, judge(_detector(), text, threshold)))
    return list(map(_together, judged))


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Where each part that is judged by itself begins, and the part."""
    for part in _PART.finditer(text):
        yield part.start(), text[part.start() : part.end() + _AMID] if part[1] else part[0]


def _together(judged: Iterable[tuple[int, Judgement | None]]) -> CrisisFinding | None:
    """The finding of a text of which parts were judged, each given with the place where it begins."""
    found = [(first, judgement) for first, judgement in judged if judgement]
    if not found:
        return None
    return CrisisFinding(
        category=_category([words for _, judgement in found for words in judgement.words]),
        spans=[(first + start, first + end) for first, judgement in found for start, end in judgement.spans],
        score=max(judgement.score for _, judgement in found),
    )


def _category(words: list[Words]) -> str:
    meant = [found for found in words if found.manner in ("meant", "another") and found.kind in CATEGORIES]
    of_speaker = {found.kind for found in meant if found.manner == "meant" or found.kind == "incitement"}
    if meant and not of_speaker:
        return "other_person"
    return min(of_speaker, key=CATEGORIES.index, default="death_wish")


@cache
def _detector() -> Detector:
    return load_own_detector("crisis")
