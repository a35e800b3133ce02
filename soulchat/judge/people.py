"""The ratings of a study, as a judge is compared with them."""

from soulchat_trainer.evaluation.agreement import Rated
from soulchat_trainer.evaluation.judge import hash_texts
from soulchat_trainer.evaluation.rubric import Rubric

from ..rate.questions import ASPECTS
from ..rate.study import RatingStudy


def read_ratings(study: RatingStudy, rubric: Rubric) -> list[Rated]:
    """All ratings of a study. Raises ValueError where it has none, or asked for something else than the judge."""
    asked = {aspect.name: (aspect.minimum, aspect.maximum) for aspect in ASPECTS}
    judged = {aspect.name: (aspect.minimum, aspect.maximum) for aspect in rubric.aspects}
    if asked != judged:
        raise ValueError(
            f"{study.path} asked for {', '.join(asked)}, the judge for {', '.join(judged)} ({rubric.name}); allowed: "
            "one rubric for both"
        )
    ratings, texts = study.ratings(), study.rated_texts()
    if not ratings:
        raise ValueError(
            f"{study.path} has no ratings yet: the judge is not validated on people; allowed: some ratings"
        )
    found = []
    for rating in ratings:
        dialogue, system, reply = texts[rating.item]
        found.append(Rated(rating.rater, (system,), dialogue, rating.scores, hash_texts([reply])))
    return found
