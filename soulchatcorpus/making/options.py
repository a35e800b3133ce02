"""The options of the steps of making: each one's name, type, bounds, default and help, written once.

A pipeline file and Python give them by name; `soulchat corpus` makes its flags of them.
"""

import ipaddress
import math
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..clients import LEVELS
from ..files import parse_yaml
from ..thoughts import Thinking
from ..wanted import describe_wanted
from .costs import Models, read_models
from .parse import MIN_ROUNDS
from .prompts import Prompt, load_prompt

KEY_VARIABLE = "OPENAI_API_KEY"
OPENAI = "https://api.openai.com/v1"

# Step of the cleaning -> what it may do with what it finds; the first is the default. The paper's special strings only
# flag: 我是 alone stands in a quarter of real dialogues.
ACTIONS = {
    "length": ("drop", "flag"),
    "language": ("drop", "flag"),
    "repetition": ("drop", "flag"),
    "refusal": ("drop", "flag"),
    "advertisement": ("flag", "drop"),
    "special": ("flag", "drop"),
    "privacy": ("mask", "flag", "drop"),
    "crisis": ("label", "flag", "drop"),
    "exact_duplicate": ("drop", "flag"),
    "near_duplicate": ("drop",),
}


def _read_bare_off(value: Any) -> Any:
    """YAML reads a bare `off` as false."""
    return "off" if value is False else value


UnknownTopics = Annotated[
    Literal["refuse", "relabel"],
    Field(description="A topic that is none of the twelve: refuse the file, or leave it open."),
]
Share = Annotated[float, Field(ge=0, le=1)]
Consent = Annotated[bool, Field(description="Do not ask before text leaves this machine.")]


def _read_off(actions: Any) -> Any:
    if not isinstance(actions, dict):
        return actions
    return {step: _read_bare_off(action) for step, action in actions.items()}


