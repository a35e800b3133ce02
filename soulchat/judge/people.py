"""The ratings of a study, as a judge is compared with them."""

from soulchat_trainer.evaluation.agreement import Rated
from soulchat_trainer.evaluation.judge import hash_texts
from soulchat_trainer.evaluation.rubric import Rubric

from ..rate.study import RatingStudy


def read_ratings(study: RatingStudy, rubric: Rubric) -> list[Rated]:
    """All ratings of a study. Raises ValueError where it has none, or asked for something else than the judge."""
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
    return [
        Rated(rating.rater, thing.systems, thing.id, rating.scores, hash_texts(thing.texts))
        for rating in ratings
        for thing in [things[rating.item]]
    ]
