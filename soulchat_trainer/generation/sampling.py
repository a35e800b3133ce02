"""How the next token is drawn: temperature and top-p, seeded for each request, the same in every batch.

Notation: `b` rows (requests), `v` vocabulary.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import threshold

from soulchatcorpus.thoughts import Thinking, check_thinking

# Logits of one row in float32 differ by up to about 1e-5 between batch shapes (another order of summation). What is
# decided by less than this margin is decided again from the row computed alone, see `ReplyEngine`.
FLOAT32_MARGIN = 2e-4

# Logits are divided by the temperature, and below this they could leave float32: the whole batch would fail.
MIN_TEMPERATURE = 1e-4


@dataclass(frozen=True, slots=True)
class Decoding:
    """How replies are drawn. The defaults are the paper's (section 3.2: top-p 0.75, temperature 0.95, 512 tokens)."""

    top_p: float = field(default=0.75, metadata={"help": "Nucleus mass, 0 < p <= 1 (paper, section 3.2)."})
    temperature: float = field(
        default=0.95, metadata={"help": "Sampling temperature, 1e-4 or more (paper, section 3.2)."}
    )
    max_new_tokens: int = field(default=512, metadata={"help": "Longest reply in tokens (paper, section 3.2)."})
    do_sample: bool = field(default=True, metadata={"help": "Draw from the nucleus; false: the likeliest token."})
    seed: int = field(default=0, metadata={"help": "Seed; each request's own is derived from it and its key."})

    thinking: Thinking = field(
        default="off",
        metadata={"help": "off: ask a model that thinks not to. keep: let it; its thoughts are told apart."},
    )

    def __post_init__(self) -> None:
        check_thinking(self.thinking)
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; allowed: greater than 0, at most 1")
        if not (self.temperature >= MIN_TEMPERATURE and math.isfinite(self.temperature)):
            raise ValueError(
                f"temperature is {self.temperature}; allowed: {MIN_TEMPERATURE} or more (do_sample=False for greedy)"
            )
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}; allowed: at least 1")

    @property
    def arguments(self) -> dict[str, Any]:
        """As keyword arguments of `generate`, and as generation_config.json has them."""
        return {
            "do_sample": self.do_sample,
            "top_p": self.top_p,
            "temperature": self.temperature,
            "max_new_tokens": self.max_new_tokens,
        }


def request_seed(decoding: Decoding, key: str) -> int:
    """A request's own seed, 63 bits, from the decoding's and the key."""
    digest = hashlib.sha256(f"{decoding.seed}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def request_generator(decoding: Decoding, key: str, device: torch.device) -> torch.Generator:
    """A request's random numbers: token n of its reply always meets the same ones, whatever else is in the batch."""
    return torch.Generator(device).manual_seed(request_seed(decoding, key))


def gumbel_noise(generators: Sequence[torch.Generator], vocab_size: int) -> Tensor:
    """Standard Gumbel noise [b, v], float32, for one token of each request."""
    noise = torch.empty(len(generators), vocab_size, device=generators[0].device)
    for row, generator in zip(noise, generators, strict=True):
        row.uniform_(generator=generator)
    return noise.log_().neg_().log_().neg_()


def draw(logits: Tensor, noise: Tensor, temperature: Tensor, top_p: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Draw one token a row from the top-p nucleus of softmax(logits / temperature).

    The token with the highest `logits / temperature + Gumbel noise` is a draw from the whole distribution; one that
    lies outside of the nucleus is put aside and the next highest taken, which makes it a draw from the nucleus without
    sorting the vocabulary. A token is inside when the tokens likelier than it hold less than `top_p` together.

    Args:
        logits: [b, v], float32.
        noise: [b, v], float32 standard Gumbel noise, or zeros for the likeliest token.
        temperature: [b, 1], float32. Greedy rows: 1.
        top_p: [b, 1], float32. Greedy rows: 1.
        margin: how near (in logits, in relative probability, in mass) two outcomes count as undecided; 0 decides all.

    Returns:
        tokens [b], int64, and undecided [b], bool: True where another outcome lay within the margin.

    Raises:
        ValueError: the logits are not finite.
    """
    logits = logits / temperature
    if not torch.isfinite(torch.stack(logits.aminmax())).all():
        raise ValueError("the model's logits are not finite (is float16 too narrow for it?); allowed: finite ones")
    probabilities, scores = logits.softmax(-1), logits + noise
    top_p = torch.where(top_p < 1, top_p, math.inf)
    tokens = torch.empty(len(scores), dtype=torch.long, device=scores.device)
    undecided = torch.zeros_like(tokens, dtype=torch.bool)
    open_rows = torch.arange(len(scores), device=scores.device)
    while len(open_rows):
        best, candidates = scores.topk(2)
        candidate = candidates[:, :1]
        own = probabilities.gather(1, candidate)
        ratios = probabilities / own
        # threshold keeps what is greater; several times faster than a mask and a product
        mass_above = own * threshold(ratios, 1 + margin, 0.0).sum(-1, keepdim=True)
        inside = mass_above - margin < top_p
        if margin:
            mass_at_most = own * (threshold(ratios, 1 - margin, 0.0).sum(-1, keepdim=True) - 1)
            near = (best[:, :1] - best[:, 1:] < margin) | (inside & (mass_at_most + margin >= top_p))
            undecided[open_rows] = near[:, 0]
            inside |= near
        tokens[open_rows] = candidate[:, 0]
        outside = ~inside[:, 0]
        scores, probabilities, top_p = scores[outside], probabilities[outside], top_p[outside]
        scores.scatter_(1, candidate[outside], -math.inf)
        open_rows = open_rows[outside]
    return tokens, undecided