class Options(BaseModel):
    """Checked when made.

    Raises:
        ValueError: an unknown or missing option, or one of another type or out of its bounds; the message names it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def __init__(self, /, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise ValueError(_explain(error, list(type(self).model_fields))) from None

    @classmethod
    def from_yaml(cls, text: bytes, source: str) -> Self:
        """The options that a YAML mapping gives by name; `source`, such as "style lin.yaml", begins every error."""
        try:
            fields = parse_yaml(text)
            if not isinstance(fields, dict):
                raise ValueError(f"it is no mapping; allowed: {', '.join(cls.model_fields)}")
            return cls(**{str(key): value for key, value in fields.items()})
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from None


def _explain(error: ValidationError, known: list[str]) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors()[0]
    if first["type"] == "value_error":  # found by one of our own checks, here or in options inside
        return str(first["ctx"]["error"])
    name, *inside = first["loc"]
    if first["type"] == "extra_forbidden":
        return f"option {name!r} is unknown; allowed: {', '.join(known) or 'none'}"
    if first["type"] == "missing":
        return f"{name} is missing; allowed: {describe_wanted(first)}"
    return f"{name} {'holds' if inside else 'is'} {first['input']!r}; allowed: {describe_wanted(first)}"


class RequestOptions(Options):
    """How requests are sent to an endpoint."""

    base_url: str = Field(description="An OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1.")
    model: str = Field(description="NAME[=WEIGHT],… (the paper: gpt-3.5-turbo=99,gpt-4=1).")
    price: list[str] = Field(default=[], description="NAME=IN,OUT: US dollars for a million tokens.")
    concurrency: int = Field(default=16, ge=1, description="Requests under way at once.")
    requests_per_minute: int = Field(default=0, ge=0, description="0: no limit.")
    tokens_per_minute: int = Field(default=0, ge=0, description="Both ways together; 0: no limit.")
    timeout: float = Field(default=120.0, gt=0, description="Seconds for one request.")
    max_tokens: int | None = Field(default=None, ge=1, description="Of a reply; left to the endpoint where not given.")
    max_cost: float | None = Field(default=None, ge=0, description="Stop before this many US dollars are passed.")
    thinking: Thinking | None = Field(
        default=None, description="off: ask a model that thinks not to. keep: let it. Else as it does by itself."
    )
    send_unmasked: bool = Field(default=False, description="Send private details as they are.")
    yes: Consent = False

    @cached_property
    def models(self) -> Models:
        """The models with their weights and prices."""
        return read_models(self.model, self.price)

    @field_validator("thinking", mode="before")
    @classmethod
    def _read_thinking(cls, value: Any) -> Any:
        return _read_bare_off(value)

    @model_validator(mode="after")
    def _check_endpoint(self) -> Self:
        return self.check_requests()

    def check_requests(self) -> Self:
        """Itself; raises `ValueError` for an address that is none, and for a bound on costs that are not known."""
        check_address(self.base_url)
        if (names := self.models.without_price) and self.max_cost is not None:
            raise ValueError(f"max_cost is {self.max_cost}; allowed: with the `price` of {', '.join(names)}")
        return self

    def check_consent(self, what: str) -> None:
        """Raise `ValueError` where `what` would leave this machine without a yes."""
        if not self.yes and not is_loopback(self.base_url):
            raise ValueError(f"yes is False; allowed: true, since {what} would be sent to {self.base_url}")


class RewriteOptions(RequestOptions):
    """How questions with answers become conversations."""

    prompt: str = Field(
        default="soulchat", description="soulchat, soulchat-en, psydt, or a text file with {single_turn} in it."
    )
    style: Path | None = Field(
        default=None, strict=False, description="A style card, for {style} and {stages}, and as system text."
    )
    cases: Path | None = Field(default=None, strict=False, description="The counsellor's cases, for {example}.")
    levels: str = Field(
        default="low=1,medium=1,high=1",
        description="How clients' Big Five are drawn, where a record states no client.",
    )
    seed: int = Field(default=0, description="Of that draw.")
    thinking: Thinking | None = Field(
        default="off", description="off: ask a model that thinks not to. keep: let it; what it thinks is left out."
    )
    min_rounds: int = Field(
        default=MIN_ROUNDS, ge=1, description="Shorter rewritings are rejected (the paper's Figure 7 has 5)."
    )
    retry: Literal["rejected"] | None = Field(default=None, description="Ask again for what was rejected.")
    unknown_topics: UnknownTopics = "refuse"

    @cached_property
    def template(self) -> Prompt:
        """The prompt that `prompt` names."""
        return load_prompt(self.prompt)

    @model_validator(mode="after")
    def _check_prompt(self) -> "RewriteOptions":
        slots = load_prompt(self.prompt).slots
        for slot, name, value in (
            ("style", "style", self.style),
            ("stages", "style", self.style),
            ("example", "cases", self.cases),
        ):
            if slot in slots and value is None:
                raise ValueError(
                    f"{name} is None; allowed with the prompt {self.prompt}: a file, for {{{slot}}} in it"
                )
        read_levels(self.levels)
        return self


class StyleOptions(RequestOptions):
    """How cases become a style card."""

    counsellor: str | None = Field(
        default=None, description="An id of the counsellor; the name of the card's file by default."
    )


class CleanOptions(Options):
    """What the cleaning does."""

    actions: Annotated[dict[str, str], BeforeValidator(_read_off)] = Field(
        default={}, description="STEP=ACTION, such as special=drop or privacy=flag; off leaves a step out."
    )
    min_characters: int = Field(default=20, ge=0, description="Of a whole record.")
    max_characters: int = Field(default=20_000, ge=0, description="Of a whole record.")
    language: Literal["zh", "en", "any"] = Field(default="any", description="Of the corpus.")
    recogniser: bool = Field(default=False, description="Also names and places, by jieba's tagger.")
    topics: Literal["words", "endpoint", "none"] = Field(
        default="words", description="Missing topics: by keywords, by a model, or left open."
    )
    base_url: str | None = Field(default=None, description="Of the model that gives topics.")
    model: str | None = Field(default=None, description="That gives topics: NAME[=WEIGHT],…")
    yes: Consent = False
    tasks: int = Field(
        default=1, ge=1, description="Parts to cut the work into; duplicates are found across all of them."
    )
    workers: int = Field(default=1, ge=1, description="Processes at once.")
    unknown_topics: UnknownTopics = "refuse"

    @property
    def requests(self) -> RequestOptions | None:
        """How topics are asked for; None where they are not."""
        if self.topics != "endpoint" or not self.base_url or not self.model:
            return None
        return RequestOptions(base_url=self.base_url, model=self.model, yes=self.yes)

    @model_validator(mode="after")
    def _check_clean(self) -> "CleanOptions":
        for step, action in self.actions.items():
            if step not in ACTIONS or action not in (*ACTIONS[step], "off"):
                allowed = ", ".join(f"{name}={'|'.join(ACTIONS[name])}|off" for name in ACTIONS)
                raise ValueError(f"actions is {step}={action}; allowed: {allowed}")
        if self.topics == "endpoint" and not self.requests:
            raise ValueError("topics is 'endpoint'; allowed: with `base_url` and `model`")
        return self

    def action(self, step: str) -> str:
        """What a step does with what it finds."""
        return self.actions.get(step, ACTIONS[step][0])


class ReviewOptions(Options):
    """What people are given to read."""

    flagged: bool = Field(default=True, description="Queue what the cleaning flagged.")
    sample: Share = Field(default=0.02, description="And this share of the other records.")
    shared: Share = Field(default=0.1, description="The share of the queue that two reviewers decide on.")


class StatsOptions(Options):
    """What a corpus is described with."""

    compare: Path | None = Field(default=None, strict=False, description="Another corpus to set beside it.")
    font: Path | None = Field(default=None, strict=False, description="A font file with the corpus's characters.")

    @model_validator(mode="after")
    def _check_font(self) -> "StatsOptions":
        if self.font and not self.font.is_file():
            raise ValueError(f"font is {self.font}; allowed: a file that is there")
        return self


def read_levels(levels: str) -> list[float]:
    """The weights of `LEVELS` in `low=WEIGHT,medium=WEIGHT,high=WEIGHT`; a level that is left out is never drawn.

    Raises:
        ValueError: an unknown level, a weight that is no number from 0 on, or none above 0.
    """
    weights: dict[str, float] = dict.fromkeys(LEVELS, 0.0)
    try:
        for name, weight in (part.split("=") for part in levels.split(",")):
            weights[LEVELS[LEVELS.index(name.strip())]] = float(weight)
    except ValueError:
        weights = dict.fromkeys(LEVELS, -1.0)
    if not (all(0 <= weight < math.inf for weight in weights.values()) and sum(weights.values()) > 0):
        raise ValueError(f"levels is {levels!r}; allowed: low=WEIGHT,medium=WEIGHT,high=WEIGHT from 0 on")
    return list(weights.values())


def check_address(base_url: str) -> None:
    """Raise `ValueError` for what is no http(s) address, or may hold a key, which would stand in every error."""
    try:
        parts = urlsplit(base_url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # such as a port that is no number
        known = False
    if not known:
        raise ValueError(f"base_url is {base_url!r}; allowed: an http(s) address")
    if parts.username or parts.password or parts.query:
        raise ValueError(
            f"base_url has a user, password or ?query in it; allowed: none, the key is taken from {KEY_VARIABLE} only"
        )


def is_loopback(base_url: str) -> bool:
    """Whether what is sent to `base_url` stays on this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
