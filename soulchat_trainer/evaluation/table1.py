"""The automatic half of the paper's Table 1: the same turns, decoding and seven metrics for any system.

A *system* is whatever answers a prompt; its row holds name, kind, scores and what else `results.json` tells of it.
"""

import time
from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

import soulchat_metrics
from soulchatcorpus.turns import Turn

from ..generation.engine import Reply, generate_replies
from ..generation.sampling import Decoding
from .diversity import distinct, mean_length, share_distinct
from .empathy import expression_rates
from .perplexity import held_out_loss
from .retrieval import retrieval_baseline

CONFIDENCE = 0.95


def score_predictions(predictions: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """The seven metrics (x100) with their 95 % bootstrap intervals and signature, and how varied the predictions are.

    Raises:
        ValueError: the numbers of predictions and references differ, or there are none.
    """
    scores = soulchat_metrics.score(predictions, references, confidence=CONFIDENCE)
    return {
        "metrics": {name: scores[name] for name in soulchat_metrics.METRIC_NAMES},
        "intervals": scores["intervals"],
        "signature": scores["signature"],
        "generation": {
            **describe_replies(predictions),
            "share_distinct": share_distinct(predictions),
            "empty": scores["empty_predictions"],
        },
    }


def describe_replies(replies: Sequence[str]) -> dict[str, float]:
    """Distinct-1 and -2 over characters, and the mean length in characters."""
    return {
        "distinct_1": distinct(replies, 1),
        "distinct_2": distinct(replies, 2),
        "mean_length": mean_length(replies),
    }


def describe_references(references: Sequence[str]) -> dict[str, Any]:
    """What `results.json` tells of the references, for comparison: variety, length, expressions of empathy."""
    return {**describe_replies(references), "expressions": expression_rates(references)}


def evaluate_model(
    name: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    turns: Sequence[Turn],
    decoding: Decoding,
    batch_size: int = 16,
) -> tuple[dict[str, Any], list[str]]:
    """Answer held-out turns and score the replies.

    Returns:
        the system's row for `results.json`, loss and perplexity on the references included; and the predictions.
    """
    talks, references = [turn.context for turn in turns], [turn.completion for turn in turns]
    start = time.perf_counter()
    replies = generate_replies(model, tokenizer, talks, [turn.id for turn in turns], decoding, batch_size)
    seconds = time.perf_counter() - start
    held_out = held_out_loss(model, tokenizer, talks, references)
    row = system_row(name, "model", replies, references, seconds)
    row |= {"loss": held_out.loss, "perplexity": held_out.perplexity}
    return row, [reply.text for reply in replies]


def evaluate_retrieval(train_turns: Sequence[Turn], turns: Sequence[Turn]) -> tuple[dict[str, Any], list[str]]:
    """The retrieval baseline's row and predictions."""
    start = time.perf_counter()
    texts = retrieval_baseline(train_turns, [turn.prompt for turn in turns])
    seconds = time.perf_counter() - start
    replies = [Reply(text, finished=True, num_tokens=0) for text in texts]
    return system_row("retrieval", "baseline", replies, [turn.completion for turn in turns], seconds), texts


def system_row(
    name: str, kind: str, replies: Sequence[Reply], references: Sequence[str], seconds: float | None
) -> dict[str, Any]:
    """The row of a system in `results.json`; kind is model, baseline or endpoint."""
    predictions = [reply.text for reply in replies]
    scores = score_predictions(predictions, references)
    scores["generation"]["share_finished"] = sum(reply.finished for reply in replies) / len(replies)
    return {
        "name": name,
        "kind": kind,
        "revision": None,
        "seen": False,
        "samples": len(references),
        "loss": None,
        "perplexity": None,
        **scores,
        "expressions": expression_rates(predictions),
        "seconds": seconds,
    }
