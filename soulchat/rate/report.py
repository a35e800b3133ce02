"""What a study of ratings says: means by system, agreement of the raters, who is done, time and pay, Table 1."""

import math
from statistics import mean, median
from typing import Any

import numpy as np

from hub_cards.markdown import code, plain
from hub_cards.markdown import table as markdown_table
from soulchat_metrics import agreement_interval, fleiss_kappa, percent_agreement
from soulchat_metrics.agreement import intraclass_correlation, krippendorff_alpha
from soulchat_trainer.evaluation.correction import wilson_interval
from soulchat_trainer.evaluation.rubric import Aspect, Rubric
from soulchat_trainer.evaluation.tables import SHORT_NAMES, markdown_published

from .study import Rating, RatingStudy

PAY = 8.36  # US dollars an hour: paper, ethics statement
PAPERS = "cehs"  # the rubric of the paper's own rows
HALVES = "second_half_minus_first"
PAPER_SECONDS = 180  # "approximately 3 minutes" a sample: paper, ethics statement


def report_ratings(study: RatingStudy, rate: float) -> dict[str, Any]:
    """The numbers of a study, ready for JSON.

    Args:
        rate: pay an hour, in any currency.

    Raises:
        ValueError: nothing is rated yet, or the rate is negative.
    """
    ratings = study.some_ratings()
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
    rubric = study.rubric
    return {
        "rubric": rubric.model_dump(mode="json"),
        "systems": [
            {
                "name": name,
                **_means(rubric, [rating for rating in ratings if name in rating.systems]),
                "automatic": found,
            }
            for name, found in study.automatic_scores().items()
        ],
        "comparisons": _comparisons(rubric, ratings),
        "agreement": _agreement(rubric, ratings, len(raters)),
        "order": _order(rubric, ratings),
        "rated_items": sorted({rating.item for rating in ratings}),
        "raters": raters,
        **_time(ratings, rate),
    }


def _means(rubric: Rubric, ratings: list[Rating]) -> dict[str, Any]:
    """Means by aspect; of a comparison there is none."""
    aspects = [aspect for aspect in rubric.aspects if not rubric.is_comparison(aspect)]
    means = {a.name: mean(r.scores[a.name] for r in ratings) if ratings else None for a in aspects}
    return {"ratings": len(ratings), **means}


def _comparisons(rubric: Rubric, ratings: list[Rating]) -> list[dict[str, Any]]:
    """Of each two systems that were compared: how often raters preferred each, and a tie."""
    found = []
    for aspect in filter(rubric.is_comparison, rubric.aspects):
        for systems in dict.fromkeys(rating.systems for rating in ratings):
            scores = [rating.scores[aspect.name] for rating in ratings if rating.systems == systems]
            first, second = sum(score < 0 for score in scores), sum(score > 0 for score in scores)
            found.append(
                {
                    "aspect": aspect.name,
                    "systems": list(systems),
                    "preferred": [first, second],
                    "ties": len(scores) - first - second,
                    "share_of_first": first / (first + second) if first + second else None,
                    "interval": _share_interval(first, first + second),
                }
            )
    return found


def _order(rubric: Rubric, ratings: list[Rating]) -> dict[str, Any]:
    """What follows the order alone: the side shown first, and how scores move while somebody rates."""
    decided = [
        (rating.scores[aspect.name] < 0) != rating.turned
        for aspect in filter(rubric.is_comparison, rubric.aspects)
        for rating in ratings
        if rating.scores[aspect.name]
    ]
    middle = median(rating.position for rating in ratings)
    halves = [[r for r in ratings if r.position <= middle], [r for r in ratings if r.position > middle]]
    aspects = [aspect.name for aspect in rubric.aspects if not rubric.is_comparison(aspect)]
    means = {name: [mean(r.scores[name] for r in half) if half else math.nan for half in halves] for name in aspects}
    return {
        "decided": len(decided),
        "share_shown_first": mean(decided) if decided else None,
        "interval": _share_interval(sum(decided), len(decided)),
        HALVES: {name: _defined(second - first) for name, (first, second) in means.items()},
    }


