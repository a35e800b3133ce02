"""Chinese words: jieba, exactly; most of its work is done by rjieba where that is provably the same."""

import logging
import re
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby

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
    return _cut_fast if fast and fast_cutter_version() else _cut_with_jieba


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


def _cut_with_jieba(text: str) -> list[str]:
    return list(jieba.dt.cut(text))


def _cut_fast(text: str) -> list[str]:
    if _PROVEN_TEXT.fullmatch(text):
        return _cut_proven(text)
    pieces = groupby(_PARTING.split(text), key=lambda piece: _PROVEN_TEXT.fullmatch(piece) is not None)
    # No word spans a parting, so the pieces may be cut by themselves.
    return [
        word
        for proven, group in pieces
        for word in (_cut_proven("".join(group)) if proven else _cut_with_jieba("".join(group)))
    ]


def _cut_proven(text: str) -> list[str]:
    """jieba's two steps: the most probable route through the dictionary, then the HMM on runs of single characters.

    rjieba takes the first step alone. There it computes the same sums of the same logarithms in the same order, and
    takes the longer word at a tie. The HMM stays jieba's own: a run that repeats characters (一不一不一) has several
    paths of equal probability, and rjieba may take another. Runs are short and recur, so their cuts are remembered.
    """
    import rjieba

    if not text:
        return []
    words = _SEPARATOR.join(rjieba.cut(text, False))
    return _SINGLE_CHARACTERS.sub(lambda run: _cut_single_characters(run[0]), words).split(_SEPARATOR)


@lru_cache(maxsize=1 << 16)
def _cut_single_characters(run: str) -> str:
    """`jieba.Tokenizer.__cut_DAG` on a run of characters that its route leaves single, words parted by NUL."""
    characters = run.replace(_SEPARATOR, "")
    return run if jieba.dt.FREQ.get(characters) else _SEPARATOR.join(finalseg.cut(characters))
