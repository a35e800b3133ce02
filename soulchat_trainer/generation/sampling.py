"""How the next token is drawn: temperature, top-p and top-k, seeded for each request, the same in every batch.

Notation: `b` rows (requests), `v` vocabulary.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad, threshold

from soulchatcorpus.thoughts import Thinking, check_thinking

# Logits of one row in float32 differ by up to about 1e-5 between batch shapes (another order of summation). What is
# decided by less than this margin is decided again from the row computed alone, see `ReplyEngine`.
FLOAT32_MARGIN = 2e-4

# Logits are divided by the temperature, and below this they could leave float32: the whole batch would fail.
MIN_TEMPERATURE = 1e-4

# Below this float32 has no number for it but 0, and then no token at all is in the nucleus.
MIN_TOP_P = 1e-37

# Logits are multiplied or divided by it: within these bounds they stay in float32 at any temperature.
PENALTIES = (0.1, 10.0)


@dataclass(frozen=True, slots=True)
class Decoding:
    """How replies are drawn. The defaults are the paper's (section 3.2: top-p 0.75, temperature 0.95, 512 tokens)."""

    top_p: float = field(default=0.75, metadata={"help": "Nucleus mass, 1e-37 to 1 (paper, section 3.2)."})
    temperature: float = field(
        default=0.95, metadata={"help": "Sampling temperature, 1e-4 or more (paper, section 3.2)."}
    )
    max_new_tokens: int = field(default=512, metadata={"help": "Longest reply in tokens (paper, section 3.2)."})
    do_sample: bool = field(default=True, metadata={"help": "Draw from the nucleus; false: the likeliest token."})
    seed: int = field(default=0, metadata={"help": "Seed; each request's own is derived from it and its key."})
    top_k: int = field(default=0, metadata={"help": "Draw from that many of the likeliest tokens; 0: from all."})
    repetition_penalty: float = field(
        default=1.0, metadata={"help": "Above 1, what prompt and reply hold already is less likely; 0.1 to 10."}
    )

    thinking: Thinking = field(
        default="off",
        metadata={"help": "off: ask a model that thinks not to. keep: let it; its thoughts are told apart."},
    )

    def __post_init__(self) -> None:
        check_thinking(self.thinking)
        if not MIN_TOP_P <= self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; allowed: {MIN_TOP_P} to 1")
        if not (self.temperature >= MIN_TEMPERATURE and math.isfinite(self.temperature)):
            raise ValueError(f"temperature is {self.temperature}; allowed: {MIN_TEMPERATURE} or more")
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}; allowed: at least 1")
        if self.top_k < 0:
            raise ValueError(f"top_k is {self.top_k}; allowed: at least 1, or 0 for all tokens")
        if not PENALTIES[0] <= self.repetition_penalty <= PENALTIES[1]:
            raise ValueError(
                f"repetition_penalty is {self.repetition_penalty}; allowed: {PENALTIES[0]} to {PENALTIES[1]}"
            )

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


def endpoint_fields(decoding: Decoding, key: str) -> dict[str, Any]:
    """How an OpenAI-compatible endpoint is asked to draw the reply to the request of that key."""
    return {
        "temperature": decoding.temperature if decoding.do_sample else 0.0,
        "top_p": decoding.top_p,
        "seed": request_seed(decoding, key) >> 32,  # 31 bits: servers may take no more
    }


def request_generator(decoding: Decoding, key: str, device: torch.device) -> torch.Generator:
    """A request's random numbers: token n of its reply always meets the same ones, whatever else is in the batch."""
    return torch.Generator(device).manual_seed(request_seed(decoding, key))


def gumbel_noise(generators: Sequence[torch.Generator], vocab_size: int) -> Tensor:
    """Standard Gumbel noise [b, v], float32, for one token of each request."""
    noise = torch.empty(len(generators), vocab_size, device=generators[0].device)
    for row, generator in zip(noise, generators, strict=True):
        # From the smallest number on, which changes no other: of 0, noise would be infinite.
        row.uniform_(torch.finfo(noise.dtype).tiny, 1, generator=generator)
    return noise.log_().neg_().log_().neg_()


