"""Text as a reader sees it: one spelling for what looks alike, and where each character stood in the original.

Full-width, circled, boxed and other compatibility forms, invisible characters, combining marks, look-alike letters,
radicals and traditional characters become plain ones in lower case. Blanks and marks between Chinese characters,
between digits and between letters that stand alone go; numbers spelt in Chinese become digits.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

HAN = "\u3400-\u9fff\U00020000-\U000323af"

# Unicode's EquivalentUnifiedIdeograph for the radicals that are whole characters and that NFKC leaves as they are.
_RADICALS = (
    "⺁厂⺃乚⺄乙⺊卜⺌小⺍小⺎兀⺒巳⺓幺⺖心⺘手⺛旡⺜日⺝月⺞歹⺠民⺡水⺣火⺧牛⺨犬⺩王⺫目⺬示⺭示⺮竹⺶羊⺷羊"
    "⺼肉⺽臼⺾艹⻁虎⻂衣⻃西⻄西⻅见⻆角⻈讠⻉贝⻊足⻋车⻏邑⻐钅⻑长⻒长⻓长⻔门⻖阜⻗雨⻘青⻙韦⻚页⻛风⻜飞⻝食⻟食⻠饣⻢马⻣骨⻤鬼"
    "⻥鱼⻦鸟⻧卤⻨麦⻩黄⻪黾⻫齐⻬齐⻭齿⻮齿⻰龙"
)
# Characters of Taiwan, Hong Kong and the net that opencc's table does not hold, each before the one that is read.
_VARIANTS = "妳你祂他牠它姊姐㱩死臺台戶户戸户諮咨谘咨詢询師师"
# The look-alikes of Latin letters (Unicode's confusables, UTS 39) that keyboards and "fancy text" pages give.
_LETTERS = (
    "аaвbсcԁdеeһhіiјjкkӏlмmнhоoрpԛqгrѕsтtуyѵvԝwхxαaβbεeιiκkνvοoρpτtυuχxγyɑaɡgıiʟlɴnᴀaʙbᴄcᴅdᴇeɢgʜhɪiᴊjᴋkᴍmᴏoᴘpʀrꜱsᴛtᴜu"
    "ᴠvᴡwʏyᴢz"
)
_COLONS = "ː˸։׃܃܄ःઃ᛬᠃᠉⁚∶ꓽ꞉"
_PUNCTUATION = "’'‘'“\"”\"‐-‑-–-—-―-•·・·‧·∙·｡。"
# Code points whose letters and digits are boxed: the first of A to Z.
_BOXED = (0x1F150, 0x1F170, 0x1F1E6)
# Default_Ignorable_Code_Point of Unicode beside the categories Cf, Mn and Me.
_NOTHING = ("Cc", "Cf", "Cn", "Co", "Cs", "Me", "Mn")
_INVISIBLE = re.compile("[\u115f\u1160\u3164\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff\U0001f3fb-\U0001f3ff]")
_NUMERALS = dict(zip("零〇一二三四五六七八九幺壹贰叁肆伍陆柒捌玖", "001234567891123456789", strict=True))

_QUIET = r" ·\-~_*|/\\^+=#'`"
_MARK = r"\s·\-~_*|/\\^+=#`.。,、!?;:\"()"
_DIGIT = f"0-9{''.join(_NUMERALS)}"
# Each begins with a class of characters, which `re` looks up fastest.
_BETWEEN_HAN = re.compile(rf"[{_QUIET}](?<=[{HAN}].)[{_QUIET}]*(?=[{HAN}])")
_BETWEEN_DIGITS = re.compile(rf"[ ·\-_*.()](?<=[{_DIGIT}].)[ ·\-_*.()]{{0,2}}(?=[{_DIGIT}])")
_ONE_BY_ONE = re.compile(
    rf"[{HAN}a-z](?<![{HAN}a-z0-9'].)(?:[{_MARK}]{{1,3}}[{HAN}](?![{HAN}])){{2,}}"
    rf"|[a-z](?<![a-z0-9'].)(?:[{_MARK}]{{1,3}}[a-z](?![a-z0-9'])){{2,}}"
)
_SPELT_NUMBER = re.compile(f"[{_DIGIT}]{{5,}}")
_ALONE = re.compile(f"[{_MARK}]+")


@dataclass(frozen=True, slots=True)
class Folded:
    """A text and its way back.

    Attributes:
        text: the folded text.
        starts: for each of its characters, where in the original that begins which it stands for.
        ends: and where that ends.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Start and end in the original of the characters from `start` to before `end` (at least one)."""
        return self.starts[start], self.ends[end - 1]

    def rewrite(self, pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str]) -> "Folded":
        """The text with `replace(match)` for every match; a new character stands for all that was matched.

        Where the new text is as long as the match, each of its characters stands for the one in its place.
        """
        matches = list(pattern.finditer(self.text))
        if not matches:
            return self
        text, starts, ends, done = "", list[int](), list[int](), 0
        for match in [*matches, None]:
            start, end = match.span() if match else (len(self.text), len(self.text))
            new = replace(match) if match else ""
            text += self.text[done:start] + new
            starts += self.starts[done:start]
            ends += self.ends[done:start]
            if len(new) == end - start:
                starts += self.starts[start:end]
                ends += self.ends[start:end]
            else:
                starts += [self.starts[start]] * len(new)
                ends += [self.ends[end - 1]] * len(new)
            done = end
        return Folded(text, starts, ends)


def fold(text: str) -> Folded:
    """`text` as it is read, with nothing between Chinese characters, digits, or letters that stand one by one.

    Folding a folded text changes nothing.
    """
    folded = fold_characters(text)
    folded = folded.rewrite(_BETWEEN_HAN, _nothing).rewrite(_BETWEEN_DIGITS, _nothing)
    return folded.rewrite(_ONE_BY_ONE, _joined).rewrite(_SPELT_NUMBER, _as_digits)


def plain_form(character: str) -> str:
    """The plain form of a character: none or several characters for some, a blank or "\\n" for white space."""
    return _forms()[character]


def fold_characters(text: str) -> Folded:
    """`text` with every character in its plain form; blanks and marks stay."""
    forms = _forms()
    plain = [forms[character] for character in text]
    folded = "".join(plain)
    if len(folded) == len(text) and all(plain):
        return Folded(folded, range(len(text)), range(1, len(text) + 1))
    starts = [place for place, characters in enumerate(plain) for _ in characters]
    return Folded(folded, starts, [start + 1 for start in starts])


class _Forms(dict[str, str]):
    """The plain form of each character, found when it is first asked for."""

    def __init__(self, replaced: dict[str, str]) -> None:
        super().__init__()
        self.replaced = replaced

    def __missing__(self, character: str) -> str:
        form, before = self._plain(character), character
        while form != before:
            form, before = "".join(self._plain(part) for part in form), form
        self[character] = form
        return form

    def _plain(self, character: str) -> str:
        if character in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029":
            return "\n"
        if character.isspace() or character == "\u2800":  # the blank of Braille
            return " "
        for first in _BOXED:
            if first <= ord(character) < first + 26:
                return chr(ord("a") + ord(character) - first)
        digit = unicodedata.digit(character, None)
        if digit is not None:
            return str(digit)
        parts = unicodedata.normalize("NFKD", character).lower()
        seen = "".join(part for part in parts if not _is_invisible(part))
        return "".join(self.replaced.get(part, part) for part in unicodedata.normalize("NFC", seen))


@cache
def _forms() -> _Forms:
    rows = files(__package__).joinpath("simplified.txt").read_text(encoding="utf-8").splitlines()
    colons = ":".join(_COLONS) + ":"
    pairs = (row for row in rows if not row.startswith("#"))
    joined = "".join([*pairs, _RADICALS, _VARIANTS, _LETTERS, _PUNCTUATION, colons])
    return _Forms(dict(zip(joined[::2], joined[1::2], strict=True)))


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in _NOTHING or bool(_INVISIBLE.match(character))


def _nothing(match: re.Match[str]) -> str:
    return ""


def _as_digits(match: re.Match[str]) -> str:
    return "".join(_NUMERALS.get(character, character) for character in match[0])


def _joined(match: re.Match[str]) -> str:
    return _ALONE.sub("", match[0])
