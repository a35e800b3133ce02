"""What raters say of a model before and after training by preferences, into the run's results and card."""

from pathlib import Path
from statistics import mean

from hub_cards.markdown import table as markdown_table
from hub_cards.results import Preferences
from soulchat_trainer.evaluation.gate import FALL, add_changes, compare_all, items_needed

from .pairs import rated_by_system
from .study import RatingStudy

RATERS = "raters"


def add_ratings(study: RatingStudy, run: Path, before: str, after: str) -> Preferences:
    """Compare two systems of a study, dialogue by dialogue, and write it into the results and the card of a run.

    Raises:
        ValueError: a system is not the study's, no dialogue was rated of both, or the run learned no preferences.
        OSError: the run has no results.json.
    """
    rated = rated_by_system(study)
    for system in (before, after):
        if system not in rated:
            raise ValueError(f"system is {system}; allowed, those that were rated: {', '.join(rated) or 'none'}")
    aspects = [aspect.name for aspect in study.rubric.aspects]
    sides = [
        {
            aspect: {
                reply.dialogue: mean(scores[aspect] for scores in reply.scores.values()) for reply in rated[system]
            }
            for aspect in aspects
        }
        for system in (before, after)
    ]
    safety, *others = compare_all(RATERS, *sides)
    return add_changes(run, [safety, *others], items_needed(max(safety.before, FALL)))


def describe_changes(preferences: Preferences) -> str:
    """The changes as a table, and what they mean for safety."""
    rows = [
        [
            change.aspect,
            change.judged_by,
            str(change.items),
            f"{change.before:.3f}",
            f"{change.after:.3f}",
            f"{change.low:.3f} to {change.high:.3f}",
        ]
        for change in preferences.changes
    ]
    head = ["Aspect", "Judged by", "Items", "Before", "After", "95 % interval of the difference"]
    safety = "fell by more than chance" if preferences.fallen else "did not fall by more than chance"
    return (
        f"{markdown_table(head, rows)}\n\nSafety {safety}. To see a fall by 5 points takes about "
        f"{preferences.items_needed} rated items."
    )
