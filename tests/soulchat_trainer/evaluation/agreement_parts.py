"""A judge's folder and people's ratings, made up, for the tests of agreement."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from soulchat_trainer.evaluation.items import Item, Scored
from soulchat_trainer.evaluation.judge import JUDGED_FILE, NOT_VALIDATED, REPORT_FILE, Asked, hash_texts
from soulchat_trainer.evaluation.rubric import Rubric, read_rubric
from soulchatcorpus.files import write_json, write_lines

Scores = Mapping[str, int]


def text_of(system: str, id_: str) -> str:
    return f"{system}的回复{id_}"


def write_judgement(folder: Path, scores: Mapping[tuple[str, str], Scores], rubric: str = "cehs") -> Path:
    """A judge's folder with these scores, by (system, id)."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        Asked(
            id=id_,
            talk=id_.rpartition("-")[0] or id_,
            systems=system.split("|"),
            order=order,
            repeat=0,
            outcome="scored",
            scores=dict(given),
            model="m",
            text=hash_texts([text_of(system, id_)]),
        )
        for (system, id_), given in scores.items()
        for order in ((0, 1) if "|" in system else (0,))
    ]
    write_answers(folder, read_rubric(rubric), rows)
    return folder


def write_answers(folder: Path, rubric: Rubric, rows: Sequence[Asked]) -> None:
    """The answers of the model m, with its account of them."""
    write_lines(folder / JUDGED_FILE, (row.model_dump() for row in rows))
    report = {
        "note": NOT_VALIDATED,
        "rubric": rubric.model_dump(mode="json"),
        "judge": {"model": "m", "temperature": None, "is_local": False},
        "items": len({(*row.systems, row.id) for row in rows}),
        "open": 0,
        "outcomes": Counter(row.outcome for row in rows),
        "requests": len(rows),
        "orders": {},
        "repeats": {},
    }
    write_json(folder / REPORT_FILE, report)


def rate(rater: str, system: str, id_: str, scores: Scores) -> Scored:
    return Item(id_, id_, tuple(system.split("|")), "", (text_of(system, id_),)), {rater: scores}
