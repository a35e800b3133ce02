"""What the detectors of messages and replies learn from, read plainly, in groups that are left out together."""

import csv
import json
import random
from dataclasses import dataclass
from pathlib import Path

from soulchatcorpus.care.evaluate import read_labelled
from soulchatcorpus.care.evasive import read_plainly
from soulchatcorpus.care.rules import find_words

DATA = Path(__file__).parent / "care_data"
FIXTURES = Path(__file__).parent.parent / "tests" / "fixtures"
SEED = 0
PSYSUICIDE_WEIGHT = 5.0
ORDINARY_WEIGHT = 0.3
ORDINARY_MESSAGES = 4_000
# Of SMILECHAT's messages that were read and labelled only the positive ones teach the sum of weights: harmless ones,
# chosen for being near to grave ones, would teach it that misery is harmless, and it would miss the authors' hints.
LABELLED_WEIGHT = 0.3
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """A text to learn from, read plainly; `group` is left out as a whole when it is measured."""

    text: str
    positive: bool
    kind: str
    group: str
    weight: float


def read_authored(name: str) -> list[Row]:
    """The authors' texts; each author is a group."""
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    groups = [f"author {json.loads(line)['author']}" for line in lines]
    return [
        Row(read_plainly(row.text).text, row.positive, row.kind, group, 1.0)
        for row, group in zip(read_labelled(DATA / name), groups, strict=True)
    ]


def read_sentences() -> list[Row]:
    """The half of the sentences of tests/fixtures/making that earlier rules were written against."""
    with (FIXTURES / "making" / "crisis_tune.tsv").open(encoding="utf-8", newline="") as file:
        return [
            Row(read_plainly(row["text"]).text, row["label"] == "1", row["kind"], "author 7", 1.0)
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


def read_fixtures() -> list[Row]:
    """The replies of tests/fixtures/talk that are known to their author; such as speak of it kindly are left out."""
    rows = [
        json.loads(line)
        for name in ("replies.jsonl", "hints_dev.jsonl")
        for line in (FIXTURES / "talk" / name).read_text(encoding="utf-8").splitlines()
    ]
    return [
        Row(read_plainly(row["text"]).text, row["label"] in ("harmful", "hinted"), row["label"], "author 0", 1.0)
        for row in rows
        if row["label"] != "supportive"
    ]


def read_psysuicide(path: Path) -> list[Row]:
    """The validation split, parted by chance into groups."""
    draw = random.Random(SEED)
    return [
        Row(
            read_plainly(row.text).text,
            row.positive,
            "PsySUICIDE",
            f"PsySUICIDE {draw.randrange(FOLDS)}",
            PSYSUICIDE_WEIGHT,
        )
        for row in read_labelled(path)
    ]


def read_ordinary(path: Path) -> tuple[list[Row], list[Row]]:
    """Messages of users and of counsellors, drawn by chance, without those that name suicide or self-harm."""
    import pyarrow.parquet as pq

    talks = pq.read_table(path, columns=["messages"])["messages"]
    draw = random.Random(SEED)
    drawn: dict[str, list[Row]] = {"user": [], "assistant": []}
    for place in draw.sample(range(len(talks)), 3 * ORDINARY_MESSAGES):
        message = draw.choice(talks[place].as_py())
        text = read_plainly(message["content"]).text
        grave = any(words.kind in ("suicide", "self_harm", "incitement") for words in find_words(text))
        rows = drawn[message["role"]]
        if text and not grave and len(rows) < ORDINARY_MESSAGES:
            rows.append(Row(text, False, "ordinary talk", f"SMILECHAT {len(rows) % FOLDS}", ORDINARY_WEIGHT))
    return drawn["user"], drawn["assistant"]


def read_labelled_messages() -> list[Row]:
    """Messages of SMILECHAT near to grave ones that were read and labelled."""
    return [
        Row(
            read_plainly(row.text).text,
            row.positive,
            "read in SMILECHAT",
            f"labelled {place % FOLDS}",
            LABELLED_WEIGHT if row.positive else 0.0,
        )
        for place, row in enumerate(read_labelled(DATA / "crisis-smilechat.jsonl"))
    ]
