"""What a client is like: stated in a record, or Big Five levels drawn from a stated distribution with a seed."""

import random

from pydantic import Field

from .options import LEVELS, Level, Options, read_levels
from .records import Record

TRAITS = {
    "openness": "开放性",
    "conscientiousness": "尽责性",
    "extraversion": "外向性",
    "agreeableness": "宜人性",
    "neuroticism": "神经质",
}
_LEVEL_NAMES = {"low": "低", "medium": "中", "high": "高"}
_FACT_NAMES = {"age": "年龄", "gender": "性别", "occupation": "职业", "about": "其他"}


class Client(Options):
    """What is known of a client; each may be missing.

    Raises:
        ValueError: an unknown trait or level.
    """

    age: str | None = Field(default=None, description="Age group.")
    gender: str | None = None
    occupation: str | None = None
    openness: Level | None = None
    conscientiousness: Level | None = None
    extraversion: Level | None = None
    agreeableness: Level | None = None
    neuroticism: Level | None = None
    about: str | None = Field(default=None, description="Free text.")

    def describe(self) -> str:
        """In words, for a prompt."""
        known = self.known()
        facts = [f"{name}：{known[key]}" for key, name in _FACT_NAMES.items() if key in known]
        levels = [f"{name}：{_LEVEL_NAMES[known[key]]}" for key, name in TRAITS.items() if key in known]
        return "\n".join([*facts, *levels])

    def known(self) -> dict[str, str]:
        """What is not missing."""
        return self.model_dump(exclude_none=True)


def choose_client(record: Record, levels: str, seed: int) -> Client:
    """The client of a record, or where it states none, one with each level of the Big Five drawn by `levels`.

    The draw depends on the seed and the record's id alone: the order and number of the records change nothing.

    Raises:
        ValueError: the record's `client` has an unknown trait or level.
    """
    if stated := record.get("client"):
        if not isinstance(stated, dict):
            raise ValueError(f"client of record {record['id']!r} is {stated!r}; allowed: an object")
        try:
            return Client(**{str(key): value for key, value in stated.items()})
        except ValueError as error:
            raise ValueError(f"record {record['id']!r}: client: {error}") from None
    weights = read_levels(levels)
    drawn = random.Random(f"{seed}/{record['id']}")
    return Client(**{trait: drawn.choices(LEVELS, weights)[0] for trait in TRAITS})