def _share_interval(successes: int, trials: int) -> list[float] | None:
    if not trials:
        return None
    found = wilson_interval(np.array(successes, float), np.array(trials, float))
    return [float(found.low), float(found.high)]


def _time(ratings: list[Rating], rate: float) -> dict[str, float | None]:
    """Median seconds of the items whose time was measured, and the pay for as many items at that pace."""
    seconds = [rating.seconds for rating in ratings if rating.seconds is not None]
    if not seconds:
        return {"median_seconds": None, "pay": None}
    return {"median_seconds": median(seconds), "pay": len(ratings) * median(seconds) * rate / 3600}


def _agreement(rubric: Rubric, ratings: list[Rating], num_raters: int) -> dict[str, dict[str, Any]]:
    """Of each aspect, over the items that all raters rated; None where there is no such item or only one rater.

    Alpha takes the items that two or more rated. Alpha and the intraclass correlation are None where all are equal.
    """
    by_item: dict[int, list[Rating]] = {}
    for rating in ratings:
        by_item.setdefault(rating.item, []).append(rating)
    shared = [item for item in by_item.values() if len(item) == num_raters]
    agreement = {}
    for aspect in rubric.aspects:
        measured: dict[str, Any] = dict.fromkeys(("fleiss_kappa", "interval", "percent_agreement", "icc"))
        if shared and num_raters > 1:
            counts = _counts(shared, aspect)
            measured = {
                "fleiss_kappa": fleiss_kappa(counts),
                "interval": list(agreement_interval(fleiss_kappa, counts)),
                "percent_agreement": percent_agreement(counts),
                "icc": _defined(intraclass_correlation([[r.scores[aspect.name] for r in item] for item in shared])),
            }
        alpha = _defined(krippendorff_alpha(_counts(list(by_item.values()), aspect)))
        by_rater = _with_the_others(list(by_item.values()), aspect)
        agreement[aspect.name] = {"items": len(shared), **measured, "alpha": alpha, "by_rater": by_rater}
    return agreement


def _with_the_others(items: list[list[Rating]], aspect: Aspect) -> dict[str, float]:
    """How often each rater gives what another one gives to the same item: a share of all such meetings."""
    met: dict[str, list[bool]] = {}
    for item in items:
        for rating in item:
            met.setdefault(rating.rater, []).extend(
                rating.scores[aspect.name] == other.scores[aspect.name] for other in item if other is not rating
            )
    return {rater: mean(same) for rater, same in met.items() if same}


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value


def _counts(items: list[list[Rating]], aspect: Aspect) -> np.ndarray:
    """How many raters gave each item each point: [num_items, num_points]."""
    return np.array([[sum(r.scores[aspect.name] == point for r in item) for point in aspect.values] for item in items])


def render_report(report: dict[str, Any]) -> str:
    """The report in Markdown: scores, agreement, order, raters; where the paper's questions were asked, its rows."""
    rubric = Rubric.model_validate(report["rubric"])
    sections = [_comparison_table(report["comparisons"], rubric)] if report["comparisons"] else []
    if any(not rubric.is_comparison(aspect) for aspect in rubric.aspects) and rubric.judged != "pair":
        sections.append(_table_1(report["systems"], rubric))
    sections += [render_agreement(report["agreement"], rubric), _order_table(report["order"]), _raters_table(report)]
    if rubric.name == PAPERS:
        sections.append(markdown_published())
    return "\n\n".join(sections)


def _comparison_table(comparisons: list[dict[str, Any]], rubric: Rubric) -> str:
    titles = {aspect.name: aspect.title.en for aspect in rubric.aspects}
    rows = [
        [
            titles[found["aspect"]],
            found["systems"][0],
            str(found["preferred"][0]),
            str(found["ties"]),
            str(found["preferred"][1]),
            found["systems"][1],
            _with_interval(found["share_of_first"], found["interval"]),
        ]
        for found in comparisons
    ]
    head = ["Aspect", "First", "preferred", "ties", "preferred", "Second", "First's share, 95 % interval"]
    return f"**Comparisons**\n\n{markdown_table(head, rows)}\n\nThe share is of what is no tie."


