"""A counsellor's style as a card: a YAML file that is made of cases, edited by a person, and talked by."""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, StringConstraints

from ..files import write_text
from ..schema import Message
from .options import Options

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class StyleCard(Options):
    """How a counsellor talks; every part is needed.

    Raises:
        ValueError: a part is missing, unknown, empty or of another type; the message names it.
    """

    counsellor: Words = Field(description="An id of the counsellor, such as a made-up name.")
    opens: Words = Field(description="How they open a talk and a reply.")
    asks: Words = Field(description="How they ask.")
    reflects: Words = Field(description="How they reflect what is felt.")
    closes: Words = Field(description="How they close.")
    characters: int = Field(ge=1, description="Mean length of a reply.")
    expressions: list[Words] = Field(description="Expressions that they use.")
    therapy: Words = Field(description="The therapy.")
    stages: list[Words] = Field(min_length=1, description="The therapy's stages, in order.")

    def describe(self) -> str:
        """The style in words, for a prompt."""
        lines = [
            f"开始：{self.opens}",
            f"提问：{self.asks}",
            f"回应：{self.reflects}",
            f"结束：{self.closes}",
            f"长短：每次约 {self.characters} 字",
            f"疗法：{self.therapy}",
        ]
        if self.expressions:
            lines.insert(5, f"常用词句：{'；'.join(self.expressions)}")
        return "\n".join(lines)

    def describe_stages(self) -> str:
        """The stages, numbered."""
        return "\n".join(f"{number}. {stage}" for number, stage in enumerate(self.stages, 1))

    def system_text(self) -> str:
        """What a model is told before a talk in this style."""
        return (
            f"你是一位心理咨询师，按以下风格和阶段与来访者交谈。\n{self.describe()}\n阶段：\n{self.describe_stages()}"
        )


def load_style(path: Path) -> StyleCard:
    """The card of a YAML file.

    Raises:
        OSError: it is not there.
        ValueError: it is no style card, or one without a part.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"style is {path}; allowed: a YAML file that is there, as `soulchat corpus style` writes"
        )
    return StyleCard.from_yaml(path.read_bytes(), f"style {path}")


def write_style(path: Path, card: StyleCard) -> None:
    """Write a card as YAML, for people to read and edit."""
    write_text(path, yaml.safe_dump(card.model_dump(), allow_unicode=True, sort_keys=False, width=110))


def with_style(card: StyleCard, messages: list[Message]) -> list[Message]:
    """A conversation with the system text of a card before it."""
    return [Message(role="system", content=card.system_text()), *messages]
