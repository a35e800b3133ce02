"""Names that are not of the Han form: Latin ones, where capital letters matter, and those of China's other peoples."""

import re
import tomllib
from functools import cache
from importlib.resources import files

from ..sieve import Openings
from .private_numbers import Found

_END = r"(?![A-Za-z0-9_@/-]|\.[A-Za-z])"
_WORDS_AFTER = r"(?: [A-Z][a-z]+){0,2}"
_CAPITAL = re.compile("[A-Z][a-z]")
# After the name of a people or of a place.
_NO_PERSON = ("族", "市", "县", "州", "旗", "人", "语", "草")
# Before 尼玛 when it is no name but a curse.
_CURSES = ("擦", "槽", "草", "操", "艹", "靠")
_HANGUL = re.compile(r"[가-힣][가-힣]{1,3}")
# Of the folded text.
LATIN_NAME_OPENINGS: Openings = [[("[a-z]", "[a-z]")], [("[가-힣]", "[가-힣]")]]
DOTTED_NAME_OPENINGS: Openings = [[("·",)]]
_DOT = re.compile("[·•・‧](?!》)")


def find_latin_names(text: str) -> list[Found]:
    """(kind, start, end) of each name in Latin letters, and of each in Hangul, in a text as it was typed."""
    matches = list(_HANGUL.finditer(text))
    if _CAPITAL.search(text):
        matches += _patterns()[0].finditer(text)
    return [("name", *match.span()) for match in matches]


def openings_of_names_of_peoples() -> list[list[str]]:
    """What a name of `find_names_of_peoples` has in it, in groups that let hardly any ordinary word pass."""
    words = sorted(_patterns()[1].pattern.split("|"), key=lambda word: (len(word), word[1], word))
    return [words[start : start + 7] for start in range(0, len(words), 7)]


def find_names_of_peoples(text: str) -> list[Found]:
    """(kind, start, end) of each transcribed Uyghur, Kazakh, Tibetan, Mongolian or Yi name in a folded text."""
    _, sign, syllables, whole = _patterns()
    found, end = list[Found](), 0
    for match in sign.finditer(text):
        if match.start() < end:  # in the name just read
            continue
        start, end = match.span()
        while start and text[start - 1] in syllables:
            start -= 1
        while end < len(text) and text[end] in syllables:
            end += 1
        cursed = text[start:end] == "尼玛" and text[start - 1 : start] in _CURSES
        if (end - start >= 3 or match[0] in whole) and text[end : end + 1] not in _NO_PERSON and not cursed:
            found.append(("name", start, end))
    return found


def find_dotted_names(text: str) -> list[Found]:
    """(kind, start, end) of each such name whose parts a dot divides (买买提·艾力), in a text as it was typed."""
    syllables = _patterns()[2]
    found = list[Found]()
    for match in _DOT.finditer(text):
        start, end = match.span()
        while start and text[start - 1] in syllables:
            start -= 1
        while end < len(text) and text[end] in syllables:
            end += 1
        if match.start() - start >= 2 and end - match.end() >= 2:
            found.append(("name", start, end))
    return found


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str], frozenset[str], frozenset[str]]:
    data = tomllib.loads(files(__package__).joinpath("names.toml").read_text(encoding="utf-8"))
    first, last = "|".join(data["english_first_names"].split()), "|".join(data["romanised_surnames"].split())
    latin = (
        rf"(?=[A-Z阿])(?:(?<![A-Za-z@._/-])(?:(?:Mr|Ms|Mrs|Dr)\.? [A-Z][a-z]+|(?:{first}){_WORDS_AFTER}"
        rf"|(?:{last}) [A-Z][a-z]{{1,8}}|[A-Z][a-z]{{1,8}} (?:{last})){_END}"
        rf"|(?<=name is )[A-Z][a-z]+{_WORDS_AFTER}{_END}|(?<=[Cc]all me )[A-Z][a-z]+{_END}"
        rf"|(?<=[叫友哥姐弟妹夫])[A-Z][a-z]{{2,}}{_WORDS_AFTER}{_END}|阿[A-Z][a-z]{{1,6}}{_END})"
    )
    whole, parts = data["names_of_peoples"].split(), data["parts_of_names_of_peoples"].split()
    sign = re.compile("|".join((*whole, *parts)))
    return re.compile(latin), sign, frozenset(data["syllables_of_peoples"]), frozenset(whole)
