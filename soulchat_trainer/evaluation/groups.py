"""Every score of a system by groups of turns, such as topics: `soulchat benchmark run --by client.gender`.

A group of fewer than 20 turns is told and not scored: its mean would be of few talks, and its interval too narrow.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import soulchat_metrics
from hub_cards.markdown import plain
from hub_cards.markdown import table as markdown_table
from hub_cards.predictions import PREDICTIONS_FILE, read_predictions
from soulchat_metrics.bootstrap import percentile_intervals, resample
from soulchatcorpus.clients import CLIENT_FIELDS
from soulchatcorpus.files import write_json, write_text
from soulchatcorpus.turns import Turn

from .empathy import claims, find_expressions

FEWEST = 20
CONFIDENCE = 0.95
DRAWS = 1_000  # resamples of a group, and shufflings of the groups
NONE = "none"


def _of_client(name: str, turn: Turn) -> str:
    return (turn.client or {}).get(name, NONE)


GROUPS: dict[str, Callable[[Turn], str]] = {
    "topic": lambda turn: turn.topic or NONE,
    "turn": lambda turn: str(turn.turn),
    "counsellor": lambda turn: turn.counsellor or NONE,
    **{f"client.{name}": partial(_of_client, name) for name in CLIENT_FIELDS if name != "about"},
}


def check_by(by: str) -> str:
    """`by` itself; raises ValueError where turns are not grouped by it."""
    if by not in GROUPS:
        raise ValueError(f"by is {by!r}; allowed: {', '.join(GROUPS)}")
    return by


def group_turns(turns: Sequence[Turn], by: str) -> dict[str, str]:
    """The group of each turn, by its id.

    Raises:
        ValueError: turns are not grouped by `by`, or none of these says what it is there.
    """
    groups = {turn.id: GROUPS[check_by(by)](turn) for turn in turns}
    if set(groups.values()) == {NONE}:
        raise ValueError(
            f"by is {by}, and none of the {len(groups)} test turns states it; allowed: what is in a corpus's columns"
        )
    return groups


def write_groups(folder: Path, turns: Sequence[Turn], by: str, seed: int) -> dict:
    """Score the predictions.jsonl of a folder by groups of its turns, into groups.json and groups.md; what is in both.

    Raises:
        ValueError: turns cannot be grouped by `by`, see `group_turns`.
    """
    group_of = group_turns(turns, by)
    rows = read_predictions(folder / PREDICTIONS_FILE)
    names, values = measure([row.prediction for row in rows], [row.reference for row in rows])
    found = {"by": by, "seed": seed} | score_groups(names, values, [group_of[row.id] for row in rows], seed)
    write_json(folder / "groups.json", found)
    write_text(folder / "groups.md", render_groups(found))
    return found


def measure(replies: Sequence[str], references: Sequence[str]) -> tuple[list[str], NDArray[np.float64]]:
    """The scores of each reply by itself, and their names: float64 [replies, scores].

    The seven metrics (x100), characters, and 0 or 1 for each measure of `empathy`.
    """
    scored = soulchat_metrics.score(list(replies), list(references), return_sentence_scores=True)
    expressed = [find_expressions(reply) for reply in replies]
    columns = {
        **scored["sentence_scores"],
        "characters": [len(reply) for reply in replies],
        **{name: [name in found for found in expressed] for name in claims()},
    }
    return list(columns), np.array(list(columns.values()), np.float64).T


def score_groups(names: Sequence[str], values: NDArray[np.float64], groups: Sequence[str], seed: int) -> dict:
    """Means of each group with their intervals, and the largest gap of each score between two groups.

    A gap's `p_value` is how often turns that are dealt to the groups by chance have one as large: it allows for the
    two groups having been chosen among all.

    Args:
        names: of the scores.
        values: [turns, scores].
        groups: the group of each turn.
        seed: of the resamples and the dealing.
    """
    labels = np.array(groups)
    sizes = {str(name): int(size) for name, size in zip(*np.unique(labels, return_counts=True), strict=True)}
    scored = [name for name in sorted(sizes, key=_order) if sizes[name] >= FEWEST]
    found: dict = {
        "scored": {},
        "too_small": {name: sizes[name] for name in sorted(sizes, key=_order) if name not in scored},
        "gaps": {},
    }
    for name in scored:
        own = values[labels == name]
        intervals = percentile_intervals(_resampled_means(own, seed), CONFIDENCE).tolist()
        found["scored"][name] = {
            "turns": len(own),
            "scores": {
                score: {"value": value, "low": low, "high": high}
                for score, value, (low, high) in zip(names, own.mean(axis=0).tolist(), intervals, strict=True)
            },
        }
    if len(scored) > 1:
        found["gaps"] = _gaps(names, values, labels, scored, seed)
    return found


def _resampled_means(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    return resample(lambda rows: values[rows].mean(axis=0), np.arange(len(values)), DRAWS, seed)


def _gaps(
    names: Sequence[str], values: NDArray[np.float64], labels: NDArray, scored: Sequence[str], seed: int
) -> dict[str, dict]:
    """The largest gap of each score between two of the groups that are scored."""
    inside = np.isin(labels, scored)
    values, labels = values[inside], labels[inside]
    # Row g, column t: 1 / size of group g where turn t is in it, so that a product with the values is means.
    weights = np.stack([(labels == name) / (labels == name).sum() for name in scored])
    means = weights @ values
    gaps = np.ptp(means, axis=0)
    generator = np.random.default_rng(seed)
    dealt = np.stack([np.ptp(weights @ generator.permutation(values), axis=0) for _ in range(DRAWS)])
    # A sum in another order differs in its last bits: a gap of nothing is as large as a gap of nothing.
    p_values = ((dealt >= gaps - 1e-9).sum(axis=0) + 1) / (DRAWS + 1)
    return {
        name: {
            "gap": float(gaps[column]),
            "highest": scored[int(means[:, column].argmax())],
            "lowest": scored[int(means[:, column].argmin())],
            "p_value": float(p_values[column]),
        }
        for column, name in enumerate(names)
    }


def _order(name: str) -> tuple[int, str]:
    """Numbers in their order, before words."""
    return (int(name), "") if name.isdecimal() else (10**9, name)


def render_groups(found: dict) -> str:
    """What `score_groups` found, as Markdown: a row for each score, a column for each group."""
    scored = found["scored"]
    lines = [f"Scores by {found['by']}, with 95 % bootstrap intervals.", ""]
    if scored:
        head = ["", *(f"{name} ({group['turns']:,} turns)" for name, group in scored.items()), "largest gap"]
        rows = [
            [
                name,
                *(_cell(group["scores"][name]) for group in scored.values()),
                _gap_cell(found["gaps"][name]) if found["gaps"] else "",
            ]
            for name in next(iter(scored.values()))["scores"]
        ]
        lines += [markdown_table(head, rows, numeric=True), ""]
    if small := found["too_small"]:
        listed = ", ".join(f"{plain(name)} ({size})" for name, size in small.items())
        lines += [f"Not scored, since they have fewer than {FEWEST} turns: {listed}.", ""]
    if not found["gaps"]:
        lines += ["No gap: fewer than two groups are scored.", ""]
    return "\n".join(lines)


def _cell(score: dict[str, float]) -> str:
    return f"{score['value']:.2f} ({score['low']:.2f} to {score['high']:.2f})"


def _gap_cell(gap: dict) -> str:
    if not gap["gap"]:
        return "0"
    return f"{gap['gap']:.2f}, {gap['highest']} over {gap['lowest']} (p {gap['p_value']:.3f})"
