"""What people and a judge say of systems, as columns beside the automatic scores of Table 1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hub_cards.markdown import plain

from .agreement import Judgement, name_of, read_judgement
from .agreement_report import AGREEMENT_FILE, METHODS, format_estimate, read_agreement
from .judge import NOT_VALIDATED


@dataclass(frozen=True, slots=True)
class Opinions:
    """Columns for a table.

    Attributes:
        columns: their headings; each says what it is.
        cells: by the name of a system's folder, one for each column.
        note: what stands below the table.
    """

    columns: Sequence[str]
    cells: Mapping[str, Sequence[str]]
    note: str

    def of(self, system: str) -> Sequence[str]:
        """A system's cells; empty ones where nobody judged it."""
        return self.cells.get(system, [""] * len(self.columns))


def read_opinions(folder: Path) -> Opinions:
    """The columns of a folder of `soulchat judge run`, with people's where `soulchat judge agree` was run on it.

    Raises:
        OSError: the folder is no judge's.
        ValueError: its files are broken, of a rubric of pairs, or judged anew since they were compared with people.
    """
    judgement = read_judgement(folder)
    if judgement.rubric.judged == "pair":
        raise ValueError(f"{folder} has judged pairs; allowed in a table of systems: replies or talks")
    if not (folder / AGREEMENT_FILE).is_file():
        return _not_validated(judgement)
    return _validated(judgement, read_agreement(folder, judgement.rubric))


def _validated(judgement: Judgement, report: Mapping[str, Any]) -> Opinions:
    aspects = judgement.rubric.aspects
    columns = [f"{aspect.heading} {kind}" for aspect in aspects for kind in ("(people)", "(judge, corrected)")]
    cells = {
        system: [format_estimate(told[aspect.name][kind]) for aspect in aspects for kind in ("people", "corrected")]
        for system, told in report["systems"].items()
    }
    note = (
        f"People: the mean of {report['raters']} raters over {report['both']} items of all systems. Judge, corrected: "
        f"{plain(report['judge']['model'])} over {report['judged']} items, corrected by these ratings "
        f"({METHODS['prediction-powered']}; of scales of 0 and 1, {METHODS['double-sampled']}; "
        f"{METHODS['ratings-alone']}). "
        f"{_scales(judgement)}, 95 % intervals."
    )
    return Opinions(columns, cells, note)


def _not_validated(judgement: Judgement) -> Opinions:
    aspects = judgement.rubric.aspects
    columns = [f"{aspect.heading} (judge, {NOT_VALIDATED})" for aspect in aspects]
    by_system: dict[str, dict[str, list[dict[str, float]]]] = {}
    for key, scores in judgement.scores.items():
        unit = judgement.talks[key] if judgement.rubric.average == "talks" else key[1]
        by_system.setdefault(name_of(key[0]), {}).setdefault(unit, []).append(scores)
    cells = {
        system: [
            f"{np.mean([np.mean([scores[aspect.name] for scores in unit]) for unit in units.values()]):.2f}"
            for aspect in aspects
        ]
        for system, units in by_system.items()
    }
    model = plain(judgement.report["judge"]["model"])
    note = (
        f"Judge: {model}, {NOT_VALIDATED}: how far these numbers are people's is not known (`soulchat judge agree`). "
        f"{_scales(judgement)}."
    )
    return Opinions(columns, cells, note)


def _scales(judgement: Judgement) -> str:
    rubric = judgement.rubric
    scales = ", ".join(f"{plain(aspect.heading)} {aspect.minimum} to {aspect.maximum}" for aspect in rubric.aspects)
    return f"Rubric {plain(rubric.name)}: {scales}"
