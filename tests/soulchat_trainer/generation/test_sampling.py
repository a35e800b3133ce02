"""Draws: the nucleus, the seeds, and which draws count as undecided."""

import math

import pytest
import torch

from soulchat_trainer.generation.sampling import (
    Decoding,
    draw,
    endpoint_fields,
    gumbel_noise,
    leave_likeliest,
    penalise_repetition,
    request_generator,
)

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


def test_endpoints_get_31_bits_of_the_request_s_seed_and_no_temperature_for_greedy() -> None:
    drawn, other = endpoint_fields(Decoding(), "1"), endpoint_fields(Decoding(), "2")
    assert (drawn["temperature"], drawn["top_p"]) == (0.95, 0.75)
    assert drawn == endpoint_fields(Decoding(), "1")
    assert 0 <= drawn["seed"] < 2**31
    assert drawn["seed"] != other["seed"]
    assert endpoint_fields(Decoding(do_sample=False), "1")["temperature"] == 0.0


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
        {"top_p": 1e-46},
        {"top_p": math.nan},
        {"top_k": -1},
        {"repetition_penalty": 0.0},
        {"repetition_penalty": 1e-300},
        {"repetition_penalty": math.inf},
        {"temperature": 0.0},
        {"temperature": 1e-40},
        {"temperature": math.inf},
        {"max_new_tokens": 0},
    ],
)
def test_decoding_refuses(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        Decoding(**values)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("top_p", [0.0, 1e-46, 1e-40, 1e-37])
def test_a_nucleus_that_float32_cannot_hold_has_the_likeliest_token_in_it(top_p: float) -> None:
    assert draw_many([math.log(p) for p in (0.1, 0.6, 0.3)], 1.0, top_p).tolist() == [0, 1, 0]


@pytest.mark.timeout(60)
def test_a_small_nucleus_of_a_flat_distribution_is_found_in_few_passes() -> None:
    logits = torch.linspace(0, 0.01, 50_000).repeat(8, 1)
    generators = [torch.Generator().manual_seed(row) for row in range(8)]
    ones = torch.ones(8, 1)
    tokens, _ = draw(logits, gumbel_noise(generators, 50_000), ones, ones * 1e-37, margin=0.0)
    assert tokens.tolist() == [49_999] * 8


def test_noise_of_zero_is_finite_and_no_other_number_changes() -> None:
    uniform = torch.rand(412_000, generator=torch.Generator().manual_seed(12))
    assert uniform[411_302] == 0
    noise = gumbel_noise([torch.Generator().manual_seed(12)], len(uniform))[0]
    assert noise.isfinite().all()
    others = uniform > 0
    assert torch.equal(noise[others], uniform[others].log_().neg_().log_().neg_())


def test_only_the_likeliest_stay() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0], [3.0, 1.0, 2.0], [1.0, 1.0, 0.0]])
    left, undecided = leave_likeliest(logits, [1, 2, 0, 1], margin=1e-3)
    assert left.isfinite().tolist() == [[True, False, False], [True, False, True], [True] * 3, [True, True, False]]
    assert undecided.tolist() == [False, False, False, True]
    assert leave_likeliest(logits, [1, 9, 9, 3], margin=0.0)[0][1:].isfinite().all()
    assert leave_likeliest(logits, [10**30, 2**63, 3, 0], margin=1e-3)[0].isfinite().all()


def test_top_k_comes_before_the_nucleus() -> None:
    rows = torch.tensor([0.4, 0.3, 0.2, 0.1]).log().expand(ROWS, -1)
    noise = gumbel_noise([torch.Generator().manual_seed(0)], rows.numel()).view_as(rows)
    ones = torch.ones(ROWS, 1)
    # Of the two likeliest 4/7 and 3/7 remain, and only the first is in a nucleus of 0.5.
    for top_p, expected in ((1.0, [4 / 7, 3 / 7, 0, 0]), (0.5, [1, 0, 0, 0])):
        tokens, _ = draw(rows, noise, ones, ones * top_p, 0.0, [2] * ROWS)
        assert (torch.bincount(tokens, minlength=4) / ROWS).tolist() == pytest.approx(expected, abs=0.012)


def test_what_was_said_is_penalised() -> None:
    logits = torch.tensor([[2.0, -2.0, 1.0], [2.0, -2.0, 1.0]])
    found = penalise_repetition(logits, [[0, 1, 1], [0, 1]], [2.0, 1.0])
    assert found.tolist() == [[1.0, -4.0, 1.0], [2.0, -2.0, 1.0]]
    assert logits[0].tolist() == [2.0, -2.0, 1.0]


def test_defaults_are_the_papers() -> None:
    assert (Decoding().top_p, Decoding().temperature, Decoding().max_new_tokens) == (0.75, 0.95, 512)
