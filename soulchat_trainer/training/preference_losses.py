"""The losses of preference learning, each of one sample, from the log-probabilities of its replies.

A reply's log-probability is the sum over its tokens, its end token with them; a log ratio is that of the model in
training minus that of the model which training started from.

    dpo    -log sigmoid(beta * (ratio of the chosen - ratio of the rejected))      Rafailov et al. 2023, equation 7
    kto    1 - sigmoid(beta * (ratio - z)), or of (z - ratio) for a bad reply      Ethayarajh et al. 2024, equation 7
    orpo   -beta * log sigmoid(log odds of the chosen - log odds of the rejected)  Hong et al. 2024, equations 6 and 7
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def dpo_losses(log_ratios: Tensor, beta: float, label_smoothing: float = 0.0) -> Tensor:
    """DPO's loss of each pair, [b], from log ratios [b, 2], the chosen reply's first.

    Args:
        label_smoothing: how often a choice is thought to be the wrong way round, below 0.5; the loss is then free of
            the bias of such pairs (robust DPO: Chowdhury et al. 2024, equation 12; `loss_type="robust"` in TRL).
    """
    margin = beta * (log_ratios[:, 0] - log_ratios[:, 1])
    straight, reversed_ = F.logsigmoid(margin), F.logsigmoid(-margin)
    return -((1 - label_smoothing) * straight - label_smoothing * reversed_) / (1 - 2 * label_smoothing)


def kto_losses(
    log_ratios: Tensor,
    baseline: Tensor,
    is_good: Tensor,
    beta: float,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> Tensor:
    """KTO's loss of each reply, [b].

    Args:
        log_ratios: [b].
        baseline: a scalar, z: the mean log ratio of replies to other prompts, at least 0; it has no gradient.
        is_good: bool [b], True = a reply that is wanted.
        desirable_weight, undesirable_weight: of the losses of replies that are wanted, and of others.
    """
    sign = torch.where(is_good, 1.0, -1.0)
    weight = torch.where(is_good, desirable_weight, undesirable_weight)
    return weight * (1 - torch.sigmoid(beta * sign * (log_ratios - baseline)))


def orpo_losses(mean_log_probs: Tensor, beta: float) -> Tensor:
    """ORPO's odds ratio loss of each pair, [b], from mean log-probabilities a token [b, 2], the chosen reply's first.

    To it belongs the cross-entropy of the chosen replies, which is not in it.
    """
    mean_log_probs = mean_log_probs.float()
    log_odds = mean_log_probs - log1mexp(mean_log_probs)
    return -beta * F.logsigmoid(log_odds[:, 0] - log_odds[:, 1])


def log1mexp(values: Tensor) -> Tensor:
    """log(1 - exp(values)) of values below 0, without cancellation (Mächler 2012, equation 7)."""
    is_near = values > -0.6931472  # log 2
    near = torch.log(-torch.expm1(torch.where(is_near, values, -1.0)))
    return torch.where(is_near, near, torch.log1p(-torch.exp(torch.where(is_near, -1.0, values))))
