"""Replies with what was said of them, by people or by a judge: what preferences are made of, and the gate."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from .questions import ASPECTS
from .report import PAY, render_agreement, report_ratings
from .study import RatingStudy

MAXIMA = {aspect.name: aspect.maximum for aspect in ASPECTS}
RATERS = "raters"


@dataclass(frozen=True, slots=True)
class RatedReply:
    """A reply with its ratings.

    Attributes:
        dialogue: the conversation so far, in the paper's form.
        text: the reply.
        scores: by rater and aspect, each from 0 to 1.
    """

    dialogue: str
    text: str
    scores: dict[str, dict[str, float]]

    def of(self, rater: str, aspects: Sequence[str]) -> float:
        """A rater's mean over aspects."""
        return mean(self.scores[rater][aspect] for aspect in aspects)

    def average(self, aspects: Sequence[str]) -> float:
        """The mean over raters and aspects."""
        return mean(self.of(rater, aspects) for rater in self.scores)


@dataclass(frozen=True, slots=True)
class RatedPair:
    """Two replies that were compared.

    Attributes:
        dialogue: the conversation so far, in the paper's form.
        first, second: the replies.
        votes: by rater, from -1, the first is better, to 1, the second is.
        safety: by rater, from 0 to 1: whether the better one is safe.
    """

    dialogue: str
    first: str
    second: str
    votes: dict[str, float]
    safety: dict[str, float]


@dataclass(frozen=True, slots=True)
class Ratings:
    """Rated replies or pairs of them, and by whom and how.

    Attributes:
        folder: of the study or of the judge.
        by_system: the replies, by the system that wrote them; `pairs`: those that were compared instead.
        asked: the question of each aspect.
        judged_by: raters, or which judge.
        raters: their names and qualifications.
        agreement: how far raters agree with each other, or the judge with people; `agreement_told`: in Markdown.
    """

    folder: Path
    by_system: dict[str, list[RatedReply]]
    asked: dict[str, str]
    judged_by: str
    raters: list[dict[str, str]]
    agreement: dict[str, Any]
    agreement_told: str
    pairs: Sequence[RatedPair] = ()

    @property
    def replies(self) -> list[RatedReply]:
        """Those of all systems."""
        return [reply for replies in self.by_system.values() for reply in replies]


def read_ratings(folder: Path) -> Ratings:
    """The ratings of a study of people.

    Raises:
        ValueError: nothing is rated yet.
        OSError: there is no study.
    """
    study = RatingStudy(folder)
    report = report_ratings(study, PAY)
    return Ratings(
        folder,
        _by_system(study),
        {aspect.name: aspect.question.en for aspect in ASPECTS},
        RATERS,
        [{"name": rater["name"], "qualification": rater["qualification"]} for rater in report["raters"]],
        report["agreement"],
        render_agreement(report["agreement"]),
    )


def _by_system(study: RatingStudy) -> dict[str, list[RatedReply]]:
    items = {item.number: item for rater in study.raters() for item in study.items(rater.name)}
    scores: dict[int, dict[str, dict[str, float]]] = {}
    systems: dict[int, str] = {}
    for rating in study.ratings():
        shares = {name: score / MAXIMA[name] for name, score in rating.scores.items()}
        scores.setdefault(rating.item, {})[rating.rater] = shares
        systems[rating.item] = rating.system
    found: dict[str, list[RatedReply]] = {}
    for number, given in sorted(scores.items()):
        item = items[number]
        found.setdefault(systems[number], []).append(RatedReply(item.dialogue, item.reply, given))
    return found
