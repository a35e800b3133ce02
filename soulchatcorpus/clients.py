"""What is stated of a client: age group, gender, occupation, levels of the Big Five, free text; each may be missing.

    {"age_group": "18-25", "gender": "female", "occupation": "护士", "neuroticism": "high"}

Only what a record or a user states is read. Nothing is inferred from what somebody says in a talk.
"""

import re
from typing import Any, Literal

Client = dict[str, str]  # a field of `CLIENT_FIELDS` -> what is stated of it
Level = Literal["low", "medium", "high"]

LEVELS: tuple[Level, ...] = ("low", "medium", "high")
TRAITS = {
    "openness": "开放性",
    "conscientiousness": "尽责性",
    "extraversion": "外向性",
    "agreeableness": "宜人性",
    "neuroticism": "神经质",
}
FACTS = ("age_group", "gender", "occupation")
CLIENT_FIELDS = (*FACTS, *TRAITS, "about")

# The group of an age in years: the first whose upper end it does not pass.
_AGE_GROUPS = {12: "0-12", 17: "13-17", 25: "18-25", 35: "26-35", 45: "36-45", 59: "46-59", 130: "60+"}
_AGE = re.compile(r"(\d{1,3})\s*岁?")
_GENDERS = dict.fromkeys(("女", "女性", "女士", "女生", "female", "woman", "f"), "female") | dict.fromkeys(
    ("男", "男性", "男士", "男生", "male", "man", "m"), "male"
)
_LEVELS: dict[str, Level] = {"低": "low", "中": "medium", "中等": "medium", "高": "high"}
_CHINESE_TRAITS = {chinese: name for name, chinese in TRAITS.items()} | {
    "责任心": "conscientiousness",
    "外倾性": "extraversion",
}
_WORDS = {
    "zh": {
        "age_group": "年龄",
        "gender": "性别",
        "occupation": "职业",
        **TRAITS,
        "about": "其他",
        "low": "低",
        "medium": "中",
        "high": "高",
        "female": "女",
        "male": "男",
    },
    "en": {"age_group": "age", "about": "other"},
}


def read_client(stated: Any) -> Client | None:
    """What is stated in an object with `CLIENT_FIELDS`; None where it is nothing.

    An `age` in years becomes its group; `big_five` may hold the traits, also by their Chinese names with 低, 中 and
    高; 女 and 男 are female and male. Other texts stay as they are.

    Raises:
        ValueError: no object, an unknown field or level, two levels of one trait, or a value that is no text.
    """
    if stated is None:
        return None
    if not isinstance(stated, dict):
        raise ValueError(f"client is {_show(stated)}; allowed: an object of {', '.join(CLIENT_FIELDS)}")
    given = {key: value for key, value in stated.items() if value is not None and key != "big_five"}
    big_five = stated.get("big_five")
    if not isinstance(big_five, dict | None):
        raise ValueError(f"big_five of the client is {_show(big_five)}; allowed: an object of {', '.join(TRAITS)}")
    traits = {key: value for key, value in (big_five or {}).items() if value is not None}
    found: Client = {}
    for key, value in (*given.items(), *traits.items()):
        name = "age_group" if key == "age" else _CHINESE_TRAITS.get(key, key)
        if name not in CLIENT_FIELDS:
            raise ValueError(f"{_show(key)} is no field of a client; allowed: {', '.join(CLIENT_FIELDS)}")
        text = _read_value(name, value)
        if not text or (key == "age" and "age_group" in given):
            continue
        if found.setdefault(name, text) != text:
            raise ValueError(f"{name} of the client is both {found[name]!r} and {text!r}; allowed: one of them")
    return {name: found[name] for name in CLIENT_FIELDS if name in found} or None


def _read_value(name: str, value: Any) -> str:
    if name == "age_group":
        return _read_age(value)
    if not isinstance(value, str):
        raise ValueError(f"{name} of the client is {_show(value)}; allowed: {_allowed(name)}")
    text = value.strip()
    if name == "gender":
        return _GENDERS.get(text.lower(), text)
    if name not in TRAITS or not text:
        return text
    level = _LEVELS.get(text, text.lower())
    if not is_level(level):
        raise ValueError(f"{name} of the client is {_show(value)}; allowed: {_allowed(name)}")
    return level


def find_trait(name: str) -> str | None:
    """The trait that a name stands for, English in any case or Chinese; None for another."""
    text = name.strip()
    return text.lower() if text.lower() in TRAITS else _CHINESE_TRAITS.get(text)


def is_level(value: Any) -> bool:
    """Whether a trait's value is one of `LEVELS`, or 低, 中 or 高."""
    return isinstance(value, str) and (value.strip().lower() in LEVELS or value.strip() in _LEVELS)


def _show(value: Any) -> str:
    """A value for an error: of a long one its beginning."""
    return f"{value!r:.60}"


def _allowed(name: str) -> str:
    return ", ".join(LEVELS) if name in TRAITS else "text"


def _read_age(value: Any) -> str:
    """The group of an age in years, or the text that names a group."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # whole numbers beside missing ones are floats in many a table
    text = value.strip() if isinstance(value, str) else str(value)
    years = _AGE.fullmatch(text)
    if years and int(years[1]) <= max(_AGE_GROUPS):
        return next(group for most, group in _AGE_GROUPS.items() if int(years[1]) <= most)
    if not isinstance(value, str):
        raise ValueError(f"age of the client is {value!r}; allowed: 0 to {max(_AGE_GROUPS)}, or a group in words")
    return text


def age_groups() -> list[str]:
    """The groups that ages in years become."""
    return list(_AGE_GROUPS.values())


def describe_client(client: Client, language: Literal["zh", "en"] = "zh") -> str:
    """In words, a line for each thing that is stated: for a prompt or a system text."""
    words = _WORDS[language]
    colon = "：" if language == "zh" else ": "
    lines = []
    for name in CLIENT_FIELDS:
        if name in client:
            value = client[name]
            lines.append(f"{words.get(name, name)}{colon}{value if name == 'about' else words.get(value, value)}")
    return "\n".join(lines)


_PLAYER_LINES = {"年龄": "age", "性别": "gender", "职业": "occupation"}
_PLAYER_LINE = re.compile(r"^[\s*]*(年龄|性别|职业)\s*[：:]\s*(.+?)\s*$", re.MULTILINE)


def read_player(text: str) -> Client | None:
    """What the lines 年龄：, 性别： and 职业： of a SAGE profile's `player` state of it; the name is not taken."""
    return read_client({_PLAYER_LINES[name]: value for name, value in _PLAYER_LINE.findall(text)})
