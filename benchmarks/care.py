"""The detectors of crisis and of harmful replies: learned, measured and timed.

    python benchmarks/care.py train --psysuicide valid.json --smilechat smile_50k.parquet
    python benchmarks/care.py unread --messages 17 18 19 20 21 22 23 24 25 26 27 28
    python benchmarks/care.py time
    python benchmarks/care.py simplified

`train` learns from benchmarks/care_data (written for this project, CC0), from those sentences and replies of
tests/fixtures that are known to their authors, from the validation split of PsySUICIDE (PsyGUARD, EMNLP 2024, MIT;
GitHub qiuhuachuan/PsyGUARD) and from messages of SMILECHAT (CC0), some read and labelled, others as ordinary talk.
It writes soulchatcorpus/care/crisis.npz and replies.npz; what it measures of authors whose texts it left out goes to
benchmarks/results/care.json. `unread` measures the detectors that are there on authors whom they have not learned from
yet (so it runs before `train`), and writes benchmarks/results/care_unread.json. `time` measures a message and a
streamed reply. `simplified` writes the table of traditional characters anew; it needs the package opencc, 1.4.2.
"""

import argparse
import json
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from care_network import learn_network
from care_rows import (
    DATA,
    FOLDS,
    SEED,
    Row,
    read_authored,
    read_fixtures,
    read_labelled_messages,
    read_ordinary,
    read_psysuicide,
    read_sentences,
)
from measuring import circumstances, write_results

from soulchatcorpus.care.detector import DOUBT, Detector, distinct_runs, find_runs, save_detector
from soulchatcorpus.care.evaluate import Labelled, count, read_labelled
from soulchatcorpus.care.judging import list_pieces
from soulchatcorpus.care.network import Network
from soulchatcorpus.care.replies import NAMED, list_windows
from soulchatcorpus.care.rules import find_words, names_of_words

CARE = Path(__file__).parent.parent / "soulchatcorpus" / "care"
UNREAD = Path(__file__).parent / "results" / "care_unread.json"
BITS = 18
# Chosen by leaving out authors; see docs/safety.md for what they give.
REGULARISATION = 100.0
# How much of the weights that the rules have by themselves, where it is meant, is added to those that they have beside
# the words: beside words that one author uses, too little of it is left for the words of others.
RULES_ALONE = {"crisis": 0.3, "replies": 0.0}
# The same of what is said outright in messages: a plain wish counts amid any amount of everyday talk.
OUTRIGHT_ALONE = {"suicide meant": 0.8, "self_harm meant": 0.8}
# The share of characters that a further copy of each text is without.
THINNED = {"crisis": 0.15, "replies": 0.3}
PLAIN_WEIGHT = 3.0
# How much a text of each source counts for the network, which reads its clauses, and what its answers count beside the
# sum of weights.
NETWORK_WEIGHTS = {"PsySUICIDE": 2.0, "SMILECHAT": 0.5, "labelled": 0.5, "author": 1.0}
NETWORK_SHARE = 0.4
# The share of the authors' harmless texts that may be found, which sets the threshold: of all harmless messages, half
# of which were written to look harmful, and of those harmless replies that were not.
FALSE_ALARMS = {"crisis": 0.08, "replies": 0.04}
THRESHOLDS = (0.2, 0.35, 0.5, 0.65, 0.8)
LOOKALIKE = ("lookalike", "harmless")

_CLAUSE = re.compile(r"[^,。!?;:\n.~…]+[,。!?;:\n.~…]*")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("train")
    verb.add_argument("--psysuicide", type=Path, required=True)
    verb.add_argument("--smilechat", type=Path, required=True)
    verb.set_defaults(run=lambda options: train(options.psysuicide, options.smilechat))
    verb = verbs.add_parser("unread")
    verb.add_argument("--messages", type=int, nargs="*", default=[], metavar="AUTHOR")
    verb.add_argument("--replies", type=int, nargs="*", default=[], metavar="AUTHOR")
    verb.set_defaults(run=lambda options: measure_unread(options.messages, options.replies))
    verbs.add_parser("time").set_defaults(run=lambda options: measure_time())
    verbs.add_parser("simplified").set_defaults(run=lambda options: write_simplified())
    options = parser.parse_args()
    options.run(options)


def train(psysuicide: Path, smilechat: Path) -> None:
    """Learn both detectors and write them with what was measured."""
    asked, answered = read_ordinary(smilechat)
    messages = [
        *read_authored("crisis-train.jsonl"),
        *read_authored("crisis-train-more.jsonl"),
        *(replace(row, weight=PLAIN_WEIGHT) for row in read_authored("crisis-plain.jsonl")),
        *read_sentences(),
        *read_psysuicide(psysuicide),
        *asked,
        *read_labelled_messages(),
    ]
    replies = [*read_authored("replies-train.jsonl"), *read_fixtures(), *answered]
    measured = {name: learn(name, rows) for name, rows in (("crisis", messages), ("replies", replies))}
    write_results("care", circumstances("numpy", "scikit-learn") | {"left out": measured})


