"""Cross-entropy on labelled positions only, by a language model's head; ChatGLM's own, and that of causal models.

The derivative of cross-entropy is known as soon as the probabilities are, so the gradients of a plain linear head are
computed with the loss and the logits of a chunk live in one buffer: neither logits nor probabilities are kept or
computed again for the backward pass (as in Liger Kernel's fused linear cross-entropy, Hsu et al. 2024).
"""

from collections.abc import Callable
from typing import Any, Literal, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled

IGNORE_INDEX = -100
LOGITS_PER_CHUNK = 2**26  # float32 logits that exist at the same time: 514 positions of ChatGLM-6B's vocabulary
LOGITS_PER_CHUNK_ON_CPU = 2**25  # its cores are busy with fewer rows


@torch.compiler.disable  # how many rows are labelled is known from their values only
def labelled_loss(
    head: Callable[[Tensor], Tensor],
    hidden_states: Tensor,
    labels: Tensor,
    vocab_size: int,
    num_items_in_batch: Tensor | int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy in float32 over the labelled positions only: hidden states [b, s, h], labels [b, s], -100 = none.

    Computed as `label_losses` has it; equal to the full computation.
    `label_smoothing`: share of each target that is spread evenly over the vocabulary.
    Returns the sum divided by `num_items_in_batch`, or the mean over this batch's labels; 0 where there is none.
    Raises `ValueError` for a label outside the vocabulary.
    """
    losses = label_losses(head, hidden_states, labels, vocab_size, label_smoothing, reduction="sum")
    if num_items_in_batch is None:
        return losses.sum() / max(int((labels[:, 1:] != IGNORE_INDEX).sum()), 1)
    return losses.sum() / torch.as_tensor(num_items_in_batch, device=losses.device)


def exported_loss(
    head: Callable[[Tensor], Tensor],
    hidden_states: Tensor,
    labels: Tensor,
    num_items_in_batch: Tensor | int | None = None,
) -> Tensor:
    """`labelled_loss` for a graph that is exported: there are no values yet, so every position goes through the head.

    A label outside the vocabulary is an `IndexError` when the graph runs.
    """
    logits = head(hidden_states[:, :-1]).float()
    targets = labels[:, 1:].to(logits.device)
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
    number = (targets != IGNORE_INDEX).sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch
    return loss / number


@torch.compiler.disable
def label_losses(
    head: Callable[[Tensor], Tensor],
    hidden_states: Tensor,
    labels: Tensor,
    vocab_size: int,
    label_smoothing: float = 0.0,
    reduction: Literal["none", "sum"] = "none",
    predicted_from: Tensor | None = None,
) -> Tensor:
    """The cross-entropy in float32 of each label, [number of labels], row by row.

    The head runs on gathered rows, a chunk at a time, so that a float32 tensor [all tokens, vocabulary] never exists.
    Arguments and errors as in `labelled_loss`; with `reduction` sum there is one sum, or one a chunk, instead. Such a
    sum of a linear head has its gradients computed with it (`LinearLoss`). Otherwise (a head with LoRA, or one in
    parts; a loss for each label, of which more is made) several chunks are computed again in the backward pass.
    `predicted_from` [b, s]: the column of the hidden state that predicts the label of a column; by default the one
    before it, so that the first column's label counts for nothing.
    """
    labels = labels.to(hidden_states.device)
    if predicted_from is None:
        labelled = labels[:, 1:] != IGNORE_INDEX
        targets, rows = labels[:, 1:][labelled], hidden_states[:, :-1][labelled]
    else:
        labelled = labels != IGNORE_INDEX
        places = predicted_from.to(labels.device)[labelled]
        targets, rows = labels[labelled], hidden_states[labelled.nonzero()[:, 0], places]
    if ((targets < 0) | (targets >= vocab_size)).any():
        low, high = int(targets.min()), int(targets.max())
        raise ValueError(f"labels go from {low} to {high}; the vocabulary has 0 to {vocab_size - 1}, -100 is no label")

    def chunk_losses(rows: Tensor, targets: Tensor) -> Tensor:
        losses = F.cross_entropy(head(rows).float(), targets, reduction=reduction, label_smoothing=label_smoothing)
        return losses.reshape(-1)

    logits = LOGITS_PER_CHUNK_ON_CPU if rows.device.type == "cpu" else LOGITS_PER_CHUNK
    chunk_rows = max(1, logits // vocab_size)
    if reduction == "sum" and is_linear(head, vocab_size) and len(rows):
        return LinearLoss.apply(rows, head.weight, head.bias, targets, label_smoothing, chunk_rows).reshape(1)
    if len(rows) <= chunk_rows:
        return chunk_losses(rows, targets)
    chunks = zip(rows.split(chunk_rows), targets.split(chunk_rows), strict=True)
    return torch.cat([checkpoint(chunk_losses, *chunk, use_reentrant=False) for chunk in chunks])


def is_linear(head: object, vocab_size: int) -> TypeGuard[nn.Linear]:
    """True for a linear layer as it stands, whose weight is whole from the forward to the backward pass.

    ZeRO-3 takes a weight away in between, whose gradient would then have another shape.
    """
    if is_deepspeed_zero3_enabled() or type(head) is not nn.Linear:
        return False
    return head.weight.shape[0] == vocab_size and head.weight.is_floating_point()


class LinearLoss(torch.autograd.Function):
    """The sum of cross-entropies of a linear head: rows [n, h], weight [v, h], bias [v] or None, targets [n]."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        label_smoothing: float,
        chunk_rows: int,
    ) -> Tensor:
        """The loss in float32, and the gradients of what needs one."""
        needs_rows, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        device = rows.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        own_rows, table = rows.to(dtype), weight.to(dtype)
        rows_gradient = torch.empty_like(own_rows) if needs_rows else None
        allocate = torch.empty_like if weight.dtype == dtype else torch.zeros_like
        weight_gradient = allocate(weight) if needs_weight else None
        bias_gradient = torch.zeros_like(bias) if needs_bias and bias is not None else None
        buffer = own_rows.new_empty(min(chunk_rows, len(rows)), len(weight))
        total = torch.zeros((), dtype=torch.float32, device=rows.device)
        with torch.autocast(device, enabled=False):
            for start in range(0, len(rows), chunk_rows):
                part = slice(start, start + chunk_rows)
                chunk, goals = own_rows[part], targets[part]
                logits = buffer[: len(chunk)]
                if bias is None:
                    torch.mm(chunk, table.T, out=logits)
                else:
                    torch.addmm(bias.to(dtype), chunk, table.T, out=logits)
                loss, gradient = _loss_and_gradient(logits, goals, label_smoothing, any(ctx.needs_input_grad))
                total += loss
                if rows_gradient is not None:
                    torch.mm(gradient, table, out=rows_gradient[part])
                if weight_gradient is not None and weight_gradient.dtype == dtype:
                    weight_gradient.addmm_(gradient.T, chunk, beta=min(start, 1))
                elif weight_gradient is not None:
                    weight_gradient += gradient.T @ chunk
                if bias_gradient is not None:
                    bias_gradient += gradient.sum(0)
        ctx.save_for_backward(rows_gradient, weight_gradient, bias_gradient)
        ctx.dtype = rows.dtype
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients, times what comes from behind; in place, since they are as large as the table."""
        rows, weight, bias = (saved if saved is None else saved.mul_(factor) for saved in ctx.saved_tensors)
        return None if rows is None else rows.to(ctx.dtype), weight, bias, None, None, None


def _loss_and_gradient(
    logits: Tensor, targets: Tensor, label_smoothing: float, with_gradient: bool
) -> tuple[Tensor, Tensor]:
    """Sum of the losses in float32, and its derivative by the logits in their type, which may be written over."""
    probabilities = logits.float()  # the logits themselves where they are float32
    if not with_gradient:
        loss = F.cross_entropy(probabilities, targets, reduction="sum", label_smoothing=label_smoothing)
        return loss, logits
    numbers = torch.arange(len(targets), device=targets.device)
    wanted, spread = probabilities[numbers, targets], probabilities.mean(1) if label_smoothing else 0.0
    highest = probabilities.amax(1)  # of logits; of probabilities it is exp(highest - log_sum)
    torch.softmax(probabilities, 1, out=probabilities)
    log_sum = highest - probabilities.amax(1).log()
    loss = log_sum - (1 - label_smoothing) * wanted - label_smoothing * spread
    probabilities[numbers, targets] -= 1 - label_smoothing
    if label_smoothing:
        probabilities -= label_smoothing / probabilities.shape[1]
    return loss.sum(), probabilities.to(logits.dtype)
