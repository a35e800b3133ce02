"""Help lines by country, from `help_lines.json`: every number with its source and the day it was checked."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Language = Literal["zh", "en"]

# Whose lines are given in full where nobody named a country: a Chinese text is most likely to come from mainland
# China; English is spoken in many places, so there every country has one number.
FIRST_COUNTRY: dict[Language, str | None] = {"zh": "CN", "en": None}

WORDS: dict[Language, dict[str, str]] = {
    "zh": {
        "opening": "如果你正处在危险之中，或有伤害自己的念头，请现在就联系能帮助你的人，也可以告诉身边信任的人：",
        "emergency": "紧急情况",
        "elsewhere": "其他国家和地区",
        "more": "更多求助热线",
        "line": "{name} {number}（{hours}）",
        "short": "{country} {number}（紧急 {emergency}）",
        "colon": "：",
        "separator": "；",
    },
    "en": {
        "opening": "If you are in danger, or think of harming yourself, please reach someone who can help now, "
        "or tell a person near you whom you trust:",
        "emergency": "Emergency",
        "elsewhere": "Elsewhere",
        "more": "More help lines",
        "line": "{name} {number} ({hours})",
        "short": "{country} {number} (emergency {emergency})",
        "colon": ": ",
        "separator": "; ",
    },
}


@dataclass(frozen=True, slots=True)
class HelpLine:
    """One number to call: `name` and `hours` by language (`hours` empty for an emergency number), where it was found
    (`source`) and the day on which it was compared with that page (`checked`, ISO date)."""

    number: str
    name: dict[Language, str]
    hours: dict[Language, str]
    source: str
    checked: str


@dataclass(frozen=True, slots=True)
class Country:
    """The help lines of one country or region (`code` as in ISO 3166-1), the most important first."""

    code: str
    name: dict[Language, str]
    lines: tuple[HelpLine, ...]
    emergency: tuple[HelpLine, ...]


@cache
def load_countries() -> dict[str, Country]:
    """All countries by code, in the order of the data file."""
    return {
        row["country"]: Country(
            code=row["country"],
            name=row["name"],
            lines=tuple(_help_line(line) for line in row["lines"]),
            emergency=tuple(_help_line(line) for line in row["emergency"]),
        )
        for row in _document()["countries"]
    }


def check_country(country: str | None) -> None:
    """Raises ValueError when there are no help lines for `country` (a code such as "CN")."""
    if country is not None and country not in load_countries():
        raise ValueError(f"no help lines for country {country!r}; known: {', '.join(load_countries())}")


def order_countries(language: Language, country: str | None = None) -> tuple[Country | None, list[Country]]:
    """Whose lines are given in full, if anybody's, and the others in the order of the language.

    Raises:
        ValueError: there are no help lines for `country`.
    """
    check_country(country)
    countries, first = load_countries(), country or FIRST_COUNTRY[language]
    others = [countries[code] for code in _document()["order"][language] if code != first]
    return countries[first] if first else None, others


def directory_address() -> str:
    """A site with the help lines of all countries, without its scheme."""
    return _document()["directory"]["address"]


def render_help_lines(language: Language, country: str | None = None) -> str:
    """Plain text of a few lines: first the lines of `country` in full, then the others with one number each."""
    words = WORDS[language]
    first, others = order_countries(language, country)
    text = [words["opening"]]
    if first:
        text += _in_full(first, language)
    text.append(words["separator"].join(_in_short(row, language) for row in others))
    text.append(words["elsewhere"] + words["colon"] + directory_address())
    return "\n".join(text)


def list_help_lines(language: Language, country: str | None = None) -> list[dict[str, Any]]:
    """The lines of `country` (or of the language's first, or else of all countries) as plain data for a program."""
    first, others = order_countries(language, country)
    return [
        {"country": row.code, "name": line.name[language], "number": line.number, "emergency": line in row.emergency}
        for row in ([first] if first else others)
        for line in (*row.lines, *row.emergency)
    ]


@cache
def _document() -> dict[str, Any]:
    return json.loads(files(__package__).joinpath("help_lines.json").read_text(encoding="utf-8"))


def _help_line(row: dict[str, Any]) -> HelpLine:
    return HelpLine(row["number"], row["name"], row.get("hours", {}), row["source"], row["checked"])


def _in_full(country: Country, language: Language) -> list[str]:
    words = WORDS[language]
    lines = (
        words["line"].format(name=line.name[language], number=line.number, hours=line.hours[language])
        for line in country.lines
    )
    emergency = (f"{line.name[language]} {line.number}" for line in country.emergency)
    return [
        country.name[language] + words["colon"] + words["separator"].join(lines),
        words["emergency"] + words["colon"] + words["separator"].join(emergency),
    ]


def _in_short(country: Country, language: Language) -> str:
    return WORDS[language]["short"].format(
        country=country.name[language], number=country.lines[0].number, emergency=country.emergency[0].number
    )
