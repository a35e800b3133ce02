"""The ratings of a study, as a judge is compared with them."""

from soulchat_trainer.evaluation.agreement import Judgement, Rated
from soulchat_trainer.evaluation.judge import hash_texts

from ..rate.study import RatingStudy


def list_rated(study: RatingStudy, judgement: Judgement) -> list[Rated]:
    """All ratings of a study; a pair that the judge has the other way round is turned, with its scores.

    Raises:
        ValueError: there are none, or people were asked for something else than the judge.
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
    ratings, things = study.ratings(), study.rated_things()
    if not ratings:
        raise ValueError(
            f"{study.path} has no ratings yet: the judge is not validated on people; allowed: some ratings"
        )
    rated = []
    for rating in ratings:
        thing, scores = things[rating.item], rating.scores
        systems, texts = thing.systems, thing.texts
        if (systems[::-1], thing.id) in judgement.scores:
            systems, texts, scores = systems[::-1], texts[::-1], rubric.turn_round(scores)
        rated.append(Rated(rating.rater, systems, thing.id, scores, hash_texts(texts)))
    return rated
