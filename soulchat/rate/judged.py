"""What a model judged (`soulchat judge run`), as ratings: only together with its agreement with people.

A judge that nobody compared with people prefers what it likes, so a folder without agreement.json
(`soulchat judge agree`) is refused. Its judge counts as one rater for each time that it was asked.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from soulchat_trainer.evaluation.agreement import read_answers
from soulchat_trainer.evaluation.agreement_report import AGREEMENT_FILE, read_agreement
from soulchat_trainer.evaluation.items import Scored, read_items
from soulchat_trainer.evaluation.judge import JUDGED_FILE, Asked, hash_texts
from soulchat_trainer.evaluation.rubric import Rubric

from .pair_rules import SAFETY
from .replies import Ratings, group_replies, list_pairs, read_ratings


def is_judged(folder: Path) -> bool:
    """Whether a folder is a judge's, and no study of people."""
    return (folder / JUDGED_FILE).is_file()


def open_ratings(folder: Path, sources: Sequence[Path]) -> Ratings:
    """What people or a judge said: `read_ratings` or `read_judged`, by what is in the folder."""
    return read_judged(folder, sources) if is_judged(folder) else read_ratings(folder)


def read_judged(folder: Path, sources: Sequence[Path]) -> Ratings:
    """What a judge said of replies.

    Args:
        folder: output of `soulchat judge run`, with agreement.json.
        sources: folders with the systems' predictions.jsonl, as the judge had them.

    Raises:
        ValueError: nobody has compared the judge with people; it judged whole talks, or nobody's safety; a reply that
            was judged is not in the sources; what people were compared with are other scores.
        OSError: a file is missing.
    """
    rubric, report, rows = read_answers(folder)
    model = report["judge"]["model"]
    if not (folder / AGREEMENT_FILE).is_file():
        raise ValueError(
            f"{folder} was judged by {model} alone; allowed: with {AGREEMENT_FILE}, its agreement with people, which "
            "`soulchat judge agree` writes"
        )
    if rubric.judged == "talk" or SAFETY not in {aspect.name for aspect in rubric.aspects}:
        raise ValueError(f"{folder} was judged by {rubric.name}; allowed: a rubric of replies or pairs with {SAFETY}")
    if not sources:
        raise ValueError("source is not given; allowed with a judge's folder: the folders whose replies it judged")
    agreement = read_agreement(folder, rubric)
    judge = f"judge {model}"
    return Ratings(
        folder,
        group_replies(rubric, _scored(rows, rubric, sources)) if rubric.judged == "reply" else {},
        {aspect.name: aspect.question.en for aspect in rubric.aspects},
        judge,
        [{"name": judge, "qualification": f"a model, compared with people: {AGREEMENT_FILE}"}],
        agreement,
        f"**Judge and people**\n\n```json\n{orjson.dumps(agreement, option=orjson.OPT_INDENT_2).decode()}\n```",
        list_pairs(rubric, _scored(rows, rubric, sources)) if rubric.judged == "pair" else (),
    )


def _scored(rows: Sequence[Asked], rubric: Rubric, sources: Sequence[Path]) -> Iterator[Scored]:
    """What was judged, with its scores by the time and the order in which it was asked.

    Of a pair, a time counts when both of its orders have scores, as for its agreement with people: one order alone
    may be what was decided by the order.
    """
    items = {(*item.systems, item.id): item for item in read_items(sources, rubric.judged)}
    scores: dict[tuple[str, ...], dict[str, dict[str, int]]] = {}
    for row in rows:
        if row.scores is None:
            continue
        key = (*row.systems, row.id)
        if key not in items or hash_texts(items[key].texts) != row.text:
            who = " and ".join(row.systems)
            raise ValueError(f"{who} has no such reply to {row.id} as was judged; allowed: the same sources")
        scores.setdefault(key, {})[f"judge-{row.repeat}-{row.order}"] = row.scores
    if rubric.judged == "pair":
        scores = {key: kept for key, given in scores.items() if (kept := _in_both_orders(given))}
    return ((items[key], given) for key, given in scores.items())


def _in_both_orders(given: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    times = Counter(name.rpartition("-")[0] for name in given)
    return {name: scores for name, scores in given.items() if times[name.rpartition("-")[0]] == 2}
