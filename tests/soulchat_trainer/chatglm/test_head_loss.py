"""The loss by a head on labelled positions: equal to the full computation, in chunks, in every precision."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soulchat_trainer.chatglm import head_loss
from soulchat_trainer.chatglm.head_loss import exported_loss, labelled_loss

VOCABULARY = 97
LABELS = torch.tensor([[-100, 1, 2, 3, 4, 96], [-100, -100, -100, -100, 6, 0]])


def make_head(dtype: torch.dtype, has_bias: bool = False) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(8, VOCABULARY, bias=has_bias, dtype=dtype)


def make_states(dtype: torch.dtype) -> Tensor:
    return torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(1)).to(dtype).requires_grad_()


def full_loss(head: nn.Linear, states: Tensor, label_smoothing: float) -> Tensor:
    logits, labels = head(states)[:, :-1].flatten(0, 1), LABELS[:, 1:].flatten()
    return F.cross_entropy(logits.float(), labels, label_smoothing=label_smoothing)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("rows", [2, 3, 100])
def test_loss_and_gradients_equal_the_full_computation(
    dtype: torch.dtype, has_bias: bool, smoothing: float, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one chunk and in several, the last of which is shorter; with a factor behind the loss."""
    monkeypatch.setattr(head_loss, "LOGITS_PER_CHUNK_ON_CPU", rows * VOCABULARY)
    head, states = make_head(dtype, has_bias), make_states(dtype)
    parts = [states, *head.parameters()]
    expected = full_loss(head, states, smoothing)
    found = labelled_loss(head, states, LABELS, VOCABULARY, label_smoothing=smoothing)
    tolerance = {"atol": 5e-3, "rtol": 2e-2} if dtype == torch.bfloat16 else {"atol": 1e-6, "rtol": 1e-5}
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(
        torch.autograd.grad(3 * found, parts), torch.autograd.grad(3 * expected, parts), strict=True
    ):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours, theirs, **tolerance)


def test_under_autocast_gradients_are_those_of_autocast() -> None:
    head, states, found = make_head(torch.float32), make_states(torch.float32), []
    for loss in (lambda: labelled_loss(head, states, LABELS, VOCABULARY), lambda: full_loss(head, states, 0.0)):
        with torch.autocast("cpu", torch.bfloat16):
            value = loss()
        found.append((value, *torch.autograd.grad(value, [states, head.weight])))
    assert {part.dtype for part in found[0]} == {torch.float32}
    torch.testing.assert_close(found[0], found[1], atol=2e-3, rtol=2e-2)


def test_a_confident_head_overflows_nowhere() -> None:
    """Probabilities that are 0 in float32 still have their loss."""
    head = make_head(torch.float32)
    states = (make_states(torch.float32) * 1e4).detach().requires_grad_()
    found, expected = labelled_loss(head, states, LABELS, VOCABULARY), full_loss(head, states, 0.0)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, states), torch.autograd.grad(expected, states))


@pytest.mark.parametrize("trained", ["states", "weight", "nothing"])
def test_only_what_trains_gets_a_gradient(trained: str) -> None:
    """LoRA leaves the head as it is; an evaluation needs none."""
    head, states = make_head(torch.float32), make_states(torch.float32)
    head.weight.requires_grad_(trained == "weight")
    loss = labelled_loss(head, states if trained == "states" else states.detach(), LABELS, VOCABULARY)
    torch.testing.assert_close(loss, full_loss(head, states, 0.0))
    assert loss.requires_grad == (trained != "nothing")
    if loss.requires_grad:
        loss.backward()
    assert (states.grad is not None, head.weight.grad is not None) == (trained == "states", trained == "weight")


def test_a_gradient_is_given_once() -> None:
    """It is scaled in place: a second backward pass, which would scale it again, is an error."""
    head, states = make_head(torch.float32), make_states(torch.float32)
    loss = labelled_loss(head, states, LABELS, VOCABULARY)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="inplace"):
        loss.backward()


@pytest.mark.parametrize("rows", [4, 100])
def test_a_head_that_is_more_than_a_layer_is_called_on_labelled_rows_in_chunks(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_loss, "LOGITS_PER_CHUNK_ON_CPU", rows * VOCABULARY)
    linear, states, seen = make_head(torch.float32), make_states(torch.float32), []

    def head(rows: Tensor) -> Tensor:
        seen.append(len(rows))
        return linear(rows)

    loss = labelled_loss(head, states, LABELS, VOCABULARY)
    assert seen == ([4, 3] if rows == 4 else [7])
    torch.testing.assert_close(loss, full_loss(linear, states, 0.0))
    found, expected = (
        torch.autograd.grad(value, [states, linear.weight]) for value in (loss, full_loss(linear, states, 0.0))
    )
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("head", [make_head(torch.float32), lambda rows: rows @ torch.ones(8, VOCABULARY)])
def test_labels_outside_the_vocabulary_are_refused(head: Callable[[Tensor], Tensor]) -> None:
    labels = LABELS.clone()
    labels[0, 1] = VOCABULARY
    with pytest.raises(ValueError, match="labels go from 0 to 97; the vocabulary has 0 to 96"):
        labelled_loss(head, make_states(torch.float32), labels, VOCABULARY)


def test_a_table_with_rows_of_padding_is_called() -> None:
    """Its logits are more than the vocabulary has; so is a part of ZeRO-3's, which has none."""
    assert head_loss.is_linear(make_head(torch.float32), VOCABULARY)
    assert not head_loss.is_linear(make_head(torch.float32), VOCABULARY - 1)
    assert not head_loss.is_linear(nn.Sequential(make_head(torch.float32)), VOCABULARY)


@pytest.mark.parametrize("number", [None, 3, torch.tensor(3)])
def test_the_loss_of_an_exported_graph_is_the_same(number: Tensor | int | None) -> None:
    head, states = make_head(torch.float32), make_states(torch.float32)
    expected = labelled_loss(head, states, LABELS, VOCABULARY, number)
    torch.testing.assert_close(exported_loss(head, states, LABELS, number), expected)
    nowhere = torch.full_like(LABELS, -100)
    assert (
        exported_loss(head, states, nowhere, number) == labelled_loss(head, states, nowhere, VOCABULARY, number) == 0
    )
