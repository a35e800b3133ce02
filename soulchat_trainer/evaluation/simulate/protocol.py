"""What decides how a talk goes, in a small YAML file: who begins, the client's instructions, when it ends.

Two ship: `plain` (a number of rounds) and `emotion` (the client keeps an emotion, whose last value is the score).
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from soulchatcorpus.making.options import Options

from .profiles import Profile

NAMES = ("plain", "emotion")
PLACE = "{profile}"  # where the client's instructions have the profile
Side = Literal["client", "counsellor"]

_FIELDS = re.compile(
    r"想法[：:](?P<thought>.*?)情绪变化[：:]\s*+(?P<change>[+＋−－-]?\d{1,9})[^\n]*\s*+回复[：:](?P<text>.*)",
    re.DOTALL,
)
_KEPT = re.compile(r"(?:想法|情绪变化)\s*[：:]")  # what the client keeps to itself
_SIGNS = str.maketrans("＋−－", "+--")
_SPEAKER = re.compile(r"^\s*(?:用户|来访者|求助者|咨询师|心理咨询师)[：:]\s*")


class Emotion(Options):
    """The client's emotion; SAGE's numbers (Zhang et al. 2025) are the defaults.

    Attributes:
        start: before the first word.
        step: the most that one turn moves it.
        low: the talk ends where it falls below.
        high: the talk ends where it is reached.
    """

    start: int = Field(default=40, ge=0, le=100)
    step: int = Field(default=10, ge=1, le=100)
    low: int = Field(default=10, ge=0, le=100)
    high: int = Field(default=100, ge=0, le=100)

    @model_validator(mode="after")
    def _begins_inside(self) -> "Emotion":
        if not self.low <= self.start < self.high:
            raise ValueError(f"start is {self.start}; allowed: from low, {self.low}, to below high, {self.high}")
        return self


class Protocol(Options):
    """How talks go.

    Attributes:
        begins: who says the first word.
        cue: what the one who begins is shown instead of words of the other.
        client: the client's instructions, with `{profile}` in it.
        turns: rounds, each a message of either side, after which every talk stops.
        goodbyes: words of the client after which the counsellor answers once more, and the talk ends.
        end_mark: what ends the talk in a counsellor's message; it is cut off.
        emotion: None where the client keeps none.
        temperature, top_p, max_new_tokens, seed: how both sides are drawn.
    """

    name: Annotated[str, Field(min_length=1)]
    client: str
    source: str = ""
    begins: Side = "client"
    cue: str = "（对话开始了，请你先说第一句话。）"
    turns: int = Field(ge=1, le=1000)
    goodbyes: list[Annotated[str, Field(min_length=1)]] = []
    end_mark: str | None = Field(default=None, min_length=1)
    emotion: Emotion | None = None
    temperature: float = Field(default=0.95, gt=0)
    top_p: float = Field(default=0.75, gt=0, le=1)
    max_new_tokens: int = Field(default=512, ge=1)
    seed: int = 0

    @model_validator(mode="after")
    def _can_be_used(self) -> "Protocol":
        if PLACE not in self.client:
            raise ValueError(f"client has no {PLACE}; allowed: instructions with a place for the profile")
        return self

    @property
    def hash(self) -> str:
        """Of all that the protocol says but the number of rounds, which an earlier talk may go beyond."""
        return sha256(self.model_dump_json(exclude={"turns"}).encode()).hexdigest()[:12]

    @property
    def version(self) -> str:
        """Name and hash, as provenance has them."""
        return f"{self.name}@{self.hash}"

    def instruct(self, profile: Profile) -> str:
        """The client's instructions."""
        return self.client.strip().replace(PLACE, profile.describe())

    def says_goodbye(self, text: str) -> bool:
        """Whether the client takes leave."""
        return any(word in text for word in self.goodbyes)


@dataclass(frozen=True, slots=True)
class ClientTurn:
    """What a client's answer holds.

    Attributes:
        text: what the counsellor hears.
        change: of the emotion; 0 without one.
        thought: what it keeps to itself.
    """

    text: str
    change: int = 0
    thought: str = ""


def read_client(protocol: Protocol, answer: str) -> ClientTurn | None:
    """The client's turn in an answer; None where the emotion's fields are not in it, so that no thought slips out."""
    if protocol.emotion is None:
        return ClientTurn(_SPEAKER.sub("", answer).strip())
    found = _FIELDS.search(answer)
    if found is None or _KEPT.search(found["text"]):  # an answer may hold the form twice
        return None
    step = protocol.emotion.step
    change = int(found["change"].translate(_SIGNS))
    return ClientTurn(_SPEAKER.sub("", found["text"]).strip(), max(-step, min(step, change)), found["thought"].strip())


def read_counsellor(answer: str) -> str:
    """The counsellor's words in an answer."""
    return _SPEAKER.sub("", answer).strip()


def load_protocol(name: str) -> Protocol:
    """One of `NAMES`, or that of a YAML file.

    Raises:
        OSError: the file is not there.
        ValueError: it is no protocol, such as one that never stops.
    """
    if name in NAMES:
        text = files(__package__).joinpath(f"protocols/{name}.yaml").read_bytes()
    elif Path(name).is_file():
        text = Path(name).read_bytes()
    else:
        raise FileNotFoundError(f"protocol is {name}; allowed: {', '.join(NAMES)}, or a YAML file that is there")
    return Protocol.from_yaml(text, f"protocol {name}")