def learn(name: str, rows: list[Row]) -> dict[str, Any]:
    """Measure by leaving out each fold, then learn from all, write the detector, and give what was measured."""
    learned = list_sentences(rows) if name == "replies" else rows
    versions = [[row.text for row in learned], splice_all(learned), thin_all(learned, THINNED[name])]
    copies = [matrix(version) for version in versions]
    # The package takes the highest score of a text's pieces.
    pieces = [list_windows(row.text) if name == "replies" else _pieces_of(row.text) for row in rows]
    firsts = np.cumsum([0, *map(len, pieces)])[:-1]
    judged = [piece for of_text in pieces for piece in of_text]
    runs = matrix(judged)
    scores, added = np.zeros(len(judged)), np.zeros(len(judged))
    folds = np.array([fold(row) for row in learned])
    folds_judged = np.repeat([fold(row) for row in rows], [len(of_text) for of_text in pieces])
    for place in range(FOLDS):
        weights, bias = fit(name, learned, copies, folds != place)
        left_out = folds_judged == place
        scores[left_out] = (runs @ weights)[left_out] + bias
        if name == "crisis":
            network = fit_network(learned, versions, folds != place)
            added[left_out] = [_ask(network, judged[piece]) for piece in np.flatnonzero(left_out)]
    highest = np.maximum.reduceat(scores + added, firsts)
    for place, row in enumerate(rows):
        if name == "replies" and any(words.kind in NAMED for words in find_words(row.text)):
            highest[place] = scores[firsts[place]] = np.inf  # the package does not ask the detector
    harmless = np.array([not row.positive and row.group.startswith("author") and _counts(name, row) for row in rows])
    threshold = float(np.quantile(highest[harmless], 1 - FALSE_ALARMS[name]))
    everything = np.ones(len(learned), dtype=bool)
    weights, bias = fit(name, learned, copies, everything)
    network = fit_network(learned, versions, everything) if name == "crisis" else None
    save_detector(as_detector(weights, bias - threshold, network), CARE / f"{name}.npz")
    scores -= threshold
    return measure(rows, np.maximum.reduceat(scores + np.where(scores >= DOUBT, added, 0), firsts))


def _pieces_of(text: str) -> list[str]:
    return [piece for piece, _ in list_pieces(text, find_words(text))]


def fit_network(rows: list[Row], versions: list[list[str]], chosen: np.ndarray) -> Network:
    """The network that learned all versions of the chosen rows, its answers made as small as they count."""
    places = np.flatnonzero(chosen)
    network = learn_network(
        [version[place] for version in versions for place in places],
        np.tile([float(rows[place].positive) for place in places], len(versions)),
        np.tile([NETWORK_WEIGHTS[rows[place].group.split(" ")[0]] for place in places], len(versions)),
        SEED,
    )
    return replace(network, out=network.out * NETWORK_SHARE)


def _ask(network: Network, text: str) -> float:
    words, pairs, *_ = find_runs(text, 32)
    return network.score(words, pairs)


def fold(row: Row) -> int:
    """In which fold a group is left out: a fifth of the authors, of PsySUICIDE and of SMILECHAT."""
    return int(row.group.rsplit(" ", 1)[1]) % FOLDS


def list_sentences(rows: list[Row]) -> list[Row]:
    """The rows as replies are judged: of harmless ones each sentence with those before it, harmful ones whole."""
    return [
        replace(row, text=text, weight=row.weight / len(windows) ** 0.5)
        for row in rows
        for windows in ([row.text] if row.positive else list_windows(row.text),)
        for text in windows
    ]


def _counts(name: str, row: Row) -> bool:
    return name == "crisis" or row.kind not in LOOKALIKE


