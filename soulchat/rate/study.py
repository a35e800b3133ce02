"""A study of ratings by people: what is rated, by whom, in which order, and the scores, in one SQLite file.

Nobody who rates learns which system wrote a reply: items have numbers that say nothing, and every rater sees them in
an order of their own (paper, section 3.3: three experts, 100 dialogues).
"""

import hashlib
import random
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

import soulchat_metrics
from hub_cards.predictions import PREDICTIONS_FILE, Prediction, read_predictions
from hub_cards.results import RESULTS_FILE, read_results
from soulchatcorpus import render_prompt
from soulchatcorpus.files import replacing, transaction

from .questions import ASPECTS, check_scores

STUDY_FILE = "ratings.sqlite"
RATERS = 3  # paper, section 3.3

_SCORE_COLUMNS = ", ".join(f"{a.name} INTEGER NOT NULL CHECK ({a.name} BETWEEN 0 AND {a.maximum})" for a in ASPECTS)
_CORRECTION = (
    f"ON CONFLICT DO UPDATE SET {', '.join(f'{a.name} = excluded.{a.name}' for a in ASPECTS)},"
    " seconds = seconds + excluded.seconds"
)
_TABLES = f"""
CREATE TABLE study (seed INTEGER NOT NULL, samples INTEGER NOT NULL);
CREATE TABLE system (name TEXT PRIMARY KEY, scores TEXT NOT NULL);
CREATE TABLE dialogue (id TEXT PRIMARY KEY, prompt TEXT NOT NULL);
CREATE TABLE item (
    number INTEGER PRIMARY KEY,
    dialogue TEXT NOT NULL REFERENCES dialogue,
    system TEXT NOT NULL REFERENCES system,
    reply TEXT NOT NULL,
    UNIQUE (dialogue, system)
);
CREATE TABLE rater (
    name TEXT PRIMARY KEY, token_sha256 TEXT NOT NULL UNIQUE, qualification TEXT NOT NULL DEFAULT '', window TEXT
);
CREATE TABLE assignment (
    rater TEXT NOT NULL REFERENCES rater,
    position INTEGER NOT NULL,
    item INTEGER NOT NULL REFERENCES item,
    PRIMARY KEY (rater, position),
    UNIQUE (rater, item)
);
CREATE TABLE rating (
    rater TEXT NOT NULL,
    item INTEGER NOT NULL,
    {_SCORE_COLUMNS},
    seconds REAL,
    PRIMARY KEY (rater, item),
    FOREIGN KEY (rater, item) REFERENCES assignment (rater, item)
);
"""


class UnknownToken(ValueError):
    """No rater has this token."""


class ClosedWindow(ValueError):
    """The rater opened another window since, or has a new token."""


@dataclass(frozen=True, slots=True)
class Item:
    """What a rater sees: a dialogue and one reply to it.

    Attributes:
        number: the item's, which says nothing of the system.
        position: its place in this rater's order, from 0.
        dialogue: the conversation so far, as the systems had it.
        reply: one system's.
        scores: by aspect, as rated before; None where not.
    """

    number: int
    position: int
    dialogue: str
    reply: str
    scores: dict[str, int] | None


@dataclass(frozen=True, slots=True)
class Rating:
    """One rater's scores of one item, with what a report needs of it; `seconds` is None where it was not measured."""

    rater: str
    item: int
    system: str
    scores: dict[str, int]
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Rater:
    """A rater, and how far they are."""

    name: str
    qualification: str
    rated: int
    assigned: int


def create_study(folders: Sequence[Path], raters: int, samples: int, seed: int, output: Path) -> dict[str, str]:
    """Sample dialogues, blind and shuffle the systems' replies, and write a new study.

    Args:
        folders: one for each system, with a predictions.jsonl; the folder's name is the system's.
        raters: how many people rate all items.
        samples: dialogues.
        seed: of the sample and of the orders.
        output: folder of the study; it must not hold one yet.

    Returns:
        Each rater's token, by name. Only its hash is kept.

    Raises:
        OSError: a folder has no predictions.jsonl, or the study is there already or cannot be written.
        ValueError: the systems did not answer the same dialogues, or there are fewer than asked for; a
            predictions.jsonl lacks rows that the results.json beside it counts.
    """
    systems = _read_systems(folders)
    if raters < 1:
        raise ValueError(f"raters is {raters}; allowed: 1 or more (the paper has {RATERS})")
    first = next(iter(systems.values()))
    if not 1 <= samples <= len(first):
        raise ValueError(f"samples is {samples}; allowed: 1 to {len(first)}, the dialogues that the systems answered")
    path = output / STUDY_FILE
    if path.exists():
        raise FileExistsError(f"{path} exists; allowed: a new folder, since a study is never overwritten")
    generator = random.Random(seed)
    chosen = generator.sample(sorted(first), samples)
    items = [(dialogue, system) for dialogue in chosen for system in systems]
    generator.shuffle(items)
    tokens = {f"rater-{number}": secrets.token_urlsafe(16) for number in range(1, raters + 1)}

    with replacing(path) as file, transaction(Path(file.name)) as database:
        database.executescript(_TABLES)
        database.execute("INSERT INTO study VALUES (?, ?)", (seed, samples))
        database.executemany("INSERT INTO system VALUES (?, ?)", [(name, _score(systems[name])) for name in systems])
        database.executemany("INSERT INTO dialogue VALUES (?, ?)", [(id_, _prompt(first[id_])) for id_ in chosen])
        database.executemany(
            "INSERT INTO item VALUES (?, ?, ?, ?)",
            [(n, *item, systems[item[1]][item[0]].prediction) for n, item in enumerate(items, start=1)],
        )
        for name, token in tokens.items():
            order = generator.sample(range(1, len(items) + 1), len(items))
            database.execute("INSERT INTO rater (name, token_sha256) VALUES (?, ?)", (name, _hash(token)))
            database.executemany("INSERT INTO assignment VALUES (?, ?, ?)", [(name, *row) for row in enumerate(order)])
    return tokens