def penalise_repetition(logits: Tensor, said: Sequence[Sequence[int]], penalties: Sequence[float]) -> Tensor:
    """The logits [b, v] with those of tokens said already divided (where positive) or multiplied by the row's penalty.

    The rule is that of CTRL (Keskar et al. 2019, section 4.1) as transformers and vLLM have it, prompt included.
    """
    if all(penalty == 1 for penalty in penalties):
        return logits
    logits = logits.clone()
    for row, ids, penalty in zip(logits, said, penalties, strict=True):
        found = torch.tensor(sorted(set(ids)), device=row.device)
        values = row[found]
        row[found] = torch.where(values > 0, values / penalty, values * penalty)
    return logits


def leave_likeliest(logits: Tensor, top_k: Sequence[int], margin: float) -> tuple[Tensor, Tensor]:
    """The logits [b, v] with -inf for all but the `top_k` likeliest of a row (0: all stay).

    Also [b], bool: True where the last that stays and the first that goes are nearer than `margin`.
    """
    vocab_size = logits.shape[-1]
    kept = [min(number, vocab_size) for number in top_k]
    if not any(kept):
        return logits, torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    ranks = torch.tensor(kept, device=logits.device)[:, None]
    best = pad(logits.topk(min(max(kept) + 1, vocab_size)).values, (1, 1), value=-math.inf)
    last, next_one = best.gather(1, ranks), best.gather(1, ranks + 1)
    undecided = (ranks > 0) & (last - next_one < margin)
    return logits.masked_fill((ranks > 0) & (logits < last), -math.inf), undecided[:, 0]


def draw(
    logits: Tensor, noise: Tensor, temperature: Tensor, top_p: Tensor, margin: float, top_k: Sequence[int] = ()
) -> tuple[Tensor, Tensor]:
    """Draw one token a row from the top-p nucleus of softmax(logits / temperature).

    The token with the highest `logits / temperature + Gumbel noise` is a draw from the whole distribution; one that
    lies outside of the nucleus is put aside, with all that are no likelier, and the next highest taken, which makes it
    a draw from the nucleus without sorting the vocabulary. A token is inside when the tokens likelier than it hold
    less than `top_p` together.

    Args:
        logits: [b, v], float32.
        noise: [b, v], float32 standard Gumbel noise, or zeros for the likeliest token.
        temperature: [b, 1], float32. Greedy rows: 1.
        top_p: [b, 1], float32. Greedy rows: 1.
        margin: how near (in logits, in relative probability, in mass) two outcomes count as undecided; 0 decides all.
        top_k: for each row how many of the likeliest tokens make the distribution, 0 for all; empty: all in every row.

    Returns:
        tokens [b], int64, and undecided [b], bool: True where another outcome lay within the margin.

    Raises:
        ValueError: the logits are not finite.
    """
    logits = logits / temperature
    if not torch.isfinite(torch.stack(logits.aminmax())).all():
        raise ValueError("the model's logits are not finite (is float16 too narrow for it?); allowed: finite ones")
    logits, undecided = leave_likeliest(logits, top_k or [0] * len(logits), margin)
    probabilities, scores = logits.softmax(-1), logits + noise
    # Nothing lies above the likeliest token, so it is inside of any nucleus that is not empty.
    top_p = torch.where(top_p < 1, top_p.clamp(min=torch.finfo(top_p.dtype).tiny), math.inf)
    tokens = logits.argmax(-1)
    open_rows = torch.arange(len(scores), device=scores.device)
    for _ in range(
        scores.shape[-1]
    ):  # each pass decides a row or puts some of its tokens aside, half of them as a rule
        if not len(open_rows):
            break
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
            undecided[open_rows] |= near[:, 0]
            inside |= near
        tokens[open_rows] = torch.where(inside, candidate, tokens[open_rows, None])[:, 0]
        outside = ~inside[:, 0]
        scores, probabilities, top_p = scores[outside], probabilities[outside], top_p[outside]
        scores.masked_fill_(probabilities <= own[outside], -math.inf)
        open_rows = open_rows[outside]
    return tokens, undecided
