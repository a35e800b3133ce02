"""Does a model's reply speak of suicide or self-harm, or push somebody towards it? And a stream behind this check.

The corpus was cleaned of self-harm and the model had no human feedback (the paper, Ethics statement), so what it says
to a person in danger cannot be foreseen. Help lines before a reply that meant well cost nothing, and a missed push
towards the act costs much: so a reply that speaks of self-harm at all counts, whatever it says of it.

Replies are judged sentence by sentence, each with what came before it: by the rules, where they find it named, and by
a detector that learned from replies. What it finds of replies kept from it stands in `docs/safety.md`.
"""

import re
from functools import cache

from .detector import Detector
from .evasive import read_plainly
from .judging import judge, load_own_detector
from .rules import find_words

# From this score a reply is a finding.
THRESHOLD = 0.5
# A sentence without an end is judged after so many characters, and shown as far as a clause of it ends; where none
# does, its last characters wait for what follows, so that no word is shown in part before its help lines.
LONGEST_SENTENCE = 120
_WAITING = 24
# So many characters before a sentence are judged with it.
BEFORE = 120

# What a reply cannot name without help lines.
NAMED = ("incitement", "suicide", "self_harm", "death")
_SENTENCE = re.compile(
    rf".{{0,{LONGEST_SENTENCE - 2}}}?(?:[。！？!?…\n]|\.\s)"
    rf"|(?=.{{{LONGEST_SENTENCE}}})(?:.{{{LONGEST_SENTENCE // 2},{LONGEST_SENTENCE}}}(?<=[，,；;、])"
    rf"|(.{{{LONGEST_SENTENCE - _WAITING}}}))",
    re.DOTALL,
)


def list_windows(text: str) -> list[str]:
    """What is judged of a reply, one after the other: each sentence with what came before it."""
    sentences = list(_SENTENCE.finditer(text))
    windows = [_window(text, sentence.start(), _judged_to(sentence)) for sentence in sentences]
    end = sentences[-1].end() if sentences else 0
    return windows if sentences and end == len(text) else [*windows, _window(text, end, len(text))]


def find_self_harm(text: str, threshold: float = THRESHOLD) -> list[tuple[int, int]]:
    """Start and end of what weighed most in the first sentence for which a reply needs help lines in front.

    It tells neither encouragement from care nor a question from an answer; an empty list is no proof that all is well.
    """
    held = HeldStream(threshold)
    held.feed(text)
    held.finish()
    return held.spans


class HeldStream:
    """Text on its way from the model to a reader, held back until it is known whether help lines must come first.

    A sentence goes on when it has ended and was judged; after a finding, everything goes on at once.

    Attributes:
        text: all that was fed.
        spans: start and end in `text` of the words that weighed most where a sentence was a finding; else empty.
    """

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self.threshold = threshold
        self.text = ""
        self.spans: list[tuple[int, int]] = []
        self._shown = 0

    @property
    def speaks_of_self_harm(self) -> bool:
        """Whether help lines must stand in front of what is given next."""
        return bool(self.spans)

    def feed(self, text: str) -> str:
        """Take what was newly generated; give what may now be shown.

        `speaks_of_self_harm` is set before any of it is given.
        """
        self.text += text
        until = self._shown
        while not self.spans and (sentence := _SENTENCE.match(self.text, until)):
            self._judge(until, _judged_to(sentence))
            until = sentence.end()
        return self._release(len(self.text) if self.spans else until)

    def finish(self) -> str:
        """The rest, at the end of the reply."""
        if not self.spans and self._shown < len(self.text):
            self._judge(self._shown, len(self.text))
        return self._release(len(self.text))

    def _judge(self, start: int, end: int) -> None:
        text = _window(self.text, start, end)
        first = end - len(text)
        self.spans = [(first + start, first + end) for start, end in _named(text) or self._pushes(text)]

    def _pushes(self, text: str) -> list[tuple[int, int]]:
        judgement = judge(_detector(), text, self.threshold)
        return judgement.spans if judgement else []

    def _release(self, until: int) -> str:
        start, self._shown = self._shown, until
        return self.text[start:until]


def _judged_to(sentence: re.Match[str]) -> int:
    return sentence.end() + _WAITING if sentence[1] else sentence.end()


def _window(text: str, start: int, end: int) -> str:
    return text[max(0, start - BEFORE) : end]


def _named(text: str) -> list[tuple[int, int]]:
    """Where suicide, self-harm or dying is named, however it is meant."""
    folded = read_plainly(text)
    return [folded.original(found.start, found.end) for found in find_words(folded.text) if found.kind in NAMED]


@cache
def _detector() -> Detector:
    return load_own_detector("replies")