def _read_systems(folders: Sequence[Path]) -> dict[str, dict[str, Prediction]]:
    names = [folder.resolve().name for folder in folders]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"the systems' folders are named {', '.join(names)}; allowed: one or more, each name once")
    systems = {name: _read_answers(folder) for name, folder in zip(names, folders, strict=True)}
    (first_name, first), *others = systems.items()
    for name, rows in others:
        unshared = sorted(first.keys() ^ rows.keys())
        if unshared:
            raise ValueError(
                f"{first_name} and {name} did not answer the same dialogues: {len(unshared)} ids are in one only, "
                f"for example {unshared[0]}"
            )
        other_prompt = next((id_ for id_ in first if first[id_].messages != rows[id_].messages), None)
        if other_prompt is not None:
            raise ValueError(f"{first_name} and {name} were asked different things under the id {other_prompt}")
    return systems


def _prompt(row: Prediction) -> str:
    return render_prompt([message for message in row.messages if message["role"] != "system"])


def _read_answers(folder: Path) -> dict[str, Prediction]:
    path, results = folder / PREDICTIONS_FILE, folder / RESULTS_FILE
    if not path.is_file():
        within = sorted(str(inner.parent) for inner in folder.glob(f"*/{PREDICTIONS_FILE}"))
        allowed = ", ".join(within) or "a folder of one system's replies, as soulchat benchmark run leaves it"
        raise FileNotFoundError(f"{folder} has no {PREDICTIONS_FILE}; allowed: {allowed}")
    rows = {row.id: row for row in read_predictions(path)}
    if results.is_file():
        samples = max((system.samples or 0 for system in read_results(results).systems), default=0)
        if len(rows) < samples:
            raise ValueError(f"{path} has {len(rows)} rows, {RESULTS_FILE} says {samples}: ids are missing")
    return rows


