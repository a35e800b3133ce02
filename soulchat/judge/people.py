"""The ratings of a study, as a judge is compared with them."""

from dataclasses import replace

from soulchat_trainer.evaluation.agreement import Judgement
from soulchat_trainer.evaluation.items import Scored

from ..rate.study import RatingStudy


def list_rated(study: RatingStudy, judgement: Judgement) -> list[Scored]:
    """What people rated; a pair that the judge has the other way round is turned, with its scores.

    Raises:
        ValueError: there are no ratings, or people were asked for something else than the judge.
    """
    rubric = judgement.rubric
    asked, judged = (
        {aspect.name: (aspect.minimum, aspect.maximum) for aspect in given.aspects} for given in (study.rubric, rubric)
    )
    if (study.rubric.judged, asked) != (rubric.judged, judged):
        raise ValueError(
            f"{study.path} asked for {', '.join(asked)} of a {study.rubric.judged}, the judge for {', '.join(judged)} "
            f"of a {rubric.judged} ({rubric.name}); allowed: one rubric for both"
        )
    return [_as_judged(scored, judgement) for scored in study.rated()]


def _as_judged(scored: Scored, judgement: Judgement) -> Scored:
    item, given = scored
    if (item.systems[::-1], item.id) not in judgement.scores:
        return scored
    turned = replace(item, systems=item.systems[::-1], texts=item.texts[::-1])
    return turned, {rater: judgement.rubric.turn_round(scores) for rater, scores in given.items()}
