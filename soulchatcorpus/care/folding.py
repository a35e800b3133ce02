"""Text as a reader sees it: one spelling for what looks alike, and where each character stood in the original.

Full-width, circled, boxed and other compatibility forms, invisible characters, combining marks, look-alike letters,
radicals and traditional characters become plain ones in lower case. HTML's character references are read, and its tags
of style go. Blanks and marks between Chinese characters, between digits and between letters that stand alone go;
numbers spelt in Chinese become digits.
"""

import html
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate, chain

import numpy as np
from numpy.typing import NDArray

from ..sieve import Sieve, code_points, numbers_of

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
    "ᴠvᴡwʏyᴢzшwпnяrиnцuєeўyђhћhѓrωwηnσoδdθoςsλaзeꜰfԍgьbᑫqƃgןl"
    # with a stroke, a hook or a tail; turned; Cherokee; Lisu
    "ⱥaƀbȼcđdɇeǥgħhɨiɉjꝁkłløoŧtʉuɏyƶzɓbƈcɗdɖdɠgɦhɩiƙkɭlɱmɲnŋnƥpɋqʠqɽrʂsƭtʈtʋvⱳwƴyȥzɛeʐzɍr"
    "ɐaɒaɔcǝeɘeɟfɓbɥhᴉiɾrʞkɯmɹrɿrʇtʌvʍwʎyƨsɈjʃl"
    "ꭺaꮟbᏼbꮜuꮯcꭰdꭼeꮐgꮋhꭵiꮖiꭻjꮶkꮮlꮇmꮎoꮻoꮲpꭱrꮢrꮪsꮥsꭲtꮩvꮤwꮃwꭹyꮍyꮓzꮑn"
    "ꓮaꓐbꓚcꓓdꓰeꓝfꓖgꓧhꓲiꓙjꓗkꓡlꓟmꓠnꓳoꓑpꓣrꓢsꓔtꓴuꓦvꓪwꓫxꓬyꓜz"
)
_COLONS = "ː˸։׃܃܄ःઃ᛬᠃᠉⁚∶ꓽ꞉"
_PUNCTUATION = "’'‘'“\"”\"‐-‑-–-—-―-−-─-━-〜~∕/•·・·‧·∙·⸱·｡。"
# Code points whose letters and digits are boxed: the first of A to Z.
_BOXED = (0x1F150, 0x1F170, 0x1F1E6)
# Default_Ignorable_Code_Point of Unicode beside the categories Cf, Mn and Me.
_NOTHING = ("Cc", "Cf", "Cn", "Co", "Cs", "Me", "Mn")
_INVISIBLE = re.compile("[\u115f\u1160\u3164\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff\U0001f3fb-\U0001f3ff]")
# In place of the code of a plain form: not asked for yet; none or several characters.
_UNKNOWN, _SEVERAL = 0, 0xFFFFFFFF
_NUMERALS = dict(zip("零〇一二三四五六七八九幺壹贰叁肆伍陆柒捌玖", "001234567891123456789", strict=True))

