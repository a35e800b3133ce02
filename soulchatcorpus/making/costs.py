"""What asking an endpoint takes in tokens and money, before and while it runs."""

import math
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from importlib.resources import files

# A rewriting has some 900 characters (SMILECHAT's mean). What is reserved for one under way is deliberately more.
EXPECTED_REPLY_TOKENS = 1_000
RESERVED_REPLY_TOKENS = 2_500

_WIDE = re.compile(r"[\u2e80-\U0010ffff]+")


def estimate_tokens(text: str) -> int:
    """About as many tokens as ChatGPT's tokenizer makes: 1.1 for a Chinese character, one for four of the others."""
    wide = sum(len(run) for run in _WIDE.findall(text))
    return int(1.1 * wide + (len(text) - wide) / 4) + 1


@dataclass(slots=True, frozen=True)
class Models:
    """Model names with their weights and prices.

    Attributes:
        weights: name to weight; a record's model is chosen by a hash of its id, so that a rerun chooses the same.
        prices: name to (in, out) in US dollars for a million tokens, for the models whose price is known.
    """

    weights: dict[str, float]
    prices: dict[str, tuple[float, float]]

    def choose(self, record_id: str) -> str:
        """The model for a record."""
        point = int.from_bytes(blake2b(record_id.encode(), digest_size=8).digest(), "big") / 2**64
        point *= sum(self.weights.values())
        for name, weight in self.weights.items():
            point -= weight
            if point < 0:
                return name
        return name

    def cost(self, model: str, prompt_tokens: int, completion_tokens: int) -> float:
        """US dollars; 0 where the price is not known."""
        price_in, price_out = self.prices.get(model, (0.0, 0.0))
        return (prompt_tokens * price_in + completion_tokens * price_out) / 1e6

    @property
    def without_price(self) -> list[str]:
        return [name for name in self.weights if name not in self.prices]


@dataclass(slots=True, frozen=True)
class Estimate:
    """What a run would take."""

    records: int
    characters: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


def estimate_prompts(prompts: Iterable[tuple[str, str]], models: Models, reply_tokens: int) -> Estimate:
    """Tokens and cost of sending prompts, each with the id of its record, for replies of about so many tokens."""
    records = characters = tokens = 0
    cost = 0.0
    for record_id, prompt in prompts:
        prompt_tokens = estimate_tokens(prompt)
        records, characters, tokens = records + 1, characters + len(prompt), tokens + prompt_tokens
        cost += models.cost(models.choose(record_id), prompt_tokens, reply_tokens)
    return Estimate(records, characters, tokens, records * reply_tokens, cost)


def read_models(models: str, prices: list[str]) -> Models:
    """From `NAME[=WEIGHT],…` and `NAME=IN,OUT` (US dollars for a million tokens).

    Raises:
        ValueError: a weight that is not above 0, or a price that is no number from 0 on.
    """
    weights: dict[str, float] = {}
    for part in models.split(","):
        name, _, weight = part.strip().partition("=")
        weights[name] = _number(weight or "1")
        if not (name and 0 < weights[name] < math.inf):
            raise ValueError(f"model is {part.strip()!r}; allowed: NAME or NAME=WEIGHT with a weight above 0")
    known = tomllib.loads(files("soulchatcorpus.making").joinpath("prices.toml").read_text(encoding="utf-8"))["models"]
    table = {name: (float(price[0]), float(price[1])) for name, price in known.items()}
    for given in prices:
        name, _, pair = given.rpartition("=")
        price_in, _, price_out = pair.partition(",")
        table[name] = (_number(price_in), _number(price_out))
        if not (name and all(0 <= number < math.inf for number in table[name])):
            raise ValueError(f"price is {given!r}; allowed: NAME=IN,OUT in dollars for a million tokens")
    return Models(weights, {name: table[name] for name in weights if name in table})


def _number(text: str) -> float:
    """The number in a text, nan where there is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