def fit(name: str, rows: list[Row], copies: list[Any], chosen: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights and bias of a logistic regression on all copies of the chosen rows, the texts themselves first."""
    from scipy.sparse import diags, vstack
    from sklearn.linear_model import LogisticRegression

    def regression(strength: float) -> LogisticRegression:
        return LogisticRegression(C=strength, solver="liblinear", dual=True, tol=0.1, random_state=SEED)

    chosen = chosen & np.array([row.weight > 0 for row in rows])
    weights = np.array([row.weight for row in rows])[chosen]
    labels = np.array([row.positive for row in rows])[chosen]
    runs = vstack([copy[chosen] for copy in copies]).tocsr()
    rarity = measure_rarity(runs)
    model = regression(REGULARISATION)
    model.fit(
        runs @ diags(rarity),
        np.tile(labels, len(copies)),
        sample_weight=np.tile(weights, len(copies)),
    )
    alone = regression(1.0).fit(copies[0][chosen][:, 2**BITS :], labels, sample_weight=weights)
    learned = model.coef_[0] * rarity
    learned[2**BITS :] += np.array([_share_alone(name, found) for found in names_of_words()]) * alone.coef_[0]
    return learned, float(model.intercept_[0])


def _share_alone(name: str, found: str) -> float:
    if not found.endswith(("meant", "another")):
        return 0.0
    return OUTRIGHT_ALONE.get(found, RULES_ALONE[name]) if name == "crisis" else RULES_ALONE[name]


def measure_rarity(runs: Any) -> np.ndarray:
    """How rare each run is among the texts, from near 0 (in all of them) to 1 (in one); 1 for what the rules found.

    Scaled so, a rare run costs less to learn from than a frequent one (inverse document frequency).
    """
    texts = runs.shape[0]
    held_by = np.bincount(runs.indices, minlength=runs.shape[1]) + 1.0
    rarity = np.clip(np.log(texts / held_by) / np.log(texts), 0.05, 1)
    rarity[2**BITS :] = 1
    return rarity


def splice_all(rows: list[Row]) -> list[str]:
    """Each text with up to three clauses of ordinary talk before it and after it."""
    draw = random.Random(SEED)
    talk = [row.text for row in rows if row.group.startswith("SMILECHAT")]
    clauses = [clause for text in talk for clause in _CLAUSE.findall(text) if 4 <= len(clause) <= 24]
    spliced = []
    for row in rows:
        before, after = (draw.choices(clauses, k=draw.choice((0, 1, 1, 2, 3))) for _ in range(2))
        between = "" if row.text.endswith(tuple(",。!?;:")) or not after else draw.choice(",。")
        spliced.append("".join([*before, row.text, between, *after]))
    return spliced


def thin_all(rows: list[Row], share: float) -> list[str]:
    """Each text without a share of its characters, drawn by chance.

    So that no weight leans on what one author always writes together (Wager, Wang and Liang, 2013, "Dropout Training
    as Adaptive Regularization").
    """
    draw = random.Random(SEED)
    thinned = ["".join(character for character in row.text if draw.random() >= share) for row in rows]
    return [kept or row.text for kept, row in zip(thinned, rows, strict=True)]


def matrix(texts: list[str]) -> Any:
    """A sparse row for each text: its runs, of length 1 together, then what the rules found."""
    from scipy.sparse import csr_matrix

    names = {name: 2**BITS + place for place, name in enumerate(names_of_words())}
    columns, values, ends = [], [], [0]
    for text in texts:
        runs = distinct_runs(text, BITS)
        found = sorted({names[words.name] for words in find_words(text)})
        columns += [runs.astype(np.int64), np.array(found, dtype=np.int64)]
        values += [np.full(len(runs), len(runs) ** -0.5), np.ones(len(found))]
        ends.append(ends[-1] + len(runs) + len(found))
    shape = (len(texts), 2**BITS + len(names))
    return csr_matrix((np.concatenate(values), np.concatenate(columns), ends), shape)


def as_detector(weights: np.ndarray, bias: float, network: Network | None) -> Detector:
    """The detector of what was learned."""
    rules = dict(zip(names_of_words(), weights[2**BITS :].tolist(), strict=True))
    return Detector(weights[: 2**BITS].astype(np.float32), rules, bias, network)


def measure(rows: list[Row], scores: np.ndarray) -> dict[str, Any]:
    """Share found of each source's positive and negative texts at several thresholds, and of each kind at 0.5."""

    def source(row: Row) -> str:
        return row.group if row.group.startswith("author") else row.group.rstrip("0123456789 ")

    def authors_together(row: Row) -> str:
        return "authors" if row.group.startswith("author") else source(row)

    return {
        "by threshold": {
            str(threshold): shares(rows, scores, authors_together, threshold) for threshold in THRESHOLDS
        },
        "by group": shares(rows, scores, source, 0.5),
        "by kind": shares(rows, scores, lambda row: row.kind, 0.5),
    }


def shares(
    rows: list[Row], scores: np.ndarray, name: Callable[[Row], str], threshold: float
) -> dict[str, dict[str, tuple[float, int]]]:
    """By name, the share of texts whose score reaches the threshold, and how many texts there are."""
    found: dict[str, dict[str, list[bool]]] = {}
    least = np.log(threshold / (1 - threshold))
    for row, score in zip(rows, scores, strict=True):
        side = "found" if row.positive else "false alarms"
        found.setdefault(name(row), {}).setdefault(side, []).append(bool(score >= least))
    return {
        key: {side: (round(sum(hits) / len(hits), 4), len(hits)) for side, hits in sides.items()}
        for key, sides in sorted(found.items())
    }


def measure_unread(messages: list[int], replies: list[int]) -> None:
    """Share found by the package as it is of all texts of each author, the tenth kept aside among them.

    What was measured of other authors before they were learned from stays in the file.
    """
    from soulchatcorpus.care.crisis import find_crisis
    from soulchatcorpus.care.replies import find_self_harm

    before = json.loads(UNREAD.read_text(encoding="utf-8"))["unread"]
    measured = {
        name: before[name] | {f"author {author}": _by_kind(_texts_of(name, author), find) for author in authors}
        for name, authors, find in (("crisis", messages, find_crisis), ("replies", replies, find_self_harm))
    }
    write_results("care_unread", circumstances("numpy") | {"unread": measured})


def _texts_of(name: str, author: int) -> Iterator[Labelled]:
    for path in (*sorted(DATA.glob(f"{name}-train*.jsonl")), DATA / f"{name}-test.jsonl"):
        lines = path.read_text(encoding="utf-8").splitlines()
        for row, line in zip(read_labelled(path), lines, strict=True):
            if json.loads(line)["author"] == author:
                yield row


def _by_kind(rows: Iterable[Labelled], find: Callable[[str], object]) -> dict[str, dict[str, tuple[float, int]]]:
    return {
        kind or "all": {
            side: (round(hits / texts, 4), texts)
            for side, hits, texts in (
                ("found", counts.found, counts.positive),
                ("false alarms", counts.false_alarms, counts.negative),
            )
            if texts
        }
        for kind, counts in count(rows, find).items()
    }


def measure_time() -> None:
    """Microseconds for a message of 50 characters, and to the first piece of a reply of 200 tokens."""
    from soulchatcorpus.care.crisis import find_crisis
    from soulchatcorpus.care.replies import HeldStream

    message = "我最近总觉得自己很焦虑，身心俱疲。不知道该怎么办，活着真的好累，有时候想一觉睡过去再也不要醒来了"
    calm = "我最近总觉得自己很焦虑，身心俱疲。不知道该怎么办，工作真的好累，有时候想请一个长假去海边走一走再说"
    reply = list("听起来你最近承受了很多压力，谢谢你愿意告诉我。我想多听你说一说，这些天里最难熬的是哪个时候？" * 5)[
        :200
    ]

    def judge_two(text: str) -> Callable[[], object]:
        """Judges two messages in turn, for the detector remembers the last one."""
        texts = cycle((text, text[1:] + text[0]))
        return lambda: find_crisis(next(texts))

    def stream() -> int:
        """Tokens until the first piece comes."""
        held = HeldStream()
        pieces = [bool(held.feed(token)) for token in reply]
        held.finish()
        return pieces.index(True) + 1

    write_results(
        "care_time",
        circumstances("numpy")
        | {
            "microseconds for a message without a finding": _microseconds(judge_two(calm)),
            "microseconds for a message with a finding": _microseconds(judge_two(message)),
            "microseconds for a reply of 200 tokens": _microseconds(stream),
            "tokens until the first piece": {"with care": stream(), "without care": 1},
        },
    )


def _microseconds(call: Callable[[], object]) -> float:
    """The least CPU time of a call, of 7 rounds of 300."""
    rounds = []
    for _ in range(7):
        start = time.process_time()
        for _ in range(300):
            call()
        rounds.append((time.process_time() - start) / 300 * 1e6)
    return round(min(rounds), 1)


def write_simplified() -> None:
    """soulchatcorpus/care/simplified.txt from opencc's conversions of single characters."""
    import opencc

    converters = [opencc.OpenCC(name) for name in ("t2s", "tw2s", "hk2s")]
    pairs = dict(_pairs(converters, range(0x3400, 0xA000)))
    simplified = set(pairs.values())
    text = "".join(key + value for key, value in sorted(pairs.items()) if key not in simplified)
    path = CARE / "simplified.txt"
    head = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    rows = [text[start : start + 76] for start in range(0, len(text), 76)]
    path.write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")


def _pairs(converters: list[Any], places: range) -> Iterator[tuple[str, str]]:
    for character in map(chr, places):
        for converter in converters:
            plain = converter.convert(character)
            if plain != character and len(plain) == 1 and ord(plain) < 0x10000:
                yield character, plain
                break


if __name__ == "__main__":
    main()
