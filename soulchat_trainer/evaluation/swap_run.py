"""`soulchat benchmark swap`: a system answers talks and their other sides, see `swap`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub_cards.predictions import PREDICTIONS_FILE, Prediction, write_predictions
from soulchatcorpus.files import working_in, write_json, write_text

from ..data import StoredTurns, describe_dataset, list_turns, load_corpus, turns_fingerprint
from .agreement import read_judgement
from .judge import hash_texts
from .run import Benchmark, BenchmarkOptions, check_spec, folder_name, open_system
from .swap import FEWEST, Pair, compare_replies, load_rules, make_pairs, render_swap, turns_to_answer


def run_swap(options: BenchmarkOptions, attribute: str, judged: Path | None = None) -> dict[str, Any]:
    """Answer the test talks that tell a client's attribute, and their other sides; write swap.json and swap.md.

    A folder for each side, such as female and male, has the replies to it, for a judge. Started again, it goes on
    where it was stopped.

    Args:
        judged: a folder of `soulchat judge run` on these two.

    Raises:
        ValueError, OSError: bad options or data; fewer than `FEWEST` talks tell the attribute; the judge's scores are
            not of these replies; another run is at work in the output folder.
    """
    load_rules(attribute)
    with working_in(options.output, "soulchat benchmark swap"):
        return _run(options, attribute, judged)


def _run(options: BenchmarkOptions, attribute: str, judged: Path | None) -> dict[str, Any]:
    [spec] = options.models
    check_spec(spec)
    corpus = load_corpus(options.dataset)
    pairs, left_out = make_pairs(list_turns(corpus["test"]), attribute)
    pairs = pairs[: options.samples]
    if len(pairs) < FEWEST:
        raise ValueError(
            f"{len(pairs)} test talks of {options.dataset} tell a client's {attribute}; allowed: {FEWEST} or more"
        )
    turns = turns_to_answer(pairs)
    dataset = describe_dataset(options.dataset, corpus, turns_fingerprint(turns))
    benchmark = Benchmark(dataset, turns, options.decoding, options.batch_size, options.prompt, options.base_url)
    system = open_system(spec, options, StoredTurns(corpus["train"]))
    answers, _ = benchmark.answer(system, options.output)
    texts, size = [reply.text for reply in answers], len(pairs)
    own, again, swapped = (texts[start : start + size] for start in (0, size, 2 * size))
    sides = [pair.side for pair in pairs]
    replies = _write_sides(options.output, pairs, own, swapped, attribute)
    scores = _read_scores(judged, [pair.turn.id for pair in pairs], replies) if judged else {}
    found = compare_replies(own, again, swapped, sides, attribute, options.decoding.seed, scores)
    found |= {"system": system.name, "left_out": left_out}
    write_json(options.output / "swap.json", found)
    write_text(options.output / "swap.md", render_swap(found))
    return found


def _write_sides(
    folder: Path, pairs: Sequence[Pair], own: Sequence[str], swapped: Sequence[str], attribute: str
) -> dict[str, list[str]]:
    """A folder of predictions for each side; the replies to each, by the folder's name."""
    replies: dict[str, list[str]] = {}
    for side, name in enumerate(load_rules(attribute).sides):
        told = [
            (pair.turn, reply) if pair.side == side else (pair.swapped, other)
            for pair, reply, other in zip(pairs, own, swapped, strict=True)
        ]
        replies[folder_name(name)] = [reply for _, reply in told]
        write_predictions(
            folder / folder_name(name) / PREDICTIONS_FILE,
            [
                Prediction(id=pair.turn.id, messages=turn.context, reference=turn.completion, prediction=reply)
                for pair, (turn, reply) in zip(pairs, told, strict=True)
            ],
        )
    return replies


def _read_scores(
    folder: Path, ids: Sequence[str], replies: Mapping[str, Sequence[str]]
) -> dict[str, NDArray[np.float64]]:
    """A judge's scores by aspect, of both sides: float64 [talks, 2], NaN where there are none.

    Raises:
        OSError: the folder is no judge's.
        ValueError: it has judged something else.
    """
    judgement = read_judgement(folder)
    if judgement.rubric.judged != "reply":
        raise ValueError(f"judged is {folder}, which has scores of a {judgement.rubric.judged}; allowed: of replies")
    scores = {aspect.name: np.full((len(ids), 2), np.nan) for aspect in judgement.rubric.aspects}
    for side, (name, texts) in enumerate(replies.items()):
        for place, (id_, text) in enumerate(zip(ids, texts, strict=True)):
            key = ((name,), id_)
            if key not in judgement.scores:
                continue
            if judgement.texts[key] != hash_texts([text]):
                raise ValueError(f"judged is {folder}, which has scores of other replies; allowed: judge these again")
            for aspect, score in judgement.scores[key].items():
                scores[aspect][place, side] = score
    if all(np.isnan(both).all() for both in scores.values()):
        raise ValueError(
            f"judged is {folder}, which has no score of {' or '.join(replies)}; allowed: of these folders"
        )
    return scores
