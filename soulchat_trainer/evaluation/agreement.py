"""How far a judge says what people say, and what its scores are worth beside some ratings of people.

The unit is the item, or the talk where the rubric averages over talks. A person's rating of an item stands for what
people say of it as one of several raters: their mean, and for what needs a point of the scale, its nearest point.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import orjson
from pydantic import BaseModel, ValidationError

from hub_cards.results import in_one_line
from soulchat_metrics import intraclass_correlation, krippendorff_alpha, quadratic_kappa
from soulchat_metrics.bootstrap import percentile_intervals, resample

from .correction import (
    Estimate,
    Numbers,
    corrected_mean,
    corrected_share,
    ratings_alone,
    ratings_needed,
    rogan_gladen,
    share_alone,
)
from .items import Scored
from .judge import JUDGED_FILE, REPORT_FILE, Asked, hash_texts
from .rubric import Aspect, Rubric

RESAMPLES, CONFIDENCE = 1000, 0.95
LEAST_UNITS = 3  # rated ones; below that there is no interval
Key = tuple[tuple[str, ...], str]  # systems and id of an item
Read = TypeVar("Read", bound=BaseModel)


class Named(BaseModel):
    """The judge, in its account and in its agreement with people."""

    model: str


class Account(BaseModel):
    """What others use of a judge's own account, its judged.json."""

    note: str
    rubric: Rubric
    judge: Named
    items: int
    open: int
    outcomes: dict[str, int]
    repeats: dict[str, Any]
    orders: dict[str, Any]
    requests: int