def _score(rows: dict[str, Prediction]) -> str:
    """The automatic half of Table 1 on all that the system answered, as JSON."""
    texts = [row.prediction for row in rows.values()], [row.reference for row in rows.values()]
    return orjson.dumps({**soulchat_metrics.score(*texts), "samples": len(rows)}).decode()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class RatingStudy:
    """An existing study. Every call is one transaction, so that whatever was saved stays saved.

    Every method raises OSError where the file cannot be read or written, or is no study.
    """

    def __init__(self, folder: Path) -> None:
        """Raises FileNotFoundError where the folder holds no study."""
        self.path = folder / STUDY_FILE
        if not self.path.is_file():
            raise FileNotFoundError(
                f"{self.path} does not exist; allowed: the folder of a study, as `soulchat rate create` makes it"
            )

    def renew_token(self, rater: str) -> str:
        """A new token for a rater who lost theirs; the old one ends. Raises ValueError where no rater has the name."""
        token = secrets.token_urlsafe(16)
        with transaction(self.path) as database:
            changed = database.execute(
                "UPDATE rater SET token_sha256 = ?, window = NULL WHERE name = ?", (_hash(token), rater)
            ).rowcount
        if not changed:
            raise ValueError(f"rater is {rater!r}; allowed: {', '.join(r.name for r in self.raters())}")
        return token

    def open_window(self, token: str, qualification: str) -> tuple[str, str]:
        """A rater opens the page: their name, and a key under which this window may save until another is opened.

        Args:
            token: the rater's.
            qualification: as they state it; empty leaves what they stated before.

        Raises:
            UnknownToken: no rater has this token.
        """
        window = secrets.token_urlsafe(8)
        with transaction(self.path) as database:
            row = database.execute("SELECT name FROM rater WHERE token_sha256 = ?", (_hash(token.strip()),)).fetchone()
            if row is None:
                raise UnknownToken("no rater has this token; allowed: the one that the study's owner gave you")
            database.execute("UPDATE rater SET window = ? WHERE name = ?", (window, row["name"]))
            if qualification.strip():
                database.execute(
                    "UPDATE rater SET qualification = ? WHERE name = ?", (qualification.strip(), row["name"])
                )
        return row["name"], window

    def raters(self) -> list[Rater]:
        """All raters, with how much they have rated."""
        with transaction(self.path) as database:
            rows = database.execute(
                "SELECT name, qualification, (SELECT count(*) FROM rating WHERE rater = name) AS rated,"
                " (SELECT count(*) FROM assignment WHERE rater = name) AS assigned FROM rater ORDER BY rowid"
            ).fetchall()
        return [Rater(**row) for row in rows]

    def items(self, rater: str) -> list[Item]:
        """A rater's items in their order."""
        with transaction(self.path) as database:
            return _items(database, rater)

    def items_in_window(self, rater: str, window: str) -> list[Item]:
        """The same for the page. Raises ClosedWindow where the rater opened another since, or has a new token."""
        with transaction(self.path) as database:
            _check_window(database, rater, window)
            return _items(database, rater)

    def save_from_window(
        self, rater: str, window: str, item: int, scores: Mapping[str, int | None], seconds: float
    ) -> None:
        """Save scores given on the page, in place of any before; the seconds add up over corrections.

        Raises:
            ClosedWindow: the rater opened another window since, or has a new token.
            ValueError: a score is out of range. Nothing is changed then.
        """
        with transaction(self.path) as database:
            _check_window(database, rater, window)
            _save(database, rater, item, scores, seconds)

    def save_all(self, ratings: Sequence[tuple[str, int, dict[str, int]]]) -> None:
        """Save (rater, item, scores) given elsewhere: all, or none where one is wrong or contradicts (ValueError)."""
        known = {(rating.rater, rating.item): rating.scores for rating in self.ratings()}
        with transaction(self.path) as database:
            for rater, item, scores in ratings:
                if (rater, item) not in known:
                    _save(database, rater, item, scores, None)
                elif known[rater, item] != scores:
                    raise ValueError(f"{rater}, item {item} has other scores already; allowed: the same scores again")

    def ratings(self) -> list[Rating]:
        """All ratings, by rater and item."""
        with transaction(self.path) as database:
            rows = database.execute(
                "SELECT rating.*, item.system FROM rating JOIN item ON item.number = rating.item"
                " JOIN rater ON rater.name = rating.rater ORDER BY rater.rowid, item"
            ).fetchall()
        return [Rating(row["rater"], row["item"], row["system"], _scores(row), row["seconds"]) for row in rows]

    def rated_texts(self) -> dict[int, tuple[str, str, str]]:
        """Of every item the dialogue's id, the system and its reply: for evaluation, never for raters."""
        with transaction(self.path) as database:
            rows = database.execute("SELECT number, dialogue, system, reply FROM item").fetchall()
        return {row["number"]: (row["dialogue"], row["system"], row["reply"]) for row in rows}

    def automatic_scores(self) -> dict[str, dict]:
        """Of each system what `soulchat_metrics.score` said of all its predictions, and their number (`samples`)."""
        with transaction(self.path) as database:
            rows = database.execute("SELECT name, scores FROM system ORDER BY rowid").fetchall()
        return {row["name"]: orjson.loads(row["scores"]) for row in rows}


def _items(database: sqlite3.Connection, rater: str) -> list[Item]:
    rows = database.execute(
        "SELECT * FROM assignment JOIN item ON item.number = assignment.item"
        " JOIN dialogue ON dialogue.id = item.dialogue"
        " LEFT JOIN rating ON rating.rater = assignment.rater AND rating.item = assignment.item"
        " WHERE assignment.rater = ? ORDER BY position",
        (rater,),
    )
    return [
        Item(
            row["number"],
            row["position"],
            row["prompt"],
            row["reply"],
            None if row["content"] is None else _scores(row),
        )
        for row in rows
    ]


def _check_window(database: sqlite3.Connection, rater: str, window: str) -> None:
    row = database.execute("SELECT window FROM rater WHERE name = ?", (rater,)).fetchone()
    if row["window"] != window:
        raise ClosedWindow(
            "your token was used again in another window, or replaced, so this window is closed; "
            "what it saved is kept: go on there, or reload this page"
        )


def _save(
    database: sqlite3.Connection, rater: str, item: int, scores: Mapping[str, int | None], seconds: float | None
) -> None:
    try:
        check_scores(scores)
    except ValueError as error:
        raise ValueError(f"{rater}, item {item}: {error}") from None
    try:
        database.execute(
            f"INSERT INTO rating VALUES (?, ?, ?, ?, ?, ?, ?) {_CORRECTION}",
            (rater, item, *(scores[aspect.name] for aspect in ASPECTS), seconds),
        )
    except (sqlite3.IntegrityError, OverflowError):
        raise ValueError(f"{rater}, item {item}: the study has no such rater or item") from None


def _scores(row: sqlite3.Row) -> dict[str, int]:
    return {aspect.name: row[aspect.name] for aspect in ASPECTS}
