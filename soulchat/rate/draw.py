"""Which items of what systems said people rate: chance draws the dialogues, the same of all systems where it can."""

import random
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path

from hub_cards.predictions import PREDICTIONS_FILE, read_predictions
from hub_cards.results import RESULTS_FILE, read_results
from soulchat_trainer.evaluation.items import Item


def draw_items(items: Sequence[Item], samples: int, generator: random.Random, are_talks: bool) -> list[Item]:
    """The items of as many dialogues: the same of all systems, or of each its own.

    Of each its own where they share none at all, and where replies are those of talks that went their own ways: under
    one id each then answers something else.

    Args:
        items: of all systems, or of all pairs of them.
        samples: dialogues.
        generator: what draws.
        are_talks: the items are parts of talks that each system had by itself.

    Raises:
        ValueError: the systems did not answer the same dialogues, or there are fewer than asked for.
    """
    by_systems: dict[tuple[str, ...], dict[str, Item]] = {}
    for item in items:
        by_systems.setdefault(item.systems, {})[item.id] = item
    (first_name, first), *others = by_systems.items()
    chosen: list[Item] = []
    are_apart = not items[0].history and all(first.keys().isdisjoint(rows) for _, rows in others)
    if len(items[0].systems) == 1 and (are_apart or (are_talks and _went_apart([first, *map(itemgetter(1), others)]))):
        for found in by_systems.values():
            _check_samples(samples, len(found))
            chosen += [found[id_] for id_ in generator.sample(sorted(found), samples)]
        return chosen
    for name, rows in others:
        _check_same(first_name, first, name, rows)
    _check_samples(samples, len(first))
    ids = generator.sample(sorted(first), samples)
    return [found[id_] for id_ in ids for found in by_systems.values()]


def _went_apart(systems: Sequence[Mapping[str, Item]]) -> bool:
    """Whether two systems have different histories under one id."""
    histories: dict[str, str] = {}
    return any(
        histories.setdefault(id_, item.history) != item.history for rows in systems for id_, item in rows.items()
    )


def _check_samples(samples: int, number: int) -> None:
    if not 1 <= samples <= number:
        raise ValueError(f"samples is {samples}; allowed: 1 to {number}, the dialogues that the systems answered")


def _check_same(
    first_systems: tuple[str, ...],
    first: Mapping[str, Item],
    systems: tuple[str, ...],
    rows: Mapping[str, Item],
) -> None:
    one, other = " and ".join(first_systems), " and ".join(systems)
    unshared = sorted(first.keys() ^ rows.keys())
    if unshared:
        raise ValueError(
            f"{one} and {other} did not answer the same dialogues: {len(unshared)} ids are in one only, "
            f"for example {unshared[0]}"
        )
    different = next((id_ for id_ in first if first[id_].history != rows[id_].history), None)
    if different is not None:
        raise ValueError(
            f"{one} and {other} were asked different things under the id {different}; allowed: the same history"
        )


def check_whole(source: Path) -> None:
    """Raises ValueError where predictions are fewer than the results beside them count."""
    path, results = source / PREDICTIONS_FILE, source / RESULTS_FILE
    if path.is_file() and results.is_file():
        rows = len({row.id for row in read_predictions(path)})
        samples = max((system.samples or 0 for system in read_results(results).systems), default=0)
        if rows < samples:
            raise ValueError(f"{path} has {rows} rows, {RESULTS_FILE} says {samples}: ids are missing")
