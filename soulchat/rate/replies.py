"""Replies with what was said of them, by people or by a judge: what preferences are made of, and the gate."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from soulchat_trainer.evaluation.items import Item, Scored
from soulchat_trainer.evaluation.rubric import Rubric
from soulchatcorpus.dialogue import COUNSELLOR_CUE

from .pair_rules import SAFETY
from .report import PAY, render_agreement, report_ratings
from .study import RatingStudy

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
        """A rater's mean over aspects, over all but safety where none is named."""
        given = self.scores[rater]
        return mean(given[aspect] for aspect in aspects or [name for name in given if name != SAFETY])

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
        ValueError: nothing is rated yet, or whole talks are.
        OSError: there is no study.
    """
    study = RatingStudy(folder)
    rubric = study.rubric
    if rubric.judged == "talk":
        raise ValueError(f"{folder} has ratings of whole talks; allowed: a study of replies or pairs")
    scored, report = study.rated(), report_ratings(study, PAY)
    return Ratings(
        folder,
        group_replies(rubric, scored) if rubric.judged == "reply" else {},
        {aspect.name: aspect.question.en for aspect in rubric.aspects},
        RATERS,
        [{"name": rater["name"], "qualification": rater["qualification"]} for rater in report["raters"]],
        report["agreement"],
        render_agreement(report["agreement"], rubric),
        list_pairs(rubric, scored) if rubric.judged == "pair" else (),
    )


def group_replies(rubric: Rubric, scored: Iterable[Scored]) -> dict[str, list[RatedReply]]:
    """Rated replies by the system that wrote them."""
    found: dict[str, list[RatedReply]] = {}
    for item, given in scored:
        scores = {rater: _shares(rubric, each) for rater, each in given.items()}
        found.setdefault(item.systems[0], []).append(RatedReply(_dialogue(item), item.texts[0], scores))
    return found


def list_pairs(rubric: Rubric, scored: Iterable[Scored]) -> list[RatedPair]:
    """Compared pairs; where a rubric does not ask whether one is safe, they are. Raises ValueError for whole talks."""
    comparing = [aspect for aspect in rubric.aspects if rubric.is_comparison(aspect)]
    found = []
    for item, given in scored:
        if not item.history:
            raise ValueError("whole talks were compared; allowed: replies to one history")
        votes = {
            rater: mean(each[aspect.name] / aspect.maximum for aspect in comparing) for rater, each in given.items()
        }
        safety = {rater: _shares(rubric, each).get(SAFETY, 1.0) for rater, each in given.items()}
        first, second = item.texts
        found.append(RatedPair(_dialogue(item), first, second, votes, safety))
    return found


def _dialogue(item: Item) -> str:
    return f"{item.history}\n{COUNSELLOR_CUE}"


def _shares(rubric: Rubric, scores: Mapping[str, int]) -> dict[str, float]:
    return {
        aspect.name: (scores[aspect.name] - aspect.minimum) / (aspect.maximum - aspect.minimum)
        for aspect in rubric.aspects
    }
