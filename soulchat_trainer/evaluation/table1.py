"""The automatic half of the paper's Table 1: the same seven metrics for any system."""

from collections.abc import Sequence
from typing import Any

import soulchat_metrics
from hub_cards.results import References, Replies, System

from ..generation.engine import Reply
from .diversity import distinct, mean_length, share_distinct
from .empathy import expression_rates

CONFIDENCE = 0.95


def system_row(
    name: str, kind: str, replies: Sequence[Reply], references: Sequence[str], seconds: float | None
) -> System:
    """The row of a system: the seven metrics (x100) with 95 % bootstrap intervals, and how varied its replies are.

    Raises:
        ValueError: the numbers of replies and references differ, or there are none.
    """
    predictions = [reply.text for reply in replies]
    scores = soulchat_metrics.score(predictions, references, confidence=CONFIDENCE)
    return System(
        name=name,
        kind=kind,
        samples=len(references),
        metrics={metric: scores[metric] for metric in soulchat_metrics.METRIC_NAMES},
        intervals=scores["intervals"],
        signature=scores["signature"],
        generation=Replies(
            **_describe_texts(predictions),
            share_distinct=share_distinct(predictions),
            share_finished=sum(reply.finished for reply in replies) / len(replies),
            empty=scores["empty_predictions"],
            only_thoughts=sum(bool(reply.thoughts) and not reply.text for reply in replies),
        ),
        expressions=expression_rates(predictions),
        seconds=seconds,
    )


def describe_references(references: Sequence[str]) -> References:
    """The references, for comparison: variety, length, expressions of empathy."""
    return References(**_describe_texts(references), expressions=expression_rates(references))


def _describe_texts(texts: Sequence[str]) -> dict[str, Any]:
    return {"distinct_1": distinct(texts, 1), "distinct_2": distinct(texts, 2), "mean_length": mean_length(texts)}