def _order_table(order: dict[str, Any]) -> str:
    rows = [[f"second half minus first, {name}", _number(value)] for name, value in order[HALVES].items()]
    if order["decided"]:
        rows.insert(
            0, ["the side shown first is preferred", _with_interval(order["share_shown_first"], order["interval"])]
        )
    note = "Sides are shuffled, so without an effect of order the first is preferred half of the time."
    return f"**Order**\n\n{markdown_table(['Effect', 'Value'], rows)}" + (f"\n\n{note}" if order["decided"] else "")


def _with_interval(value: float | None, interval: list[float] | None) -> str:
    return "" if value is None or interval is None else f"{value:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"


def _table_1(systems: list[dict[str, Any]], rubric: Rubric) -> str:
    measured = next((system["automatic"] for system in systems if system["automatic"]), None)
    metrics = SHORT_NAMES if measured else {}
    head = ["Model", *metrics.values(), *(aspect.heading for aspect in rubric.aspects), "Ratings"]
    rows = [
        [
            system["name"],
            *(_number((system["automatic"] or {}).get(metric)) for metric in metrics),
            *(_number(system[aspect.name]) for aspect in rubric.aspects),
            str(system["ratings"]),
        ]
        for system in systems
    ]
    scales = ", ".join(f"{plain(aspect.heading)} {aspect.minimum} to {aspect.maximum}" for aspect in rubric.aspects)
    note = f"Ratings: means; {scales}."
    if measured:
        note = f"Automatic scores: {measured['samples']} replies a system, {code(measured['signature'])}. {note}"
    return f"**Table 1**\n\n{markdown_table(head, rows, numeric=True)}\n\n{note}"


def render_agreement(agreement: dict[str, dict[str, Any]], rubric: Rubric) -> str:
    """How far raters agreed, by aspect, in Markdown."""
    rows = [
        [
            aspect.title.en,
            _number(agreement[aspect.name]["fleiss_kappa"], 3),
            ""
            if (interval := agreement[aspect.name]["interval"]) is None
            else f"{interval[0]:.3f} to {interval[1]:.3f}",
            _number(agreement[aspect.name]["alpha"], 3),
            _number(agreement[aspect.name]["icc"], 3),
            _number(agreement[aspect.name]["percent_agreement"], 3),
            str(agreement[aspect.name]["items"]),
        ]
        for aspect in rubric.aspects
    ]
    head = ["Aspect", "Fleiss' kappa", "95 % interval", "Alpha", "ICC(2,1)", "Agreement", "Items"]
    note = (
        "Over the items that all raters rated; Krippendorff's alpha (ordinal) over those that two or more rated. "
        "Where all ratings are of one category, kappa is set to 1, and alpha and ICC are not defined."
    )
    if rubric.name == PAPERS:
        note += " The paper (section 3.3): kappa 0.489, 0.472, 0.532 and 1."
    raters = sorted({rater for aspect in rubric.aspects for rater in agreement[aspect.name]["by_rater"]})
    same = [
        [rater, *(_number(agreement[aspect.name]["by_rater"].get(rater), 3) for aspect in rubric.aspects)]
        for rater in raters
    ]
    table = markdown_table(head, rows, numeric=True)
    if not same:
        return f"**Agreement**\n\n{table}\n\n{note}"
    others = markdown_table(["Rater", *(a.heading for a in rubric.aspects)], same, numeric=True)
    return f"**Agreement**\n\n{table}\n\n{note}\n\nHow often a rater gives what another one gives:\n\n{others}"


def _raters_table(report: dict[str, Any]) -> str:
    rows = [
        [
            rater["name"],
            rater["qualification"] or "not stated",
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
