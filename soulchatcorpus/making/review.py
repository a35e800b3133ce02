"""The proofreading's store: a queue of records for several people, their decisions, and a log of who changed what.

Several reviewers (threads or processes) work on one SQLite file: an item is handed out under a transaction and a
lease, and never to two at once. Reviewers are known by ids such as r1, not by names.
"""

import re
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import orjson

from ..files import replacing, to_line, transaction, working_in, write_json, write_lines
from .options import ReviewOptions
from .records import (
    NEEDED,
    Kind,
    Record,
    find_fault,
    find_file,
    passages,
    read_pipeline_records,
    result_file,
)

Decision = Literal["keep", "edit", "remove"]
DECISIONS: tuple[Decision, ...] = ("keep", "edit", "remove")
_DECISION_KEYS = {"id", "reviewer", "decision", "reason", "record", "at"}
LEASE_SECONDS = 1800  # an item left open for longer than this goes to another reviewer
SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE items (
    place INTEGER PRIMARY KEY,      -- in the queue
    id TEXT NOT NULL UNIQUE,        -- the record's
    record BLOB NOT NULL,           -- as it came
    why TEXT NOT NULL,              -- 'flagged' or 'sampled'
    readers INTEGER NOT NULL        -- how many reviewers are to decide: 1, or 2 where it is shared
);
CREATE TABLE claims (
    id TEXT NOT NULL, reviewer TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (id, reviewer)
);
CREATE TABLE decisions (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, reviewer TEXT NOT NULL, decision TEXT NOT NULL,
    reason TEXT NOT NULL, record BLOB, at REAL NOT NULL, UNIQUE (id, reviewer)
);
CREATE TABLE audit (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, reviewer TEXT NOT NULL, action TEXT NOT NULL,
    id TEXT NOT NULL, reason TEXT NOT NULL, before BLOB, after BLOB
);
"""
_REVIEWER = re.compile(r"[A-Za-z0-9_-]{1,16}")


@dataclass(slots=True, frozen=True)
class Item:
    """A record to be decided on, and why it is in the queue."""

    id: str
    record: Record
    why: str


@dataclass(slots=True, frozen=True)
class Standing:
    """Progress: decisions made, decisions needed, and how many one reviewer has made."""

    done: int
    total: int
    own: int


class ReviewStore:
    """The queue in `DIR/review.sqlite`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        with transaction(self.path) as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in filter(str.strip, _SCHEMA.split(";\n")):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise ValueError(
                    f"{path}: a review of version {version}, this soulchat reads version {SCHEMA_VERSION}"
                )

    def fill(self, source: Path, options: ReviewOptions) -> int:
        """Queue the records of `source` that the options select; returns how many are queued.

        Drawn by a hash of the id, so a second call adds nothing. A record whose text has changed since is read anew:
        nobody has decided on what it says now. One that is no longer in `source` waits for nobody.

        Raises:
            OSError: another run is at work in the review's folder.
        """
        with working_in(self.path.parent, "soulchat corpus review"), transaction(self.path) as database:
            database.execute("CREATE TEMP TABLE here (id TEXT PRIMARY KEY)")
            for record in read_pipeline_records(find_file(source), "relabel"):
                database.execute("INSERT INTO here VALUES (?)", (record["id"],))
                _forget_changed(database, record)
                flagged = options.flagged and bool(record.get("flags"))
                if flagged or _draw(record, "sample") < options.sample:
                    why = "flagged" if flagged else "sampled"
                    readers = 2 if _draw(record, "shared") < options.shared else 1
                    database.execute(
                        "INSERT INTO items (id, record, why, readers) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
                        "SET record = excluded.record, why = excluded.why, readers = excluded.readers",
                        (record["id"], orjson.dumps(record), why, readers),
                    )
            database.execute("UPDATE items SET readers = 0 WHERE id NOT IN (SELECT id FROM here)")
            return database.execute("SELECT count(*) FROM items WHERE readers > 0").fetchone()[0]

    def claim(self, reviewer: str) -> Item | None:
        """The next item for a reviewer: the one they have open, or the first that still needs one; None at the end.

        Raises:
            ValueError: a reviewer id that is not up to 16 letters, digits, - and _.
        """
        _check_reviewer(reviewer)
        now = time.time()
        with transaction(self.path) as database:
            database.execute("DELETE FROM claims WHERE at < ?", (now - LEASE_SECONDS,))
            row = database.execute(
                """
                SELECT id, record, why FROM items
                WHERE NOT EXISTS (SELECT 1 FROM decisions d WHERE d.id = items.id AND d.reviewer = :reviewer)
                AND (SELECT count(*) FROM decisions d WHERE d.id = items.id)
                  + (SELECT count(*) FROM claims c WHERE c.id = items.id AND c.reviewer != :reviewer) < readers
                ORDER BY EXISTS (SELECT 1 FROM claims c WHERE c.id = items.id AND c.reviewer = :reviewer) DESC, place
                LIMIT 1
                """,
                {"reviewer": reviewer},
            ).fetchone()
            if row is None:
                return None
            database.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", (row[0], reviewer, now))
            return Item(row[0], orjson.loads(row[1]), row[2])

    def decide(
        self, reviewer: str, id_: str, decision: Decision, reason: str = "", edited: Record | None = None
    ) -> None:
        """Record a reviewer's decision on an item that they have claimed.

        Raises:
            ValueError: an unknown decision, a removal without a reason, an edit without a record, or no claim.
        """
        _check_decision(reviewer, decision, reason, edited)
        with transaction(self.path) as database:
            claimed = database.execute(
                "SELECT 1 FROM claims WHERE id = ? AND reviewer = ?", (id_, reviewer)
            ).fetchone()
            if not claimed:
                raise ValueError(
                    f"item {id_!r} is not open for {reviewer}: it was open too long and went to somebody else"
                )
            before = database.execute("SELECT record FROM items WHERE id = ?", (id_,)).fetchone()[0]
            after = orjson.dumps(edited) if edited else None
            database.execute("DELETE FROM claims WHERE id = ? AND reviewer = ?", (id_, reviewer))
            row = (id_, reviewer, decision, reason.strip(), after, time.time())
            columns = "(id, reviewer, decision, reason, record, at)"
            database.execute(f"INSERT INTO decisions {columns} VALUES (?, ?, ?, ?, ?, ?)", row)
            _log(database, reviewer, decision, id_, reason.strip(), before if edited else None, after)

    def undo(self, reviewer: str) -> str | None:
        """Take back the reviewer's last decision and open its item for them again. Returns the item's id."""
        with transaction(self.path) as database:
            query = "SELECT number, id FROM decisions WHERE reviewer = ? ORDER BY number DESC LIMIT 1"
            row = database.execute(query, (reviewer,)).fetchone()
            if row is None:
                return None
            database.execute("DELETE FROM claims WHERE reviewer = ?", (reviewer,))
            database.execute("DELETE FROM decisions WHERE number = ?", (row[0],))
            database.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", (row[1], reviewer, time.time()))
            _log(database, reviewer, "undo", row[1], "", None, None)
            return row[1]

    def standing(self, reviewer: str = "") -> Standing:
        """Progress of the queue and of one reviewer."""
        with transaction(self.path) as database:
            # An import can bring more decisions on an item than it needs; the surplus does not count for other items.
            done, total = database.execute(
                "SELECT coalesce(sum(min(readers, (SELECT count(*) FROM decisions AS d WHERE d.id = items.id))), 0), "
                "coalesce(sum(readers), 0) FROM items"
            ).fetchone()
            query = "SELECT count(*) FROM decisions WHERE reviewer = ?"
            own = database.execute(query, (reviewer,)).fetchone()[0]
        return Standing(done, total, own)

    def agreement(self) -> dict[str, float | int]:
        """How two reviewers agree on the shared items: the share of equal decisions, and Cohen's kappa."""
        with transaction(self.path) as database:
            pairs = database.execute(
                "SELECT a.decision, b.decision FROM decisions a JOIN decisions b "
                "ON a.id = b.id AND a.reviewer < b.reviewer"
            ).fetchall()
        if not pairs:
            return {"items": 0}
        share = sum(one == two for one, two in pairs) / len(pairs)
        first, second = (Counter(side) for side in zip(*pairs, strict=True))
        chance = sum(first[decision] * second[decision] for decision in DECISIONS) / len(pairs) ** 2
        kappa = 1.0 if chance == 1 else (share - chance) / (1 - chance)
        return {"items": len(pairs), "agreement": share, "kappa": kappa}

    def import_decisions(self, path: Path) -> int:
        """Take over a decisions.jsonl from elsewhere for the items queued here; returns how many were new.

        Raises:
            ValueError: a line is no decision, or its edit none of the item; nothing is taken over then.
        """
        new = 0
        with transaction(self.path) as database:
            for number, line in enumerate(path.read_bytes().splitlines(), start=1):
                where = f"{path}, line {number}"
                row = _read_decision(line, where)
                item = database.execute("SELECT record FROM items WHERE id = ?", (row["id"],)).fetchone()
                if item is None:
                    continue
                record = None
                if row["decision"] == "edit":
                    _check_edit(row["record"], orjson.loads(item[0]), where)
                    record = orjson.dumps(row["record"])
                added = database.execute(
                    "INSERT OR IGNORE INTO decisions (id, reviewer, decision, reason, record, at) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (row["id"], row["reviewer"], row["decision"], row["reason"], record, row["at"]),
                ).rowcount
                if added:
                    new += 1
                    before = item[0] if record else None
                    action = f"import {row['decision']}"
                    _log(database, row["reviewer"], action, row["id"], row["reason"], before, record)
        return new

    def export(self, source: Path, out: Path) -> dict:
        """Write what the decisions make of `source`: the kept records, removed.jsonl, decisions.jsonl, audit.jsonl and
        report.json, which is returned. Where two disagree, one removal removes; of two edits the later stands.
        """
        with working_in(out, "soulchat corpus review"):
            return self._export(find_file(source), out)

    def _export(self, file: Path, out: Path) -> dict:
        counts = Counter({"read": 0, "keep": 0, "edit": 0, "remove": 0, "not_reviewed": 0})
        decisions = self._rows("decisions", "id, reviewer, decision, reason, record, at")
        by_id: dict[str, list[dict]] = {}
        for row in decisions:
            by_id.setdefault(row["id"], []).append(row)
        with replacing(result_file(file, out)) as kept, replacing(out / "removed.jsonl") as removed:
            for record in read_pipeline_records(file, "relabel"):
                outcome = _outcome(by_id.get(record["id"], []))
                counts["read"] += 1
                counts[outcome["decision"] if outcome else "not_reviewed"] += 1
                if outcome and outcome["decision"] == "remove":
                    told = {"id": record["id"], "reason": outcome["reason"], "reviewer": outcome["reviewer"]}
                    removed.write(to_line(told))
                    continue
                if outcome:
                    record = outcome["record"] or record
                    note = {"reviewer_decision": outcome["decision"], "reviewer": outcome["reviewer"]}
                    record["provenance"] = (record.get("provenance") or {}) | note
                kept.write(to_line(record))
        write_lines(out / "decisions.jsonl", decisions)
        write_lines(
            out / "audit.jsonl", self._rows("audit", "number, at, reviewer, action, id, reason, before, after")
        )
        standing = self.standing()
        report = {**counts, "decisions": standing.done, "wanted": standing.total, "shared": self.agreement()}
        write_json(out / "report.json", report)
        return report

    def _rows(self, table: str, columns: str) -> list[dict]:
        with transaction(self.path) as database:
            rows = database.execute(f"SELECT {columns} FROM {table} ORDER BY number").fetchall()
        return [
            {name: orjson.loads(value) if isinstance(value, bytes) else value for name, value in dict(row).items()}
            for row in rows
        ]


