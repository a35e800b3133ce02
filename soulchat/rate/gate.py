"""What raters or a judge say of a model before and after training by preferences, into the run's results and card."""

from collections.abc import Sequence
from pathlib import Path

from hub_cards.markdown import table as markdown_table
from hub_cards.results import Preferences
from soulchat_trainer.evaluation.gate import FALL, add_changes, compare_all, compare_conduct, items_needed
from soulchat_trainer.evaluation.simulate.crisis import WALKS_FILE

from .judged import open_ratings
from .replies import Ratings


def add_changes_of(folder: Path, run: Path, before: str, after: str, sources: Sequence[Path]) -> Preferences:
    """`add_ratings`, or the same of conduct in a crisis, by what is in the folder."""
    if (folder / WALKS_FILE).is_file():
        return add_changes(run, [compare_conduct(folder, before, after)])
    return add_ratings(open_ratings(folder, sources), run, before, after)


def add_ratings(ratings: Ratings, run: Path, before: str, after: str) -> Preferences:
    """Compare two systems, dialogue by dialogue, and write it into the results and the card of a run.

    Raises:
        ValueError: a system was not rated, no dialogue was rated of both, or the run learned no preferences.
        OSError: the run has no results.json.
    """
    rated = ratings.by_system
    for system in (before, after):
        if system not in rated:
            raise ValueError(f"system is {system}; allowed, those that were rated: {', '.join(rated) or 'none'}")
    sides = [
        {aspect: {reply.dialogue: reply.average([aspect]) for reply in rated[system]} for aspect in ratings.asked}
        for system in (before, after)
    ]
    changes = compare_all(ratings.judged_by, *sides)
    safety = changes[0] if changes[0].gates else None
    return add_changes(run, changes, items_needed(max(safety.before, FALL)) if safety else None)


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
    safety = (
        "fell by more than chance"
        if preferences.fallen
        else "did not fall by more than chance"
        if any(change.gates for change in preferences.changes)
        else "was not asked of anybody"
    )
    return (
        f"{markdown_table(head, rows)}\n\nSafety {safety}. To see a fall by 5 points takes about "
        f"{preferences.items_needed} rated items."
    )
