"""Chinese words as jieba cuts them, exactly, over jieba's own dictionary and HMM, but faster.

jieba takes two steps in every run of word characters: the most probable route through the dictionary, then an HMM on
what the route leaves as single characters. Its HMM is slow but those runs are short and recur, so their cuts are
remembered. The route is found here without a list of candidates for each character, or by rjieba where it is proven
to find the same one.
"""

import logging
import re
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from math import log

import jieba
from jieba import finalseg

jieba.setLogLevel(logging.WARNING)  # it reports loading its dictionary as if it were an error

# A text of these characters only may be cut by rjieba. They are in, or not in, the character class of dictionary words
# in both jieba 0.42.1 and jieba-rs 0.11.0, which differ on Han after U+9FD5, on the extensions and around `-` and `.`.
_HAN = "\u4e00-\u9fd5"
_PUNCTUATION = "，。！？、；：“”‘’（）《》【】「」『』〈〉…—～·￥ "
_PROVEN_TEXT = re.compile(rf"[{_HAN}{_PUNCTUATION}\n]*")
_PARTING = re.compile(rf"([{_PUNCTUATION}]+)")  # without the newline, which is one token with a return before it
_PROVEN_VERSIONS = {"jieba": "0.42.1", "rjieba": "0.2.2"}

# jieba.dt as it is before anyone adds, deletes or retunes a word.
_DICTIONARY_TOTAL, _DICTIONARY_SIZE = 60101967, 498113

_SEPARATOR = "\0"
_SINGLE_CHARACTERS = re.compile(rf"(?<![^{_SEPARATOR}])[{_HAN}](?:{_SEPARATOR}[{_HAN}](?![^{_SEPARATOR}]))+")


def word_cutter(fast: bool) -> Callable[[str], list[str]]:
    """A function equal to `list(jieba.cut(text))`: precise mode, HMM on, whitespace tokens included.

    Args:
        fast: use rjieba where it is proven equal, if its proven version is installed and jieba's dictionary untouched.
    """
    jieba.dt.check_initialized()
    return _cut_with_rjieba if fast and fast_cutter_version() else _cut


def jieba_signature() -> str:
    """jieba's version, and whether its dictionary was changed."""
    return f"jieba-{version('jieba')}" + ("" if _has_default_dictionary() else "+user-dictionary")


def fast_cutter_version() -> str | None:
    """The version of rjieba if it may be used now, else None."""
    return _proven_rjieba() if _has_default_dictionary() else None


@cache
def _proven_rjieba() -> str | None:
    try:
        proven = all(version(package) == wanted for package, wanted in _PROVEN_VERSIONS.items())
    except PackageNotFoundError:
        return None
    return f"rjieba-{version('rjieba')}" if proven else None


def _has_default_dictionary() -> bool:
    jieba.dt.check_initialized()
    return (
        jieba.dt.dictionary is None
        and (jieba.dt.total, len(jieba.dt.FREQ)) == (_DICTIONARY_TOTAL, _DICTIONARY_SIZE)
        and not finalseg.Force_Split_Words
    )


def _cut(text: str) -> list[str]:
    words: list[str] = []
    for block in jieba.re_han_default.split(text):
        if jieba.re_han_default.match(block):
            _cut_block(block, words)
        else:
            for piece in jieba.re_skip_default.split(block):
                words.extend([piece] if jieba.re_skip_default.match(piece) else piece)
    return words


def _cut_block(block: str, words: list[str]) -> None:
    """`jieba.Tokenizer.__cut_DAG`: appends the words of a run of word characters."""
    ends = _best_route(block)
    start = single = 0  # the characters from `single` to `start` are one to a word
    while start < len(block):
        end = ends[start]
        if end - start > 1:
            words.extend(_cut_single_characters(block[single:start]))
            words.append(block[start:end])
            single = end
        start = end
    words.extend(_cut_single_characters(block[single:]))


def _best_route(block: str) -> list[int]:
    """Where the word that starts at each character ends, by `jieba.Tokenizer.calc`: the longer word at a tie.

    The sums are of the same floats in the same order as jieba's, so they are the same to the last bit.
    """
    frequency_of, log_total = jieba.dt.FREQ.get, log(jieba.dt.total)
    best, ends = [0.0] * (len(block) + 1), [0] * len(block)
    for start in range(len(block) - 1, -1, -1):
        best[start], ends[start] = 0.0 - log_total + best[start + 1], start + 1
        found, end = False, start + 1
        frequency = frequency_of(block[start])
        while frequency is not None:  # a word, or with 0 the beginning of one
            if frequency:
                score = log(frequency) - log_total + best[end]
                if not found or score >= best[start]:
                    best[start], ends[start], found = score, end, True
            end += 1
            frequency = frequency_of(block[start:end]) if end <= len(block) else None
    return ends


def _cut_single_characters(run: str) -> Iterable[str]:
    """The words of a run that the route left as single characters."""
    if len(run) < 2 or jieba.dt.FREQ.get(run):
        return run
    return tuple(finalseg.cut(run)) if finalseg.Force_Split_Words else _recognise(run)


@lru_cache(maxsize=1 << 16)
def _recognise(run: str) -> tuple[str, ...]:
    return tuple(finalseg.cut(run))


def _cut_with_rjieba(text: str) -> list[str]:
    if _PROVEN_TEXT.fullmatch(text):
        return _cut_proven(text)
    pieces = groupby(_PARTING.split(text), key=lambda piece: _PROVEN_TEXT.fullmatch(piece) is not None)
    # No word spans a parting, so the pieces may be cut by themselves.
    return [
        word for proven, group in pieces for word in (_cut_proven("".join(group)) if proven else _cut("".join(group)))
    ]


def _cut_proven(text: str) -> list[str]:
    """rjieba finds the route alone: the same sums of the same logarithms in the same order, the same rule at a tie.

    The HMM stays jieba's own: a run that repeats characters (一不一不一) has several paths of equal probability, and
    rjieba may take another.
    """
    import rjieba

    if not text:
        return []
    words = _SEPARATOR.join(rjieba.cut(text, False))
    return _SINGLE_CHARACTERS.sub(_join_single_characters, words).split(_SEPARATOR)


def _join_single_characters(run: re.Match[str]) -> str:
    return _SEPARATOR.join(_cut_single_characters(run[0].replace(_SEPARATOR, "")))