# Arrows, lines, shapes and other signs that separate nothing in Chinese; emoji do, as the end of a sentence.
_QUIET = (
    r" ·\-~_*|/\\^+=#'`&$\u00a1-\u00b1\u00b4-\u00b8\u00bb\u00bf×÷‖-‗†-‧‰-‿⁂-⁅₠-⃀←-⏏─-◿★☆♠-♯✓-✘⿰-\u2fff〃〒〓〰〿ー"
)
# What stands between characters one by one may be anything but letters and digits.
_MARK = r"\W_"
_DIGIT = f"0-9{''.join(_NUMERALS)}"
# Each begins with a class of characters, which `re` looks up fastest.
_BETWEEN_HAN = re.compile(rf"[{_QUIET}](?<=[{HAN}].)[{_QUIET}]*(?=[{HAN}])")
_BETWEEN_DIGITS = re.compile(rf"[ ·\-_*.()](?<=[{_DIGIT}].)[ ·\-_*.()]{{0,2}}(?=[{_DIGIT}])")
_ONE_BY_ONE = re.compile(
    rf"[{HAN}a-z](?<![{HAN}a-z0-9'].)(?:[{_MARK}]{{1,15}}[{HAN}](?![{HAN}])){{2,}}"
    rf"|[a-z](?<![a-z0-9'].)(?:[{_MARK}]{{1,15}}[a-z](?![a-z0-9'])){{2,}}"
)
# Every match of `_ONE_BY_ONE` has this in it, which begins with a mark and so is looked up faster.
_STANDS_ALONE = re.compile(
    rf"[{_MARK}](?<=[{HAN}a-z].)(?<![{HAN}a-z0-9'][{HAN}a-z].)[{_MARK}]{{0,14}}[{HAN}a-z][{_MARK}]{{1,15}}[{HAN}a-z]",
    re.DOTALL,
)
# One letter again and again between characters one by one.
_LETTER = r"a-z\u3005\u3007\u3040-\u30ff\u3105-\u312f"
_SAME_LETTER = re.compile(
    rf"([{_LETTER}](?<=[{HAN}].)(?<![{HAN}][{HAN}].)[{_LETTER}]?)[{HAN}](?:\1[{HAN}])+(?![{HAN}])"
)
# A reference that stands for & may begin another one.
_REFERENCE = re.compile("&(?:(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,31});)+")
# At the end of what was read; so many characters at most.
_LAST_REFERENCE = re.compile("&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,31});$")
_LONGEST_REFERENCE = 33
# A tag within a tag is none: without it another one would stand there.
_TAG = re.compile(
    "</?(?:(p|br|hr|li|ul|ol|tr|td|th|div|h[1-6])|[bius]|em|big|del|ins|sub|sup|wbr|mark|span|font|small|strong) ?/?>"
    "(?![a-z0-9 ]{0,7}/?>)"
)
_SPELT_NUMBER = re.compile(f"{f'[{_DIGIT}]' * 5}+")  # faster than {5,}
_ALONE = re.compile(f"[{_MARK}]+")
# Between letters one by one, the blank between two words stands between two marks; a digit, which never stands there,
# keeps its place.
_BREAK = "0"
_WORD_BREAK = re.compile(rf"(?<=[a-z])(?:[{_MARK}][ \n][{_MARK}]|([{_MARK}]{{2,7}})[ \n]\1)(?=[a-z])")


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """A text and its way back.

    Attributes:
        text: the folded text.
        starts: for each of its characters, where in the original that begins which it stands for.
        ends: and where that ends.
    """

    text: str
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Start and end in the original of the characters from `start` to before `end` (at least one)."""
        return int(self.starts[start]), int(self.ends[end - 1])

    def rewrite(self, pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str]) -> "Folded":
        """The text with `replace(match)` for every match; a new character stands for all that was matched.

        Where the new text is as long as the match, each of its characters stands for the one in its place.
        """
        matches = list(pattern.finditer(self.text))
        if not matches:
            return self
        parts, starts, ends, done = list[str](), list[NDArray[np.int64]](), list[NDArray[np.int64]](), 0
        for match in matches:
            start, end = match.span()
            new = replace(match)
            parts += [self.text[done:start], new]
            if len(new) == end - start:
                starts.append(self.starts[done:end])
                ends.append(self.ends[done:end])
            else:
                starts += [self.starts[done:start], self.starts[start : start + 1].repeat(len(new))]
                ends += [self.ends[done:start], self.ends[end - 1 : end].repeat(len(new))]
            done = end
        text = "".join(parts) + self.text[done:]
        return Folded(text, np.concatenate([*starts, self.starts[done:]]), np.concatenate([*ends, self.ends[done:]]))


def fold(text: str) -> Folded:
    """`text` as it is read, with nothing between Chinese characters, digits, or letters that stand one by one.

    Folding a folded text changes nothing.
    """
    folded = _without_between(read_html(fold_characters(text)))
    while (again := read_html(folded)).text != folded.text:  # what went stood inside of a reference
        folded = _without_between(again)
    return folded


def _without_between(folded: Folded) -> Folded:
    folded = folded.rewrite(_BETWEEN_HAN, _nothing).rewrite(_BETWEEN_DIGITS, _nothing)
    if _STANDS_ALONE.search(folded.text):
        folded = folded.rewrite(_ONE_BY_ONE, _joined)
    folded = folded.rewrite(_SAME_LETTER, _without_letter)
    return folded.rewrite(_SPELT_NUMBER, _as_digits)


def fold_each(texts: Sequence[str]) -> list[str]:
    """The text of `fold` for each of many texts, in a fraction of the time."""
    joined = fold_characters("".join(texts))
    ends = joined.starts.searchsorted(list(accumulate(map(len, texts)))).tolist()
    starts = [0, *ends][:-1]
    folded = [joined.text[start:end] for start, end in zip(starts, ends, strict=True)]
    opened = _sieve().sift(joined.text)
    places = np.flatnonzero(opened)
    bits_of_texts: dict[int, int] = {}
    for number, bits in zip(numbers_of(places, starts), opened[places].tolist(), strict=True):
        bits_of_texts[number] = bits_of_texts.get(number, 0) | bits
    for number, bits in bits_of_texts.items():
        # Many a message begins with one character between marks (嗯，), which is not enough.
        if bits != 1 or _STANDS_ALONE.search(folded[number]):
            folded[number] = fold(texts[number]).text
    return folded


@cache
def _sieve() -> Sieve:
    """What is in every text that `fold` changes beyond its characters; the first bit is of characters one by one."""
    han, quiet, digit, mark, letter = (f"[{inside}]" for inside in (HAN, _QUIET, _DIGIT, _MARK, _LETTER))
    return Sieve(
        [
            [(mark, f"[{HAN}a-z]", mark)],
            [("&", "[#a-z]")],
            [("<", "[/a-z]")],
            [(han, quiet, f"[{HAN}{_QUIET}]")],
            [(digit, r"[ ·\-_*.()]", rf"[ ·\-_*.(){_DIGIT}]")],
            [(han, letter, f"[{HAN}{_LETTER}]")],
            [(digit, digit, digit)],
        ]
    )


def plain_form(character: str) -> str:
    """The plain form of a character: none or several characters for some, a blank or "\\n" for white space."""
    return _forms()[character]


def fold_characters(text: str) -> Folded:
    """`text` with every character in its plain form; blanks and marks stay."""
    forms = _forms()
    codes = code_points(text)
    plain = forms.codes[codes]
    if not plain.all():
        for code in set(codes[plain == _UNKNOWN].tolist()):
            forms.codes[code] = _one_code(forms[chr(code)])
        plain = forms.codes[codes]
    starts = np.arange(len(codes))
    several = np.flatnonzero(plain == _SEVERAL)
    if not len(several):
        return Folded(plain.tobytes().decode("utf-32-le", "surrogatepass"), starts, starts + 1)
    written = [forms[text[place]] for place in several.tolist()]
    plain[several] = 0
    parts = plain.tobytes().decode("utf-32-le", "surrogatepass").split("\0")
    lengths = np.ones_like(starts)
    lengths[several] = [len(characters) for characters in written]
    # What is not seen belongs to the character before it.
    seen = np.flatnonzero(lengths)
    ends = np.append(seen, len(codes))[1:].repeat(lengths[seen])
    return Folded("".join(chain.from_iterable(zip(parts, [*written, ""], strict=True))), starts.repeat(lengths), ends)


def _one_code(form: str) -> int:
    return ord(form) if len(form) == 1 else _SEVERAL


class _Forms(dict[str, str]):
    """The plain form of each character, found when it is first asked for."""

    def __init__(self, replaced: dict[str, str]) -> None:
        super().__init__()
        self.replaced = replaced
        # By code point that of its plain form, where this is one character and has been asked for.
        self.codes = np.zeros(sys.maxunicode + 1, dtype="<u4")

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


def read_html(folded: Folded) -> Folded:
    """With what HTML's character references stand for, and without its tags of style."""
    if "&" in folded.text:
        folded = folded.rewrite(_REFERENCE, _referred)
        if _REFERENCE.search(folded.text):
            folded = _read_nested(folded)
    return folded.rewrite(_TAG, _styled) if "<" in folded.text else folded


