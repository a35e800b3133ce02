"""Draws: the nucleus, the seeds, and which draws count as undecided."""

import math

import pytest
import torch

from soulchat_trainer.generation.sampling import Decoding, draw, gumbel_noise, request_generator

ROWS = 20_000


def draw_many(logits: list[float], temperature: float, top_p: float) -> torch.Tensor:
    """Shares of the tokens in many draws of one distribution."""
    rows = torch.tensor([logits]).expand(ROWS, -1)
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(rows.shape, generator=generator)
    noise = -(-uniform.log()).log()
    columns = torch.full((ROWS, 1), temperature), torch.full((ROWS, 1), top_p)
    tokens, _ = draw(rows, noise, *columns, margin=0.0)
    return torch.bincount(tokens, minlength=len(logits)) / ROWS


@pytest.mark.parametrize(
    ("probabilities", "top_p", "nucleus"),
    [
        ([0.5, 0.3, 0.15, 0.05], 0.75, [0.625, 0.375, 0, 0]),
        ([0.5, 0.3, 0.15, 0.05], 0.81, [0.5263, 0.3158, 0.1579, 0]),
        ([0.5, 0.3, 0.15, 0.05], 1.0, [0.5, 0.3, 0.15, 0.05]),
        ([0.05, 0.9, 0.05], 0.75, [0, 1, 0]),
        ([0.05, 0.9, 0.05], 1e-6, [0, 1, 0]),
    ],
)
def test_draws_follow_the_nucleus(probabilities: list[float], top_p: float, nucleus: list[float]) -> None:
    shares = draw_many([math.log(p) for p in probabilities], 1.0, top_p)
    assert shares == pytest.approx(nucleus, abs=0.012)
    assert all(share == 0 for share, expected in zip(shares, nucleus, strict=True) if expected == 0)


def test_temperature_sharpens() -> None:
    # p^(1/0.5) renormalised: 0.64 / 0.68 and 0.04 / 0.68
    shares = draw_many([math.log(0.8), math.log(0.2)], 0.5, 1.0)
    assert shares == pytest.approx([0.941, 0.059], abs=0.01)


def one_row(logits: list[float], noise: list[float], top_p: float, margin: float) -> tuple[int, bool]:
    ones = torch.ones(1, 1)
    tokens, undecided = draw(torch.tensor([logits]), torch.tensor([noise]), ones, ones * top_p, margin)
    return tokens.item(), undecided.item()


def test_a_tie_is_undecided_and_a_clear_win_is_not() -> None:
    assert one_row([1.0, 1.0005, -5.0], [0.0, 0.0, 0.0], 1.0, margin=1e-3) == (1, True)
    assert one_row([1.0, 1.1, -5.0], [0.0, 0.0, 0.0], 1.0, margin=1e-3) == (1, False)
    assert one_row([1.0, 1.0005, -5.0], [0.0, 0.0, 0.0], 1.0, margin=0.0) == (1, False)


def test_the_edge_of_the_nucleus_is_undecided() -> None:
    # The second token has 0.7503 above it, so at p = 0.75 it is just outside; the noise favours it.
    logits = [math.log(0.7503), math.log(0.2497)]
    assert one_row(logits, [0.0, 5.0], 0.75, margin=1e-3)[1]
    assert one_row(logits, [0.0, 5.0], 0.75, margin=0.0) == (0, False)
    assert one_row(logits, [0.0, 5.0], 0.76, margin=1e-3) == (1, False)


def test_equally_likely_tokens_at_the_edge_are_undecided() -> None:
    # Whether token 2 has token 1's 0.3 above it depends on the last bit.
    logits = [math.log(0.4), math.log(0.30001), math.log(0.29999)]
    assert one_row(logits, [0.0, 0.0, 9.0], 0.5, margin=1e-3)[1]


def test_a_request_meets_its_own_numbers_in_any_batch() -> None:
    device = torch.device("cpu")
    make = lambda key, seed=0: request_generator(Decoding(seed=seed), key, device)  # noqa: E731
    alone = torch.cat([gumbel_noise([generator], 7) for generator in [make("a")] * 3])
    one, other = make("a"), make("b")
    together = torch.stack([gumbel_noise([other, one], 7)[1] for _ in range(3)])
    assert torch.equal(alone, together)
    assert not torch.equal(gumbel_noise([make("a")], 7), gumbel_noise([make("b")], 7))
    assert not torch.equal(gumbel_noise([make("a")], 7), gumbel_noise([make("a", seed=1)], 7))


def test_gumbel_noise_is_gumbel() -> None:
    noise = gumbel_noise([torch.Generator().manual_seed(0)], 100_000)
    assert noise.mean() == pytest.approx(0.5772, abs=0.02)  # Euler's constant
    assert noise.std() == pytest.approx(math.pi / math.sqrt(6), abs=0.02)


def test_logits_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        one_row([float("nan"), 1.0], [0.0, 0.0], 0.75, margin=1e-3)


@pytest.mark.parametrize(
    "values",
    [
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"temperature": 0.0},
        {"temperature": 1e-40},
        {"temperature": math.inf},
        {"max_new_tokens": 0},
    ],
)
def test_decoding_refuses(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        Decoding(**values)


def test_defaults_are_the_papers() -> None:
    assert (Decoding().top_p, Decoding().temperature, Decoding().max_new_tokens) == (0.75, 0.95, 512)
