"""What replies, talks or pairs are judged by: a rubric is a YAML file that people and models are asked by alike.

name: warmth
title: {en: Warmth, zh: 温暖}        # one text instead of en and zh stands for both
source: our own
judged: reply                        # reply, talk or pair
prompt: |                            # the judge's
  {aspects}
  对话：
  {history}
  回复：
  {reply}
  {form}
aspects:
  - name: warmth
    title: {en: Warmth, zh: 温暖}
    question: {en: "Is the reply warm?", zh: 回复是否温暖？}
    scale:
      0: {en: cold, zh: 冷淡}
      1: {en: warm, zh: 温暖}
"""

import re
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from hub_cards.results import in_one_line
from soulchatcorpus.files import parse_yaml

SHIPPED = resources.files("soulchat_trainer.evaluation").joinpath("rubrics")
Judged = Literal["reply", "talk", "pair"]
Language = Literal["zh", "en"]

# What the judge's prompt must have a place for, by what is judged. Of two whole talks, `history` is empty.
PLACES: dict[Judged, tuple[str, ...]] = {
    "reply": ("aspects", "history", "reply", "form"),
    "talk": ("aspects", "talk", "form"),
    "pair": ("aspects", "history", "first", "second", "form"),
}
REASON = "reason"  # the judge's, beside its scores
NOTHING: dict[Language, str] = {"zh": "（无）", "en": "(none)"}  # for the judge, where a history or a reply is empty
_FORM = {
    "zh": "只输出一个 JSON 对象，不要输出其他内容：{{{fields}}}，其中 {reason} 是一句话的理由，其余为整数分数。",
    "en": "Answer with one JSON object and nothing else: {{{fields}}}, where {reason} is one sentence and the others "
    "are whole numbers.",
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _know_fields(cls, given: Any) -> Any:
        unknown = [name for name in given if name not in cls.model_fields] if isinstance(given, dict) else []
        if unknown:
            raise ValueError(f"{unknown[0]} is unknown; allowed: {', '.join(cls.model_fields)}")
        return given


class Words(_Part):
    """A text in English and Chinese."""

    en: str = Field(min_length=1)
    zh: str = Field(min_length=1)


def _both(text: Any) -> Any:
    """One text stands for both languages."""
    return {"en": text, "zh": text} if isinstance(text, str) else text


Text = Annotated[Words, BeforeValidator(_both)]


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
        raise ValueError(f"name is {name!r}; allowed: up to 40 of a-z, 0-9 and _, beginning with a letter")
    return name


Name = Annotated[str, AfterValidator(_check_name)]


class Aspect(_Part):
    """One question with its scale.

    Attributes:
        name: its column in files; lower-case letters, digits and _.
        title: what people read above it.
        short: its column in tables; the title where it is not given.
        question: what is asked.
        scale: each whole number, without gaps, and what it means. Of a pair, a scale from below 0 compares: below 0
            is for the first, above 0 for the second.
    """

    name: Name
    title: Text
    short: str = ""
    question: Text
    scale: dict[int, Text]

    @model_validator(mode="after")
    def _check_aspect(self) -> "Aspect":
        if self.name in (REASON, "rater", "item", "seconds", "system"):
            raise ValueError(f"aspect is {self.name!r}; allowed: another name, this one is a column of its own")
        points = sorted(self.scale)
        if len(points) < 2 or points != list(range(points[0], points[-1] + 1)):
            raise ValueError(f"scale of {self.name} is {points}; allowed: two or more whole numbers without gaps")
        return self

    @property
    def minimum(self) -> int:
        return min(self.scale)

    @property
    def maximum(self) -> int:
        return max(self.scale)

    @property
    def values(self) -> list[int]:
        """The points, from the lowest."""
        return sorted(self.scale)

    @property
    def is_binary(self) -> bool:
        """Whether its points are 0 and 1."""
        return self.values == [0, 1]

    @property
    def heading(self) -> str:
        """Its column in tables."""
        return self.short or self.title.en


class Rubric(_Part):
    """Aspects, the judge's prompt, and where they come from.

    Attributes:
        name: of the rubric; studies and judged items remember it.
        title: what people read.
        source: where the questions come from, and whose words they are.
        judged: what is put before raters and judge: a reply with its history, a whole talk, or a pair of either.
        average: a system's mean is that over its items, or over its talks, each counting as the mean of its items.
        language: in which the judge reads aspects and form.
        prompt: the judge's, with a place in braces for each of `PLACES`.
        aspects: one or more.
    """

    name: Name
    title: Text
    source: str = Field(min_length=1)
    judged: Judged
    average: Literal["items", "talks"] = "items"
    language: Language = "zh"
    prompt: str
    aspects: tuple[Aspect, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_rubric(self) -> "Rubric":
        names = [aspect.name for aspect in self.aspects]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"aspects has {', '.join(twice)} twice; allowed: each name once")
        missing = [place for place in PLACES[self.judged] if f"{{{place}}}" not in self.prompt]
        if missing:
            raise ValueError(
                f"prompt lacks {', '.join(f'{{{place}}}' for place in missing)}; allowed: one that has it"
            )
        for aspect in self.aspects:
            if self.is_comparison(aspect) and aspect.minimum != -aspect.maximum:
                raise ValueError(
                    f"{aspect.name} runs from {aspect.minimum} to {aspect.maximum}; allowed: of pairs -k to k"
                )
        if self.judged == "pair" and not any(map(self.is_comparison, self.aspects)):
            raise ValueError("no aspect is one that compares; allowed: of pairs one or more with a scale from -k to k")
        return self

    @cached_property
    def fingerprint(self) -> str:
        """Eight digits of a hash over all of it: two rubrics with the same one ask the same."""
        return sha256(self.model_dump_json().encode()).hexdigest()[:8]

    def is_comparison(self, aspect: Aspect) -> bool:
        """Whether a score of a pair says which one is better, and so turns round with their order."""
        return self.judged == "pair" and aspect.minimum < 0

    def turn_round(self, scores: Mapping[str, int]) -> dict[str, int]:
        """The scores of a pair as they are with the first and the second in each other's place."""
        turned = {aspect.name: -1 if self.is_comparison(aspect) else 1 for aspect in self.aspects}
        return {name: turned[name] * score for name, score in scores.items()}

    def check_scores(self, scores: Mapping[str, Any]) -> None:
        """Raises ValueError where a score is missing or off its scale; it names the aspect and what is allowed."""
        for aspect in self.aspects:
            score = scores.get(aspect.name)
            if isinstance(score, bool) or not isinstance(score, int) or score not in aspect.scale:
                raise ValueError(
                    f"{aspect.name} is {score!r}; allowed: whole numbers from {aspect.minimum} to {aspect.maximum}"
                )

    def render_prompt(self, **texts: str) -> str:
        """What the judge is asked.

        Args:
            texts: what is judged: `history` and `reply`, or `talk`, or `history`, `first` and `second`.
        """
        places = {**texts, "aspects": self._describe_aspects(), "form": self._describe_form()}
        return re.sub(r"\{(\w+)\}", lambda place: places.get(place[1], place[0]), self.prompt)

    def _describe_aspects(self) -> str:
        blocks = []
        for aspect in self.aspects:
            lines = [f"【{aspect.name}】{_in(aspect.title, self.language)}"]
            lines += [_in(aspect.question, self.language)]
            lines += [f"{point}: {_in(aspect.scale[point], self.language)}" for point in aspect.values]
            blocks.append("\n".join(lines))
        return "\n\n".join(blocks)

    def _describe_form(self) -> str:
        fields = ", ".join(
            [f'"{REASON}": "…"', *(f'"{a.name}": {"|".join(map(str, a.values))}' for a in self.aspects)]
        )
        return _FORM[self.language].format(fields=fields, reason=REASON)

    def answer_schema(self) -> dict[str, Any]:
        """The JSON schema of the judge's answer, for endpoints that hold a model to one."""
        scores = {aspect.name: {"type": "integer", "enum": aspect.values} for aspect in self.aspects}
        properties = {REASON: {"type": "string"}, **scores}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }


def _in(words: Words, language: Language) -> str:
    return words.zh if language == "zh" else words.en


def rubric_names() -> list[str]:
    """Names of the rubrics that ship."""
    return sorted(path.name.removesuffix(".yaml") for path in SHIPPED.iterdir() if path.name.endswith(".yaml"))


def read_rubric(name: str) -> Rubric:
    """A rubric by the name of one that ships, or the path of a YAML file.

    Raises:
        ValueError: there is no such rubric, it is no YAML, or a part of it is missing, unknown or of another kind.
        OSError: the file cannot be read.
    """
    shipped = name in rubric_names()
    path = SHIPPED.joinpath(f"{name}.yaml") if shipped else Path(name)
    if not path.is_file():
        raise ValueError(f"rubric is {name!r}; allowed: {', '.join(rubric_names())}, or a YAML file")
    try:
        return Rubric.model_validate(parse_yaml(path.read_bytes()))
    except ValidationError as error:
        raise ValueError(f"rubric {name}: {in_one_line(error)}") from None
    except ValueError as error:
        raise ValueError(f"rubric {name} is not YAML: {error}") from None