def _read_nested(folded: Folded) -> Folded:
    """With what character references stand for in which others stood, as in &#3&#56;; ."""
    # In one pass over the semicolons: one for each depth would cost the square of the length.
    text, starts, ends, done = list[str](), list[int](), list[int](), 0
    for semicolon in re.finditer(";|$", folded.text):
        text += folded.text[done : semicolon.end()]
        starts += folded.starts[done : semicolon.end()].tolist()
        ends += folded.ends[done : semicolon.end()].tolist()
        done = semicolon.end()
        while reference := _LAST_REFERENCE.search("".join(text[-_LONGEST_REFERENCE:])):
            read = _referred(reference)
            if read == reference[0]:
                break
            first = len(text) - len(reference[0])
            text[first:] = read
            starts[first:] = starts[first : first + 1] * len(read)
            ends[first:] = ends[-1:] * len(read)
    return Folded("".join(text), np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64))


def _referred(match: re.Match[str]) -> str:
    read = "&"
    for part in match[0][1:].split(";")[:-1]:
        read += f"{part};"
        if read == f"&{part};":
            read = "".join(map(plain_form, html.unescape(read)))
    return read


def _styled(match: re.Match[str]) -> str:
    return "\n" if match[1] else ""


def _without_letter(match: re.Match[str]) -> str:
    return match[0].replace(match[1], "")


def _nothing(match: re.Match[str]) -> str:
    return ""


def _as_digits(match: re.Match[str]) -> str:
    return "".join(_NUMERALS.get(character, character) for character in match[0])


def _joined(match: re.Match[str]) -> str:
    words = _ALONE.sub("", _WORD_BREAK.sub(_BREAK, match[0])).split(_BREAK)
    spaced = " ".join(words)
    return "".join(words) if _ONE_BY_ONE.search(spaced) else spaced
