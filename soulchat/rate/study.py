"""A study of ratings by people: what is rated, by whom, in which order, and the scores, in one SQLite file.

Nobody who rates learns which system wrote what: items have numbers that say nothing, and every rater sees them, and
the two sides of a pair, in an order of their own (paper, section 3.3: three experts, 100 dialogues).
What is asked is a rubric's: of replies, of whole talks, or of pairs of either.
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
from hub_cards.predictions import PREDICTIONS_FILE, read_predictions
from soulchat_trainer.evaluation import items as evaluation
from soulchat_trainer.evaluation.rubric import Rubric
from soulchatcorpus.files import check_new, replacing, transaction, working_in

from .draw import check_whole, draw_items

STUDY_FILE = "ratings.sqlite"
RATERS = 3  # paper, section 3.3

_TABLES = """
CREATE TABLE study (seed INTEGER NOT NULL, samples INTEGER NOT NULL, rubric TEXT NOT NULL);
CREATE TABLE system (name TEXT PRIMARY KEY, scores TEXT);
CREATE TABLE item (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    talk TEXT NOT NULL,
    history TEXT NOT NULL,
    system TEXT NOT NULL REFERENCES system,
    text TEXT NOT NULL,
    other_system TEXT REFERENCES system,
    other_text TEXT,
    UNIQUE (id, system, other_system)
);
CREATE TABLE rater (
    name TEXT PRIMARY KEY, token_sha256 TEXT NOT NULL UNIQUE, qualification TEXT NOT NULL DEFAULT '', window TEXT
);
CREATE TABLE assignment (
    rater TEXT NOT NULL REFERENCES rater,
    position INTEGER NOT NULL,
    item INTEGER NOT NULL REFERENCES item,
    turned INTEGER NOT NULL,
    PRIMARY KEY (rater, position),
    UNIQUE (rater, item)
);
CREATE TABLE rating (
    rater TEXT NOT NULL,
    item INTEGER NOT NULL,
    {score_columns},
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
    """What a rater sees.

    Attributes:
        number: the item's, which says nothing of the system.
        position: its place in this rater's order, from 0.
        history: what was said before, as the systems had it; empty where whole talks are rated.
        texts: the reply or the talk; of a pair both, in this rater's order of the two.
        scores: by aspect, as this rater gave them before; None where not.
    """

    number: int
    position: int
    history: str
    texts: tuple[str, ...]
    scores: dict[str, int] | None


@dataclass(frozen=True, slots=True)
class Rating:
    """One rater's scores of one item, with what a report needs of it.

    Attributes:
        rater, item: whose, of which number.
        systems: whose text it is; of a pair both, as the item has them.
        scores: by aspect, of a pair for the systems in this order.
        seconds: None where it was not measured.
        position: the item's place in the rater's order.
        turned: True where the rater saw the second of a pair first.
    """

    rater: str
    item: int
    systems: tuple[str, ...]
    scores: dict[str, int]
    seconds: float | None
    position: int
    turned: bool


@dataclass(frozen=True, slots=True)
class Rater:
    """A rater, and how far they are."""

    name: str
    qualification: str
    rated: int
    assigned: int


def create_study(
    sources: Sequence[Path], raters: int, samples: int, seed: int, output: Path, rubric: Rubric
) -> dict[str, str]:
    """Make a study of what systems said.

    Args:
        sources: one for each system, as `evaluation.items.read_items` takes them; the folder's name is the system's.
        raters: how many people rate all items.
        samples: dialogues. Of whole talks of systems that share no dialogue, and of replies in talks that went their
            own ways (of simulated clients), so many of each.
        seed: of the sample and of the orders.
        output: folder of the study; it must not hold one yet.
        rubric: what is asked.

    Returns:
        Each rater's token, by name. Only its hash is kept.

    Raises:
        OSError: a source is not there, or the study is there already, is being made or cannot be written.
        ValueError: the systems did not answer the same dialogues, or there are fewer than asked for; a
            predictions.jsonl lacks rows that the results.json beside it counts.
    """
    if raters < 1:
        raise ValueError(f"raters is {raters}; allowed: 1 or more (the paper has {RATERS})")
    with working_in(output, "soulchat rate create"):
        path = output / STUDY_FILE
        check_new(path, "a new folder, since a study is never overwritten")
        return _create_study(sources, raters, samples, seed, path, rubric)


def _create_study(
    sources: Sequence[Path], raters: int, samples: int, seed: int, path: Path, rubric: Rubric
) -> dict[str, str]:
    generator = random.Random(seed)
    for source in sources:
        check_whole(source)
    are_talks = not any((source / PREDICTIONS_FILE).is_file() for source in evaluation.named_sources(sources).values())
    items = draw_items(evaluation.read_items(sources, rubric.judged), samples, generator, are_talks)
    generator.shuffle(items)
    tokens = {f"rater-{number}": secrets.token_urlsafe(16) for number in range(1, raters + 1)}

    with replacing(path) as file, transaction(Path(file.name)) as database:
        database.executescript(_TABLES.format(score_columns=_score_columns(rubric)))
        database.execute("INSERT INTO study VALUES (?, ?, ?)", (seed, samples, rubric.model_dump_json()))
        database.executemany("INSERT INTO system VALUES (?, ?)", _automatic(sources))
        database.executemany(
            "INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (n, item.id, item.talk, item.history, *_sides(item.systems[0], item.texts[0], item))
                for n, item in enumerate(items, start=1)
            ],
        )
        for name, token in tokens.items():
            order = generator.sample(range(1, len(items) + 1), len(items))
            turned = [rubric.judged == "pair" and generator.random() < 0.5 for _ in order]
            database.execute("INSERT INTO rater (name, token_sha256) VALUES (?, ?)", (name, _hash(token)))
            database.executemany(
                "INSERT INTO assignment VALUES (?, ?, ?, ?)",
                [(name, position, *row) for position, row in enumerate(zip(order, turned, strict=True))],
            )
    return tokens