def _draw(record: Record, purpose: str) -> float:
    """A number in [0, 1) that depends on the record's id alone."""
    return int.from_bytes(blake2b(f"{purpose}/{record['id']}".encode(), digest_size=6).digest(), "big") / 2**48


def _forget_changed(database: sqlite3.Connection, record: Record) -> None:
    """Take an item and what was decided on it out of the queue where the record's text is no longer the one read."""
    row = database.execute("SELECT record FROM items WHERE id = ?", (record["id"],)).fetchone()
    if row is None or passages(orjson.loads(row[0])) == passages(record):
        return
    decided = database.execute("DELETE FROM decisions WHERE id = ?", (record["id"],)).rowcount
    for table in ("claims", "items"):
        database.execute(f"DELETE FROM {table} WHERE id = ?", (record["id"],))
    if decided:
        _log(database, "", "reopen", record["id"], "the text has changed", row[0], orjson.dumps(record))


def _log(
    database: sqlite3.Connection,
    reviewer: str,
    action: str,
    id_: str,
    reason: str,
    before: bytes | None,
    after: bytes | None,
) -> None:
    row = (time.time(), reviewer, action, id_, reason, before, after)
    columns = "(at, reviewer, action, id, reason, before, after)"
    database.execute(f"INSERT INTO audit {columns} VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def _check_reviewer(reviewer: str) -> None:
    if not _REVIEWER.fullmatch(reviewer):
        raise ValueError(f"reviewer is {reviewer!r}; allowed: an id of up to 16 letters, digits, - and _, no name")


def _check_decision(reviewer: str, decision: str, reason: str, edited: Record | None) -> None:
    _check_reviewer(reviewer)
    if decision not in DECISIONS:
        raise ValueError(f"decision is {decision!r}; allowed: {', '.join(DECISIONS)}")
    if decision == "remove" and not reason.strip():
        raise ValueError("reason is empty; allowed: text, since a removal needs one")
    if (decision == "edit") != (edited is not None):
        raise ValueError("an edit, and only an edit, comes with the edited record")


def _read_decision(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{where}: not JSON ({error})") from None
    if not isinstance(row, dict) or not row.keys() >= _DECISION_KEYS:
        raise ValueError(f"{where}: a decision has {', '.join(sorted(_DECISION_KEYS))}")
    if not all(isinstance(row[name], str) for name in ("id", "reviewer", "decision", "reason")):
        raise ValueError(f"{where}: id, reviewer, decision and reason are not all text")
    if not isinstance(row["at"], int | float):
        raise ValueError(f"{where}: at is {row['at']!r}; allowed: a Unix time")
    try:
        _check_decision(row["reviewer"], row["decision"], row["reason"], row["record"])
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return row


def _check_edit(edited: Any, before: Record, where: str) -> None:
    """Raise `ValueError` where an edited record from elsewhere is none of the item `before`."""
    kind: Kind = "conversations" if "messages" in before else "questions"
    needed = NEEDED[kind]
    if not isinstance(edited, dict) or not edited.keys() >= set(needed) or edited["id"] != before["id"]:
        raise ValueError(f"{where}: the edited record is none of {before['id']!r} with {', '.join(needed)}")
    if problem := find_fault(edited, kind):
        raise ValueError(f"{where}: the edited record: {problem}")


def _outcome(decisions: list[dict]) -> dict | None:
    """The decision that stands among those on one item: a removal, else the latest edit, else keeping."""
    for wanted in ("remove", "edit", "keep"):
        for decision in reversed(decisions):
            if decision["decision"] == wanted:
                return decision
    return None
