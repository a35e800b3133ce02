"""What a rewriting takes in tokens and money, before and while it runs."""

import math
import re
import tomllib
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


def read_models(models: str, prices: list[str]) -> Models:
    """From `NAME[=WEIGHT],…` and `NAME=IN,OUT` (US dollars for a million tokens), the forms of the command line.

    Raises:
        ValueError: a weight that is not above 0, or a price that is no number from 0 on.
    """
    weights: dict[str, float] = {}
    for part in models.split(","):
        name, _, weight = part.strip().partition("=")
        weights[name] = _number(weight or "1", f"--model {part!r}: NAME or NAME=WEIGHT")
        if not name or weights[name] <= 0:
            raise ValueError(f"--model {part!r}: a name and, after =, a weight above 0 are wanted")
    known = tomllib.loads(files("soulchatcorpus.making").joinpath("prices.toml").read_text(encoding="utf-8"))["models"]
    table = {name: (float(price[0]), float(price[1])) for name, price in known.items()}
    for given in prices:
        name, _, pair = given.rpartition("=")
        price_in, _, price_out = pair.partition(",")
        wanted = f"--price {given!r}: NAME=IN,OUT in dollars for a million tokens"
        if not name:
            raise ValueError(f"{wanted} is wanted")
        table[name] = (_number(price_in, wanted), _number(price_out, wanted))
    return Models(weights, {name: table[name] for name in weights if name in table})


def _number(text: str, wanted: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{wanted} is wanted, found {text!r}") from None
    if not 0 <= number < math.inf:
        raise ValueError(f"{wanted} is wanted, found {text!r}")
    return number
