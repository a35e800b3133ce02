"""What a study of ratings says: means by system, agreement of the raters, who is done, time and pay, Table 1."""

import math
from statistics import mean, median
from typing import Any

import numpy as np

from hub_cards.markdown import code, plain
from hub_cards.markdown import table as markdown_table
from hub_cards.results import METRICS
from soulchat_metrics import agreement_interval, fleiss_kappa, percent_agreement
from soulchat_trainer.evaluation.rubric import Aspect
from soulchat_trainer.evaluation.tables import SHORT_NAMES, markdown_published

from .questions import ASPECTS
from .study import Rating, RatingStudy

PAY = 8.36  # US dollars an hour: paper, ethics statement
PAPER_SECONDS = 180  # "approximately 3 minutes" a sample: paper, ethics statement


def report_ratings(study: RatingStudy, rate: float) -> dict[str, Any]:
    """The numbers of a study, ready for JSON.

    Args:
        rate: pay an hour, in any currency.

    Raises:
        ValueError: nothing is rated yet, or the rate is negative.
    """
    ratings = study.ratings()
    if not ratings:
        raise ValueError(f"{study.path} has no ratings yet; allowed: a study with at least one rating")
    if not 0 <= rate < math.inf:
        raise ValueError(f"rate is {rate}; allowed: 0 or more an hour")
    raters = [
        {
            "name": rater.name,
            "qualification": rater.qualification,
            "rated": rater.rated,
            "assigned": rater.assigned,
            "finished": rater.rated == rater.assigned,
            **_time([rating for rating in ratings if rating.rater == rater.name], rate),
        }
        for rater in study.raters()
    ]
    return {
        "systems": [
            {"name": name, **_means([rating for rating in ratings if rating.system == name]), "automatic": automatic}
            for name, automatic in study.automatic_scores().items()
        ],
        "agreement": _agreement(ratings, len(raters)),
        "raters": raters,
        **_time(ratings, rate),
    }


def _means(ratings: list[Rating]) -> dict[str, Any]:
    means = {a.name: mean(r.scores[a.name] for r in ratings) if ratings else None for a in ASPECTS}
    return {"ratings": len(ratings), **means}


def _time(ratings: list[Rating], rate: float) -> dict[str, float | None]:
    """Median seconds of the items whose time was measured, and the pay for as many items at that pace."""
    seconds = [rating.seconds for rating in ratings if rating.seconds is not None]
    if not seconds:
        return {"median_seconds": None, "pay": None}
    return {"median_seconds": median(seconds), "pay": len(ratings) * median(seconds) * rate / 3600}


def _agreement(ratings: list[Rating], num_raters: int) -> dict[str, dict[str, Any]]:
    """Of each aspect, over the items that all raters rated; None where there is no such item or only one rater."""
    by_item: dict[int, list[Rating]] = {}
    for rating in ratings:
        by_item.setdefault(rating.item, []).append(rating)
    shared = [item for item in by_item.values() if len(item) == num_raters]
    agreement = {}
    for aspect in ASPECTS:
        measured: dict[str, Any] = {"fleiss_kappa": None, "interval": None, "percent_agreement": None}
        if shared and num_raters > 1:
            counts = _counts(shared, aspect)
            measured = {
                "fleiss_kappa": fleiss_kappa(counts),
                "interval": list(agreement_interval(fleiss_kappa, counts)),
                "percent_agreement": percent_agreement(counts),
            }
        agreement[aspect.name] = {"items": len(shared), **measured}
    return agreement


def _counts(items: list[list[Rating]], aspect: Aspect) -> np.ndarray:
    """How many raters gave each item each score: [num_items, maximum + 1]."""
    scores = np.array([[rating.scores[aspect.name] for rating in item] for item in items])
    return (scores[:, :, None] == np.arange(aspect.maximum + 1)).sum(axis=1)


def render_report(report: dict[str, Any]) -> str:
    """The report in Markdown: Table 1 with both halves, agreement, raters, and the paper's rows for comparison."""
    return "\n\n".join(
        [
            _table_1(report["systems"]),
            render_agreement(report["agreement"]),
            _raters_table(report),
            markdown_published(),
        ]
    )


def _table_1(systems: list[dict[str, Any]]) -> str:
    head = ["Model", *SHORT_NAMES.values(), *(aspect.heading for aspect in ASPECTS), "Ratings"]
    rows = [
        [
            plain(system["name"]),
            *(_number(system["automatic"][metric]) for metric in METRICS),
            *(_number(system[aspect.name]) for aspect in ASPECTS),
            str(system["ratings"]),
        ]
        for system in systems
    ]
    samples, signature = systems[0]["automatic"]["samples"], systems[0]["automatic"]["signature"]
    scales = ", ".join(f"{aspect.heading} 0-{aspect.maximum}" for aspect in ASPECTS)
    note = f"Automatic scores: {samples} replies a system, {code(signature)}. Ratings: means; {scales}."
    return f"**Table 1**\n\n{markdown_table(head, rows, numeric=True)}\n\n{note}"


def render_agreement(agreement: dict[str, dict[str, Any]]) -> str:
    """How far raters agreed, by aspect, in Markdown."""
    rows = []
    for aspect in ASPECTS:
        measured = agreement[aspect.name]
        interval = measured["interval"]
        rows.append(
            [
                aspect.title.en,
                _number(measured["fleiss_kappa"], 3),
                "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}",
                _number(measured["percent_agreement"], 3),
                str(measured["items"]),
            ]
        )
    head = ["Aspect", "Fleiss' kappa", "95 % interval", "Agreement", "Items"]
    note = (
        "Over the items that all raters rated. Where all ratings are of one category, kappa is set to 1. "
        "The paper (section 3.3): 0.489, 0.472, 0.532 and 1."
    )
    return f"**Agreement**\n\n{markdown_table(head, rows, numeric=True)}\n\n{note}"


def _raters_table(report: dict[str, Any]) -> str:
    rows = [
        [
            plain(rater["name"]),
            plain(rater["qualification"] or "not stated"),
            f"{rater['rated']} of {rater['assigned']}" + (", done" if rater["finished"] else ""),
            _number(rater["median_seconds"], 0),
            _number(rater["pay"]),
        ]
        for rater in report["raters"]
    ]
    rows.append(["all", "", "", _number(report["median_seconds"], 0), _number(report["pay"])])
    head = ["Rater", "Qualification", "Rated", "Median seconds", "Pay"]
    note = f"Pay: items x median seconds x the rate an hour. Paper: about {PAPER_SECONDS} seconds, {PAY} US dollars."
    return f"**Raters**\n\n{markdown_table(head, rows, numeric=True)}\n\n{note}"


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"
