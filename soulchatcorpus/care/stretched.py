"""English words that tell, with figures and signs in place of letters or with letters again and again: k1ll, diiie."""

import re

from .folding import Folded

_WORDS = (
    "be i me my to the and not off end life live alive living want wanna wanted myself self yourself die died dies "
    "dead dying death kill killed killing suicide suicidal harm harming hurt hurting cut cutting hang hanging hanged "
    "overdose overdosed pills jump tired hate better without anymore"
)
_SIGNS = str.maketrans("@4830!1|$57+", "aabeoiiisstt")
# One and the same letter more than once is once, in the words as in what is compared with them.
_REPEATED = re.compile(r"(.)\1+")
_PLAIN = {_REPEATED.sub(r"\1", word): word for word in _WORDS.split()}
# A word of letters, figures and signs that ends with a letter or figure, where there is a letter at all.
_LETTER = re.compile("[a-z]")
_WORD = re.compile(r"[a-z0-9@$!|+](?<![a-z0-9@$!|+.].)[a-z0-9@$!|+]*(?<![@$!|+])(?![a-z0-9@.])")
_STRETCHED = re.compile(r"([a-z])\1\1|^(?:(.)\2){2,}$")
# With letters, and with figures or signs; b3 is a vitamin.
_DISTORTED = re.compile("(?=.*[a-z])(?=.*[0-9@$!|+])...")


def read_stretched(folded: Folded) -> Folded:
    """The folded text with these words as they are spelt."""
    return folded.rewrite(_WORD, _word) if _LETTER.search(folded.text) else folded


def _word(match: re.Match[str]) -> str:
    written = match[0]
    if _DISTORTED.match(written) or _STRETCHED.search(written):
        return _PLAIN.get(_REPEATED.sub(r"\1", written.translate(_SIGNS)), written)
    return written