# In the order of `_agreement`; the last two of scales of 0 and 1 only.
NUMBERS = (
    "bias",
    "kappa",
    "icc",
    "alpha_raters",
    "alpha_with_judge",
    "sensitivity",
    "specificity",
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge's folder holds: its rubric, its own account, and the mean scores of every item that it judged."""

    rubric: Rubric
    report: dict[str, Any]
    scores: dict[Key, dict[str, float]]
    talks: dict[Key, str]
    texts: dict[Key, str]
    hash: str


def read_answers(folder: Path) -> tuple[Rubric, dict[str, Any], list[Asked]]:
    """The rubric, the judge's own account and all its answers, in a folder of `soulchat judge run`.

    Raises:
        OSError: the folder has none.
        ValueError: a file is not the judge's, or the answers are not those that its account counts.
    """
    report, account = read_account(folder / REPORT_FILE, Account, "soulchat judge run")
    path = folder / JUDGED_FILE
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            row = Asked.model_validate_json(line)
            if row.scores is not None:
                account.rubric.check_scores(row.scores)
        except ValidationError as error:
            raise ValueError(f"{path}, line {number}: {in_one_line(error)}") from None
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
        rows.append(row)
    told = sum(account.outcomes.values())
    if len(rows) != told:
        raise ValueError(f"{path} has {len(rows)} answers; allowed: {told}, as {REPORT_FILE} beside it counts")
    return account.rubric, report, rows


def read_account(path: Path, kind: type[Read], command: str) -> tuple[dict[str, Any], Read]:
    """A JSON file that a command left, as it is and as the parts of it that are used.

    Raises:
        OSError: there is no such file.
        ValueError: it is not what the command writes.
    """
    try:
        report = orjson.loads(path.read_bytes())
        return report, kind.model_validate(report)
    except orjson.JSONDecodeError as error:
        found = f"is unreadable ({error})"
    except ValidationError as error:
        found = f"is of another form ({in_one_line(error)})"
    raise ValueError(f"{path} {found}; allowed: what `{command}` wrote")


def hash_answers(folder: Path) -> str:
    """SHA-256 of the judge's answers, by which an agreement with people tells that it is of these."""
    return sha256((folder / JUDGED_FILE).read_bytes()).hexdigest()


def read_judgement(folder: Path) -> Judgement:
    """The scores in a folder of `soulchat judge run`. A pair counts when both of its orders have scores.

    Raises:
        OSError: the folder has none.
        ValueError: a file is not the judge's, or there are no scores.
    """
    rubric, report, rows = read_answers(folder)
    given: dict[Key, list[Asked]] = {}
    for row in rows:
        if row.scores is not None:
            given.setdefault((tuple(row.systems), row.id), []).append(row)
    orders = {0, 1} if rubric.judged == "pair" else {0}
    whole = {key: asked for key, asked in given.items() if {row.order for row in asked} == orders}
    if not whole:
        raise ValueError(f"{folder} has no item with scores; allowed: a judge that gave some")
    return Judgement(
        rubric,
        report,
        {key: {a.name: _mean_of_orders(asked, a.name) for a in rubric.aspects} for key, asked in whole.items()},
        {key: asked[0].talk for key, asked in whole.items()},
        {key: asked[0].text for key, asked in whole.items()},
        hash_answers(folder),
    )


def _mean_of_orders(asked: Sequence[Asked], aspect: str) -> float:
    """The mean score of an item; both orders of a pair weigh alike, however often each of them got scores."""
    by_order: dict[int, list[int]] = {}
    for row in asked:
        by_order.setdefault(row.order, []).append((row.scores or {})[aspect])
    return float(np.mean([np.mean(scores) for scores in by_order.values()]))


def compare_with_people(judgement: Judgement, rated: Sequence[Scored], width: float = 0.2) -> dict[str, Any]:
    """The agreement of judge and people by aspect, and the corrected means of every system; ready for JSON.

    Args:
        rated: people's scores of items by rater, of which the judge has judged some.
        width: of an interval, for which the number of ratings needed is told.

    Raises:
        ValueError: people and judge have no item in common, or had other words before them under one id.
    """
    people: dict[Key, dict[str, Mapping[str, int]]] = {}
    for item, given in rated:
        key = item.systems, item.id
        if key in judgement.texts and judgement.texts[key] != hash_texts(item.texts):
            raise ValueError(
                f"people rated other words of {', '.join(item.systems)} under the id {item.id} than were judged; "
                "allowed: ratings and judgements of the same results"
            )
        people.setdefault(key, {}).update(given)
    shared = [key for key in judgement.scores if key in people]
    if not shared:
        raise ValueError(
            f"{len(judgement.scores)} items are judged and {len(people)} rated, and none is both; allowed: results "
            "of the same systems and dialogues"
        )
    raters = sorted({rater for given in people.values() for rater in given})
    rubric = judgement.rubric
    return {
        "rubric": rubric.name,
        "judge": judgement.report["judge"],
        "requests": judgement.report["requests"],
        "judged_sha256": judgement.hash,
        "judged": len(judgement.scores),
        "without_scores": judgement.report["items"] - len(judgement.scores),
        "rated": len(people),
        "both": len(shared),
        "raters": len(raters),
        "average": rubric.average,
        "width": width,
        "orders": judgement.report["orders"],
        "repeats": judgement.report["repeats"],
        "aspects": {a.name: _agreement(a, judgement, people, shared, raters) for a in rubric.aspects},
        "systems": _systems(judgement, people, width),
        "differences": _differences(judgement, people),
    }


def _agreement(
    aspect: Aspect,
    judgement: Judgement,
    people: Mapping[Key, Mapping[str, Mapping[str, int]]],
    shared: Sequence[Key],
    raters: Sequence[str],
) -> dict[str, Any]:
    """Confusion table and numbers of agreement of one aspect, over the items that are both rated and judged."""
    points = np.array(aspect.values)
    judged = np.array([judgement.scores[key][aspect.name] for key in shared])
    mean = np.array([np.mean([scores[aspect.name] for scores in people[key].values()]) for key in shared])
    nearest_judged, nearest_mean = nearest(judged), nearest(mean)
    by_raters = np.array(
        [[sum(s[aspect.name] == point for s in people[key].values()) for point in points] for key in shared]
    )
    with_judge = by_raters + (nearest_judged[:, None] == points)

    def confusion(rows: np.ndarray) -> np.ndarray:
        cells = (nearest_mean[rows, None] == points)[:, :, None] & (nearest_judged[rows, None] == points)[:, None, :]
        return cells.sum(axis=0)

    def measure(rows: np.ndarray) -> np.ndarray:
        table = confusion(rows)
        numbers = [
            (judged[rows] - mean[rows]).mean(),
            quadratic_kappa(table),
            intraclass_correlation(np.stack([mean[rows], judged[rows]], axis=1)),
            krippendorff_alpha(by_raters[rows]),
            krippendorff_alpha(with_judge[rows]),
        ]
        if aspect.is_binary:
            with np.errstate(divide="ignore", invalid="ignore"):
                numbers += (np.diag(table) / table.sum(axis=1)).tolist()
        return np.array(numbers)

    everything = np.arange(len(shared))
    found = measure(everything)
    drawn = resample(measure, everything, RESAMPLES, seed=0)
    numbers = {}
    for place, name in enumerate(itertools.islice(NUMBERS, len(found))):
        defined = drawn[~np.isnan(drawn[:, place]), place]
        has_number = not math.isnan(found[place])
        numbers[name] = {
            "value": float(found[place]) if has_number else None,
            "interval": percentile_intervals(defined[:, None], CONFIDENCE)[0].tolist()
            if has_number and len(defined)
            else None,
        }
    return {
        "items": len(shared),
        "points": points.tolist(),
        "confusion": confusion(everything).tolist(),
        **numbers,
        "notes": _notes(nearest_mean, nearest_judged, by_raters, raters),
    }


def _notes(mean: Numbers, judged: Numbers, by_raters: Numbers, raters: Sequence[str]) -> list[str]:
    """Why a number is not defined, or says little."""
    notes = []
    if len(raters) == 1:
        notes.append("one rater only: how far raters agree is not known")
    elif not (by_raters.sum(axis=1) > 1).any():
        notes.append("no item has two raters: how far raters agree is not known")
    if (mean == mean[0]).all():
        notes.append(f"people gave {mean[0]:g} to all items, so kappa and ICC tell nothing of the judge")
    if (judged == judged[0]).all():
        notes.append(f"the judge gave {judged[0]:g} to all items and tells nothing")
    return notes


def nearest(scores: Numbers) -> Numbers:
    """The nearest point of a scale; a half goes towards 0, which is the tie of a pair and the worse of a scale."""
    return np.sign(scores) * np.ceil(np.abs(scores) - 0.5) + 0.0  # no -0


@dataclass(frozen=True, slots=True)
class _Units:
    """One system's scores of one aspect by unit: people's and the judge's where both are, the judge's elsewhere."""

    rated: dict[str, float]
    judged: dict[str, float]
    unrated: dict[str, float]

    def arrays(self, to_points: bool) -> tuple[Numbers, Numbers, Numbers]:
        parts = (np.array(list(part.values()), dtype=np.float64) for part in (self.rated, self.judged, self.unrated))
        rated, judged, unrated = (nearest(part) if to_points else part for part in parts)
        return rated, judged, unrated


def _units(
    judgement: Judgement, people: Mapping[Key, Mapping[str, Mapping[str, int]]], systems: tuple[str, ...], aspect: str
) -> _Units:
    by_unit: dict[str, list[Key]] = {}
    for key in judgement.scores:
        if key[0] == systems:
            unit = judgement.talks[key] if judgement.rubric.average == "talks" else key[1]
            by_unit.setdefault(unit, []).append(key)
    units = _Units({}, {}, {})
    for unit, keys in by_unit.items():
        rated = [key for key in keys if key in people]
        judged = float(np.mean([judgement.scores[key][aspect] for key in rated or keys]))
        if rated:
            means = [np.mean([scores[aspect] for scores in people[key].values()]) for key in rated]
            units.rated[unit], units.judged[unit] = float(np.mean(means)), judged
        else:
            units.unrated[unit] = judged
    return units


def _systems(
    judgement: Judgement, people: Mapping[Key, Mapping[str, Mapping[str, int]]], width: float
) -> dict[str, dict[str, Any]]:
    names = dict.fromkeys(systems for systems, _ in judgement.scores)
    told: dict[str, dict[str, Any]] = {}
    for systems in names:
        told[name_of(systems)] = {
            aspect.name: _correct(
                _units(judgement, people, systems, aspect.name),
                aspect,
                aspect.is_binary and judgement.rubric.average == "items",
                width,
            )
            for aspect in judgement.rubric.aspects
        }
    return told


def _correct(units: _Units, aspect: Aspect, is_binary: bool, width: float) -> dict[str, Any]:
    """One system's means of one aspect: the judge's, people's, the corrected one."""
    rated, judged, unrated = units.arrays(is_binary)
    scale = aspect.minimum, aspect.maximum
    told: dict[str, Any] = {
        "rated": len(rated),
        "judged": len(rated) + len(unrated),
        "judge": float(np.concatenate([judged, unrated]).mean()),
        "people": None,
        "corrected": None,
    }
    if len(rated) < LEAST_UNITS:
        return told
    if is_binary:
        told["people"] = _told(share_alone(rated))
        told["corrected"] = _told(corrected_share(rated, judged, unrated))
        told["rogan_gladen"] = _told(rogan_gladen(rated, judged, unrated))
    else:
        told["people"] = _told(ratings_alone(rated, scale))
        told["corrected"] = _told(corrected_mean(rated, judged, unrated, scale))
    method = "double-sampled" if is_binary else "prediction-powered"
    told["method"] = "ratings-alone" if told["corrected"] == told["people"] else method
    needed = ratings_needed(rated, judged, unrated, width, scale)
    told["ratings_missing"] = max(0, needed - len(rated)) if told["corrected"]["width"] > width else 0
    return told


def _differences(judgement: Judgement, people: Mapping[Key, Mapping[str, Mapping[str, int]]]) -> list[dict[str, Any]]:
    """The second system's mean less the first's, unit by unit, for every two systems."""
    told = []
    names = dict.fromkeys(systems for systems, _ in judgement.scores)
    for first, second in itertools.combinations(names, 2) if judgement.rubric.judged != "pair" else ():
        of_aspects = {}
        for aspect in judgement.rubric.aspects:
            one, other = (_units(judgement, people, systems, aspect.name) for systems in (first, second))
            both = [unit for unit in one.rated if unit in other.rated]
            judged_one, judged_other = one.judged | one.unrated, other.judged | other.unrated
            rest = [unit for unit in judged_one if unit in judged_other and unit not in both]
            rated = np.array([other.rated[unit] - one.rated[unit] for unit in both])
            judged = np.array([judged_other[unit] - judged_one[unit] for unit in both])
            unrated = np.array([judged_other[unit] - judged_one[unit] for unit in rest], dtype=np.float64)
            span = aspect.maximum - aspect.minimum
            enough = len(both) >= LEAST_UNITS
            found = _told(corrected_mean(rated, judged, unrated, (-span, span))) if enough else None
            of_aspects[aspect.name] = {"rated": len(both), "judged": len(both) + len(rest), "difference": found}
        told.append({"first": name_of(first), "second": name_of(second), "aspects": of_aspects})
    return told


def name_of(systems: tuple[str, ...]) -> str:
    """A system as tables have it; of a pair both, below 0 for the first."""
    return " / ".join(systems)


def _told(estimate: Estimate) -> dict[str, Any] | None:
    """An estimate for JSON; None where it is not defined."""
    mean, low, high = (float(value) for value in (estimate.mean, estimate.low, estimate.high))
    if math.isnan(mean):
        return None
    return {"mean": mean, "interval": [low, high], "width": high - low}
