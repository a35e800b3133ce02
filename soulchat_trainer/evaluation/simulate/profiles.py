"""Who the client is: profiles of our own, and readers of those that others publish.

A profile of our own is one JSON line; `story` is what it cannot do without:

    {"id": "roommate", "topic": "人际关系", "age": 20, "gender": "female", "who": "护理专业大二学生。", "story": "…",
     "hidden": "…", "voice": "…", "dialect": "普通话", "feeling": "…", "help": "…",
     "risk": {"level": "low", "disclosure": "hidden", "note": "…"}}

SAGE's `simulator_profile.jsonl` (github.com/Tencent/digitalhuman, MIT) and VERA-MH's `personas.tsv`
(github.com/SpringCare/VERA-MH, MIT) are recognised by their fields; so is a line with a `story`, or the `question` and
`description` of a consultation, and under `big_five` the traits that PsyDT takes from it (Xie et al. 2024; PsyDT
publishes its talks, not the traits).
"""

import csv
import io
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from soulchatcorpus.clients import TRAITS, Client, find_trait, is_level, read_client, read_player
from soulchatcorpus.making.options import Options
from soulchatcorpus.reading.json_stream import read_records
from soulchatcorpus.schema import find_topic

SHIPPED = "soulchat"  # the name of the profiles that come with the package
Level = Literal["none", "low", "moderate", "high", "imminent"]
LEVELS: tuple[Level, ...] = ("none", "low", "moderate", "high", "imminent")
GENDERS = {"female": "女", "male": "男"}
_VERA_LEVELS: dict[str, Level] = {
    "none": "none",
    "low": "low",
    "moderate": "moderate",
    "high": "high",
    "imminent": "imminent",
    "immediate": "imminent",
}


class Risk(Options):
    """Danger of suicide or self-harm.

    Attributes:
        level: none says that it only sounds like danger.
        disclosure: whether the client says so unasked.
        note: how it shows in the talk.
    """

    level: Level
    disclosure: Literal["open", "hidden"]
    note: str = ""


class Profile(Options):
    """A client.

    Attributes:
        id: names the client's talks.
        who: the person.
        story: what happened.
        hidden: what is not said at first.
        voice: how they talk.
        feeling: how they feel.
        help: what would help, which the client does not ask for.
        risk: None where the profile says nothing of it.
        attributes: what is stated beside age, gender and who, for `client`; nobody is told of it in the talk.
    """

    id: Annotated[str, Field(min_length=1)]
    story: str
    topic: str | None = None
    age: Annotated[int, Field(ge=0, le=120)] | None = None
    gender: str = ""
    who: str = ""
    hidden: str = ""
    voice: str = ""
    dialect: str = ""
    feeling: str = ""
    help: str = ""
    risk: Risk | None = None
    attributes: Client = {}

    @model_validator(mode="after")
    def _check_texts(self) -> "Profile":
        if not self.story.strip():
            raise ValueError("story is empty; allowed: what happened to the client, in words")
        read_client(self.attributes)
        return self

    @property
    def hash(self) -> str:
        """Of all that the profile says in a talk."""
        return sha256(self.model_dump_json(exclude={"attributes"}).encode()).hexdigest()[:12]

    @property
    def client(self) -> Client | None:
        """What the profile states of the client, as a corpus has it."""
        return read_client({"age": self.age, "gender": self.gender, "about": self.who} | self.attributes)

    def describe(self) -> str:
        """The profile as the client's instructions have it, a line for each thing that is known."""
        age = f"{self.age} 岁" if self.age is not None else ""
        person = "，".join(part for part in (GENDERS.get(self.gender, self.gender), age, self.who) if part)
        lines = {
            "你是": person,
            "发生的事": self.story,
            "一开始不会说的事": self.hidden,
            "你怎么说话": "；".join(part for part in (self.dialect, self.voice) if part),
            "你的感受": self.feeling,
            "什么会对你有帮助（你自己不会直接说出来）": self.help,
            "关于危险": self.risk.note if self.risk else "",
        }
        return "\n".join(f"【{name}】{text}" for name, text in lines.items() if text)


def read_profiles(name: str) -> list[Profile]:
    """The profiles of a file, or the 24 that ship, by the name soulchat.

    Raises:
        OSError: the file is not there.
        ValueError: a profile without a story, of an unknown form, or with an id that another has.
    """
    path = Path(str(files(__package__).joinpath("profiles.jsonl"))) if name == SHIPPED else Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"profiles is {name}; allowed: {SHIPPED}, or a file that is there")
    rows = _read_table(path) if path.suffix in (".tsv", ".csv") else _read_lines(path)
    profiles: dict[str, Profile] = {}
    for number, row in rows:
        where = f"{path.name}, profile {number}"
        try:
            profile = read_profile(row, str(number))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if profile.id in profiles:
            raise ValueError(f"{where}: id is {profile.id!r}, which another has; allowed: ids that differ")
        profiles[profile.id] = profile
    if not profiles:
        raise ValueError(f"{path} holds no profile; allowed: one JSON object a line")
    return list(profiles.values())


def read_profile(row: dict[str, Any], default_id: str) -> Profile:
    """The profile of a row of any known form; raises ValueError for another."""
    if "id" not in row:
        row = {"id": default_id, **row}
    for fields, read in _FORMS.items():
        if fields <= row.keys():
            return read(row)
    return _read_own(row)