def _score_columns(rubric: Rubric) -> str:
    return ", ".join(
        f'"{a.name}" INTEGER NOT NULL CHECK ("{a.name}" BETWEEN {a.minimum} AND {a.maximum})' for a in rubric.aspects
    )


def _sides(system: str, text: str, item: evaluation.Item) -> tuple[str | None, ...]:
    others = (item.systems[1], item.texts[1]) if len(item.systems) == 2 else (None, None)
    return system, text, *others


def _automatic(sources: Sequence[Path]) -> list[tuple[str, str | None]]:
    """Each system, with the automatic half of Table 1 on all that it answered (JSON) where there are references."""
    systems: list[tuple[str, str | None]] = []
    for name, source in evaluation.named_sources(sources).items():
        scores = None
        if (source / PREDICTIONS_FILE).is_file():
            rows = read_predictions(source / PREDICTIONS_FILE)
            found = soulchat_metrics.score([row.prediction for row in rows], [row.reference for row in rows])
            scores = orjson.dumps({**found, "samples": len(rows)}).decode()
        systems.append((name, scores))
    return systems


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class RatingStudy:
    """An existing study. Every call is one transaction, so that whatever was saved stays saved.

    Attributes:
        path: its file.
        rubric: what is asked.

    Every method raises OSError where the file cannot be read or written, or is no study.
    """

    def __init__(self, folder: Path) -> None:
        """Raises FileNotFoundError where the folder holds no study, OSError where its file is another one."""
        self.path = folder / STUDY_FILE
        if not self.path.is_file():
            raise FileNotFoundError(
                f"{self.path} does not exist; allowed: the folder of a study, as `soulchat rate create` makes it"
            )

        with transaction(self.path) as database:
            row = database.execute("SELECT rubric FROM study").fetchone()
        self.rubric = Rubric.model_validate_json(row["rubric"])

    def renew_token(self, rater: str) -> str:
        """A new token for a rater who lost theirs; the old one ends. Raises ValueError where no rater has the name."""
        self._check_rater(rater)
        token = secrets.token_urlsafe(16)
        with transaction(self.path) as database:
            database.execute("UPDATE rater SET token_sha256 = ?, window = NULL WHERE name = ?", (_hash(token), rater))
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
        """A rater's items in their order. Raises ValueError where no rater has the name."""
        self._check_rater(rater)
        with transaction(self.path) as database:
            return self._items(database, rater)

    def items_in_window(self, rater: str, window: str) -> list[Item]:
        """The same for the page. Raises ClosedWindow where the rater opened another since, or has a new token."""
        with transaction(self.path) as database:
            _check_window(database, rater, window)
            return self._items(database, rater)

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
            _save(database, self.rubric, rater, item, scores, seconds)

    def save_all(self, ratings: Sequence[tuple[str, int, dict[str, int]]]) -> None:
        """Save (rater, item, scores) given elsewhere: all, or none where one is wrong or contradicts (ValueError)."""
        known = {(rater.name, item.number): item.scores for rater in self.raters() for item in self.items(rater.name)}
        with transaction(self.path) as database:
            for rater, item, scores in ratings:
                if (rater, item) not in known:
                    raise ValueError(
                        f"rater {rater!r}, item {item} is not in the study; allowed: "
                        f"{', '.join(dict.fromkeys(name for name, _ in known))}, items 1 to {max(n for _, n in known)}"
                    )
                if known[rater, item] is None:
                    _save(database, self.rubric, rater, item, scores, None)
                elif known[rater, item] != scores:
                    raise ValueError(f"{rater}, item {item} has other scores already; allowed: the same scores again")

    def ratings(self) -> list[Rating]:
        """All ratings, by rater and item."""
        with transaction(self.path) as database:
            rows = database.execute(
                "SELECT rating.*, system, other_system, position, turned FROM rating"
                " JOIN item ON item.number = rating.item JOIN assignment USING (rater, item)"
                " JOIN rater ON rater.name = rating.rater ORDER BY rater.rowid, item.number"
            ).fetchall()
        return [
            Rating(
                row["rater"],
                row["item"],
                _given(row["system"], row["other_system"]),
                self._scores(row),
                row["seconds"],
                row["position"],
                bool(row["turned"]),
            )
            for row in rows
        ]

    def some_ratings(self) -> list[Rating]:
        """`ratings`; raises ValueError where there are none."""
        ratings = self.ratings()
        if not ratings:
            raise ValueError(f"{self.path} has no ratings yet; allowed: a study with at least one rating")
        return ratings

    def automatic_scores(self) -> dict[str, dict | None]:
        """Of each system what `soulchat_metrics.score` said of all its predictions, and their number (`samples`).

        None for a system whose talks have no references.
        """
        with transaction(self.path) as database:
            rows = database.execute("SELECT name, scores FROM system ORDER BY rowid").fetchall()
        return {row["name"]: None if row["scores"] is None else orjson.loads(row["scores"]) for row in rows}

    def rated(self) -> list[evaluation.Scored]:
        """What was rated, in the order of the items, with its scores by rater. Raises ValueError where nothing was."""
        scores: dict[int, dict[str, dict[str, int]]] = {}
        for rating in self.some_ratings():
            scores.setdefault(rating.item, {})[rating.rater] = rating.scores
        things = self.things()
        return [(things[number], given) for number, given in sorted(scores.items())]

    def things(self) -> dict[int, evaluation.Item]:
        """What is to be rated, by the items' numbers, with ids and systems: for reports and judges, not for raters."""
        with transaction(self.path) as database:
            rows = database.execute("SELECT * FROM item ORDER BY number").fetchall()
        return {
            row["number"]: evaluation.Item(
                row["id"],
                row["talk"],
                _given(row["system"], row["other_system"]),
                row["history"],
                _given(row["text"], row["other_text"]),
            )
            for row in rows
        }

    def _check_rater(self, rater: str) -> None:
        names = [known.name for known in self.raters()]
        if rater not in names:
            raise ValueError(f"rater is {rater!r}; allowed: {', '.join(names)}")

    def _items(self, database: sqlite3.Connection, rater: str) -> list[Item]:
        rows = database.execute(
            "SELECT * FROM assignment JOIN item ON item.number = assignment.item"
            " LEFT JOIN rating ON rating.rater = assignment.rater AND rating.item = assignment.item"
            " WHERE assignment.rater = ? ORDER BY position",
            (rater,),
        )
        items = []
        for row in rows:
            texts = _given(row["text"], row["other_text"])
            scores = None if row[self.rubric.aspects[0].name] is None else self._scores(row)
            if row["turned"]:
                texts, scores = texts[::-1], None if scores is None else self.rubric.turn_round(scores)
            items.append(Item(row["number"], row["position"], row["history"], texts, scores))
        return items

    def _scores(self, row: sqlite3.Row) -> dict[str, int]:
        return {aspect.name: row[aspect.name] for aspect in self.rubric.aspects}


