"""DeepSpeed's WarmupDecayLR without DeepSpeed, and Muon against torch's own."""

import math
from collections.abc import Callable

import pytest
import torch
from deepspeed.runtime.lr_schedules import WarmupDecayLR

from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.training.optimizer import (
    Muon,
    MuonWithAdamW,
    orthogonalise,
    split_for_muon,
    warmup_decay_schedule,
)
from tests.soulchat_trainer.training_parts import make_chatglm


@pytest.mark.parametrize("warmup_type", ["log", "linear"])
@pytest.mark.parametrize(("warmup", "total"), [(1000, 30_000), (1, 10), (0, 10), (20, 10)])
def test_the_curve_is_deepspeeds_at_every_step(warmup_type: str, warmup: int, total: int) -> None:
    """To 1e-12, at the paper's numbers and at the edges; DeepSpeed wants at least one step of warm-up.

    Its engine steps the scheduler after each optimizer step, as the trainer does ours.
    """
    ours, theirs = (torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=5e-5) for _ in range(2))
    schedule = warmup_decay_schedule(ours, warmup, total, warmup_type)
    reference = WarmupDecayLR(theirs, total, 0.0, 5e-5, max(1, warmup), warmup_type)
    for step in range(total):
        assert schedule.get_last_lr()[0] == pytest.approx(theirs.param_groups[0]["lr"], abs=1e-12), step
        ours.step()
        schedule.step()
        reference.step()


def test_muon_equals_torchs() -> None:
    """torch.optim.Muon orthogonalises in bfloat16, ours in float32 on a CPU: equal to bfloat16's precision."""
    torch.manual_seed(0)
    start = torch.randn(24, 8)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    optimizers = [Muon([ours], 0.02, weight_decay=0.1), torch.optim.Muon([theirs], 0.02, weight_decay=0.1)]
    for _ in range(5):
        gradient = torch.randn(24, 8)
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            parameter.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=0)
    assert (ours - start).abs().mean() > 0.02


@pytest.mark.parametrize("shape", [(16, 48), (48, 16), (16, 16)])
def test_singular_values_come_near_one(shape: tuple[int, int]) -> None:
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
    assert 0.3 < values.min() <= values.max() < 1.3


def test_embeddings_norms_and_biases_stay_with_adamw(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    model = make_chatglm(chatglm_tokenizer)
    matrices, others = split_for_muon(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert len(matrices) == 2 * 4
    assert all(".layers." in names[id(p)] and names[id(p)].endswith("weight") for p in matrices)
    assert len(matrices) + len(others) == len(names)


def test_a_model_that_trains_in_part_has_nothing_for_muon(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    model = make_chatglm(chatglm_tokenizer, pre_seq_len=4)  # P-Tuning: an embedding alone
    with pytest.raises(ValueError, match="found 0 matrices and 1 other parameters"):
        split_for_muon(model)


@pytest.mark.parametrize("rate", [-0.1, math.nan])
def test_a_rate_of_muons_that_is_none(rate: float) -> None:
    with pytest.raises(ValueError, match=r"Muon's learning rate is .*; allowed: 0 or more"):
        Muon([torch.nn.Parameter(torch.zeros(2, 2))], lr=rate)


def test_state_survives_saving(tmp_path_factory: pytest.TempPathFactory, make_pair: Callable) -> None:
    path = tmp_path_factory.mktemp("optimizer") / "optimizer.pt"
    (first, optimizer), (second, restored) = make_pair(), make_pair()
    _steps(first, optimizer, 3)
    torch.save(optimizer.state_dict(), path)
    with torch.no_grad():
        for source, target in zip(first, second, strict=True):
            target.copy_(source)
    restored.load_state_dict(torch.load(path, weights_only=True))
    _steps(first, optimizer, 3)
    _steps(second, restored, 3)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_scheduler_reaches_both_parts(make_pair: Callable) -> None:
    parameters, optimizer = make_pair()
    schedule = warmup_decay_schedule(optimizer, 2, 10, "linear")
    before = [p.clone() for p in parameters]
    for _ in range(2):  # at rate 0
        _steps(parameters, optimizer, 1)
        schedule.step()
    assert all(torch.equal(a, b) for a, b in zip(before, parameters, strict=True))
    _steps(parameters, optimizer, 1)
    assert not any(torch.equal(a, b) for a, b in zip(before, parameters, strict=True))
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.0005]


@pytest.fixture
def make_pair() -> Callable[[], tuple[list[torch.nn.Parameter], MuonWithAdamW]]:
    def make() -> tuple[list[torch.nn.Parameter], MuonWithAdamW]:
        torch.manual_seed(0)
        parameters = [torch.nn.Parameter(torch.randn(8, 8)), torch.nn.Parameter(torch.randn(8))]
        return parameters, MuonWithAdamW(parameters[:1], parameters[1:], lr=1e-3, muon_lr=0.02)

    return make


def _steps(parameters: list[torch.nn.Parameter], optimizer: torch.optim.Optimizer, number: int) -> None:
    for step in range(number):
        for parameter in parameters:
            parameter.grad = torch.full_like(parameter, 0.1 * (step + 1)) + parameter.detach() / 10
        optimizer.step()