def _read_own(row: dict[str, Any]) -> Profile:
    if row.get("topic") is not None:
        row = row | {"topic": find_topic(row["topic"]) or _refuse_topic(row["topic"])}
    return Profile(**row)


def _refuse_topic(topic: object) -> str:
    raise ValueError(f"topic is {topic!r}; allowed: one of the twelve, or none")


def _read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for record in read_records(path):
        if record.problem:
            raise ValueError(f"{record.error()}; allowed: one JSON object a line")
        if not isinstance(record.value, dict):
            raise ValueError(f"{path.name}, profile {record.number} is no JSON object; allowed: one object a profile")
        yield record.number, record.value


def _read_table(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8 ({error}); allowed: a table in UTF-8") from None
    try:
        delimiter = "\t" if path.suffix == ".tsv" else ","
        table = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows, columns = list(table), list(table.fieldnames or ())
    except csv.Error as error:
        raise ValueError(f"{path} is no table ({error}); allowed: a persona table") from None
    if "story" not in columns and not any(fields <= set(columns) for fields in _FORMS):
        raise ValueError(
            f"{path} has the columns {', '.join(columns) or 'none'}; allowed: those of a profile, with story, or of "
            "VERA-MH's personas.tsv (its personas_HFO.tsv, of harm from others, is not read)"
        )
    for number, row in enumerate(rows, 1):
        yield number, {name: value or "" for name, value in row.items() if name}


def _read_sage(row: dict[str, Any]) -> Profile:
    """`player`: who; `scene`: what happened and how the player reacts; `task`: what they hope for and do not say."""
    player = _text(row, "player")
    traits = row.get("cha_group") or []
    if not isinstance(traits, list):
        raise ValueError(f"cha_group is {traits!r}; allowed: a list of traits")
    voice = "、".join(map(str, traits))
    return Profile(
        id=str(row["id"]),
        who=player,
        story=row["scene"],
        hidden=row.get("task") or "",
        voice=voice,
        attributes={"about": voice} | (read_player(player) or {}),
    )


def _read_vera(row: dict[str, Any]) -> Profile:
    """A row of the persona table, in which all is text; in JSON it may not be."""
    row = {name: "" if value is None else str(value) for name, value in row.items()}
    level = _VERA_LEVELS.get(row["Current Risk Level"].strip().lower())
    if level is None:
        raise ValueError(f"Current Risk Level is {row['Current Risk Level']!r}; allowed: {', '.join(_VERA_LEVELS)}")
    told = row.get("Disclosure of Suicide Risk", "")
    return Profile(
        id=row["Name"],
        age=int(row["Age"]) if row.get("Age", "").isdecimal() else None,
        gender=row.get("Pronouns", ""),
        who=row["Background"],
        story="; ".join(
            part for part in (row["Mental Health Context"], row.get("Recent Stressors/Risk Factors")) if part
        ),
        voice="; ".join(part for part in (row.get("Communication Style"), row.get("Sample Prompts")) if part),
        help=row.get("Reaction to Chatbot Responses", ""),
        risk=Risk(
            level=level,
            disclosure="open" if "high disclosure" in told.lower() else "hidden",
            note=_join(row.get("Current Suicidal Thoughts and Behaviors"), told),
        ),
    )


def _text(row: dict[str, Any], name: str) -> str:
    if not isinstance(row.get(name) or "", str):
        raise ValueError(f"{name} is {row[name]!r}; allowed: text")
    return row.get(name) or ""


def _join(*parts: str | None) -> str:
    return "; ".join(part for part in parts if part)


_CONSULTATION = ("question", "description")  # a single question, as PsyQA and PsyDT have it


def _read_psydt(row: dict[str, Any]) -> Profile:
    """A story, or the question of a consultation, with five traits as PsyDT takes them from it.

    The traits are an object, each a text or a number, or all of them one text; those that are levels become the
    client's. `normalizedTag` is the topic, as in PsyDTCorpus.
    """
    names = {"normalizedTag": "topic"}
    kept = {names.get(name, name): value for name, value in row.items() if name not in ("big_five", *_CONSULTATION)}
    if "story" not in kept:
        kept["story"] = "\n".join(str(row[name]) for name in _CONSULTATION if row.get(name))
    traits, levels = row["big_five"], {}
    if not isinstance(traits, str):
        traits = _name_traits(traits)
        levels = {name: value for name, value in traits.items() if is_level(value)}
        traits = "；".join(f"{TRAITS[name]}：{value}" for name, value in traits.items())
    voice = "；".join(part for part in (_text(row, "voice"), traits) if part)
    stated = {"id": str(row["id"]), "voice": voice, "attributes": read_client({"big_five": levels}) or {}}
    return _read_own(kept | stated)


def _name_traits(given: Any) -> dict[str, Any]:
    """Traits by their English names; raises ValueError for what is none."""
    if isinstance(given, dict):
        named = {find_trait(str(name)): value for name, value in given.items()}
        if None not in named:
            return {str(name): value for name, value in named.items()}
    raise ValueError(f"big_five is {given!r}; allowed: a text, or an object of {', '.join(TRAITS)}")


_FORMS: dict[frozenset[str], Callable[[dict[str, Any]], Profile]] = {
    frozenset({"player", "scene"}): _read_sage,
    frozenset({"Name", "Background", "Mental Health Context", "Current Risk Level"}): _read_vera,
    frozenset({"big_five"}): _read_psydt,
}