def _given(one: str, other: str | None) -> tuple[str, ...]:
    return (one,) if other is None else (one, other)


def _check_window(database: sqlite3.Connection, rater: str, window: str) -> None:
    row = database.execute("SELECT window FROM rater WHERE name = ?", (rater,)).fetchone()
    if row["window"] != window:
        raise ClosedWindow(
            "your token was used again in another window, or replaced, so this window is closed; "
            "what it saved is kept: go on there, or reload this page"
        )


def _save(
    database: sqlite3.Connection,
    rubric: Rubric,
    rater: str,
    item: int,
    scores: Mapping[str, int | None],
    seconds: float | None,
) -> None:
    """Save scores as the rater gave them, in their order of a pair; they are kept in the item's."""
    try:
        rubric.check_scores(scores)
    except ValueError as error:
        raise ValueError(f"{rater}, item {item}: {error}") from None
    given = {aspect.name: int(scores[aspect.name] or 0) for aspect in rubric.aspects}
    names = [f'"{name}"' for name in given]
    correction = ", ".join(f"{name} = excluded.{name}" for name in names)
    try:
        row = database.execute("SELECT turned FROM assignment WHERE rater = ? AND item = ?", (rater, item)).fetchone()
        if row is not None and row["turned"]:
            given = rubric.turn_round(given)
        database.execute(
            f"INSERT INTO rating (rater, item, {', '.join(names)}, seconds)"
            f" VALUES (?, ?, {', '.join('?' for _ in names)}, ?)"
            f" ON CONFLICT DO UPDATE SET {correction}, seconds = seconds + excluded.seconds",
            (rater, item, *given.values(), seconds),
        )
    except (sqlite3.IntegrityError, OverflowError):
        raise ValueError(f"{rater}, item {item}: the study has no such rater or item") from None
