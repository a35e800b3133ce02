"""Does this text speak of suicide or self-harm? One answer for the corpus (a label) and the chat (show help lines).

The rules stand in `data/crisis.toml`; how they were measured stands in the documentation of corpus making. They find
words, not people: a text without a finding is no proof that all is well.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ..patterns import first_character_index

CATEGORIES = ("incitement", "suicide", "self_harm", "death_wish", "other_person")

_SENTENCE_END = "。！？!?\n；;"
_CLAUSE_END = re.compile(r"[，,。！？!?\n；;：:]")
# The last of these before a match tells whose wish or act it is.
_KIN = (
    "妈|爸|爷|奶|外公|外婆|父|母|哥|姐|弟|妹|舅|姑|叔|姨|儿子|女儿|孩子|老公|老婆|丈夫|妻子|男友|女友|男朋友"
    "|女朋友|朋友|闺蜜|室友|同学|同事|学生|网友|前任|来访者|患者|邻居|对象"
)
_ENGLISH_KIN = (
    "sister|brother|mother|mom|father|dad|son|daughter|friend|husband|wife|boyfriend|girlfriend|roommate|classmate"
    "|aunt|uncle|cousin|partner|student|child"
)
_PERSON = re.compile(
    rf"(?:[我他她俺咱你]|我们)?的?(?:{_KIN})[妈爸爷奶们]?|[他她]们?|我们?|自己"
    rf"|\b(?:my|a|his|her|our) (?:\w+ )?(?:{_ENGLISH_KIN})\b|\b(?:he|she|they|i|i'm|i've|myself)\b"
)
_DEED = re.compile(r"去死|^死$|自[杀尽残]|割|跳[楼河江海桥崖湖下]|吊|烧炭|吞|了结|\bdie\b|\bkill")
_DYING = re.compile(r"死|\bdie\b|\bdead\b")
_SPEAKER = re.compile(r"我们?|自己|i|i'm|i've|myself")


@dataclass(slots=True, frozen=True)
class CrisisFinding:
    """What was found in a text.

    Attributes:
        category: the gravest of `CATEGORIES` among the matches: "incitement" (somebody is told to die, or how to),
            "suicide" (wish, plan or attempt said outright), "self_harm", "death_wish" (hinted at), or "other_person"
            where every match is about somebody other than the speaker.
        spans: start and end of each match in the text as given.
    """

    category: str
    spans: list[tuple[int, int]]


def find_crisis(text: str) -> CrisisFinding | None:
    """What `text` says of suicide or self-harm, present, past, hinted at or another's; None where it says nothing.

    Denials ("我没有想过自杀"), figures of speech ("笑死我了"), films, books, statistics and deaths of other causes are
    not findings.
    """
    rules = _load_rules()
    text = fold(text)
    categories, spans = [], []
    for match in rules.pattern.finditer(text):
        group = rules.groups[match.lastindex or 0]
        if group is None or not rules.is_meant(text, match, group.named):
            continue
        if rules.is_incited(text, match):
            categories.append("incitement")
        elif group.category != "incitement" and _is_about_another(text, match.start()):
            categories.append("other_person")
        else:
            categories.append(group.category)
        spans.append(match.span())
    return CrisisFinding(min(categories, key=CATEGORIES.index), spans) if spans else None


def fold(text: str) -> str:
    """`text` in simplified characters (those that the rules need) and lower case, position for position."""
    rules = _load_rules()
    return rules.foldable.sub(lambda match: rules.folding[match[0]], text)


def _is_about_another(text: str, position: int) -> bool:
    """Whether the last person named before `position` in its sentence is neither the speaker nor "自己"."""
    people = _PERSON.findall(text, _sentence_start(text, position), position)
    named = [person for person in people if person not in ("自己", "myself")]
    return bool(named) and not _SPEAKER.fullmatch(named[-1])


def _sentence_start(text: str, position: int) -> int:
    return max(text.rfind(end, 0, position) for end in _SENTENCE_END) + 1


def _clause_before(text: str, position: int) -> str:
    return _CLAUSE_END.split(text[max(0, position - 40) : position])[-1]


def _sentence_end(text: str, position: int) -> int:
    ends = [end for end in (text.find(mark, position) for mark in _SENTENCE_END) if end >= 0]
    return min(ends, default=len(text))


@dataclass(slots=True, frozen=True)
class _Group:
    """The category of a capture group; `named` where fiction, news or learning in the sentence voids it."""

    category: str
    named: bool


@dataclass(slots=True)
class _Rules:
    pattern: re.Pattern[str]
    groups: list[_Group | None]
    foldable: re.Pattern[str]
    folding: dict[str, str]
    denied_before: re.Pattern[str]
    denied_after: re.Pattern[str]
    incited_before: re.Pattern[str]
    about: re.Pattern[str]
    joking: re.Pattern[str]

    def is_incited(self, text: str, match: re.Match[str]) -> bool:
        """Whether somebody is told to do what `match` says: a word of dying or a way to, not a hint."""
        return bool(_DEED.search(match[0]) and self.incited_before.search(_clause_before(text, match.start())))

    def is_meant(self, text: str, match: re.Match[str], named: bool) -> bool:
        start, end = match.span()
        if self.denied_before.search(_clause_before(text, start)) or self.denied_after.match(text[end : end + 30]):
            return False
        sentence = text[_sentence_start(text, start) : _sentence_end(text, end)]
        if named and self.about.search(sentence):
            return False
        return not (_DYING.search(match[0]) and self.joking.search(sentence))


@cache
def _load_rules() -> _Rules:
    data = tomllib.loads(files(__package__).joinpath("crisis.toml").read_text(encoding="utf-8"))
    pairs = data["traditional"]["pairs"].split()
    folding = (
        {pair[0]: pair[1] for pair in pairs}
        | {chr(c): chr(c + 32) for c in range(ord("A"), ord("Z") + 1)}
        | {"’": "'"}
    )
    groups = [None] + [_Group(rule["category"], rule.get("named", False)) for rule in data["rule"]]
    pattern, index = first_character_index([data["phrases"], *(rule["patterns"] for rule in data["rule"])])
    return _Rules(
        pattern=pattern,
        groups=[None, *(groups[group] for group in index)],
        foldable=re.compile("[" + "".join(folding) + "]"),
        folding=folding,
        denied_before=re.compile("|".join(data["denied"]["before"])),
        denied_after=re.compile("|".join(data["denied"]["after"])),
        incited_before=re.compile("|".join(data["incited"]["before"])),
        about=re.compile("|".join(data["about"]["sentence"])),
        joking=re.compile("|".join(data["joking"])),
    )
