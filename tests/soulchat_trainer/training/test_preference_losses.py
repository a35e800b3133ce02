"""The losses by hand, for tiny inputs."""

import math

import pytest
import torch

from soulchat_trainer.training.preference_losses import dpo_losses, kto_losses, log1mexp, orpo_losses


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_dpo() -> None:
    ratios = torch.tensor([[2.0, -1.0], [0.0, 0.0]], dtype=torch.float64)
    assert dpo_losses(ratios, 0.5).tolist() == pytest.approx([-math.log(sigmoid(1.5)), math.log(2)])
    expected = -(0.9 * math.log(sigmoid(1.5)) - 0.1 * math.log(sigmoid(-1.5))) / 0.8
    assert dpo_losses(ratios, 0.5, 0.1)[0].item() == pytest.approx(expected)


def test_kto() -> None:
    ratios = torch.tensor([2.0, 2.0], dtype=torch.float64)
    found = kto_losses(ratios, torch.tensor(1.0), torch.tensor([True, False]), 0.5, 2.0, 3.0)
    assert found.tolist() == pytest.approx([2 * (1 - sigmoid(0.5)), 3 * (1 - sigmoid(-0.5))])


def test_orpo() -> None:
    """Odds of 0.5 and 0.2: 1 and 0.25."""
    means = torch.tensor([[math.log(0.5), math.log(0.2)]])
    assert orpo_losses(means, 0.1).item() == pytest.approx(-0.1 * math.log(sigmoid(math.log(4))), rel=1e-6)


def test_log1mexp_neither_cancels_nor_loses_its_gradient() -> None:
    values = torch.tensor([-1e-7, -0.5, -50.0], dtype=torch.float64, requires_grad=True)
    found = log1mexp(values)
    assert found.tolist() == pytest.approx(
        [math.log(-math.expm1(-1e-7)), math.log(1 - math.exp(-0.5)), -math.exp(-50)]
    )
    found.sum().backward()
    assert torch.isfinite(values.grad).all()
