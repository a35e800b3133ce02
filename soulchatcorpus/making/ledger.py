"""The ledger of a rewriting: a SQLite file with one row for every request, written as soon as its outcome is known.

It is what makes a run safe to kill: a reply that is in the ledger is never asked for, nor paid, again.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path

SCHEMA_VERSION = "2"

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE requests (
    number INTEGER PRIMARY KEY,
    record_id TEXT NOT NULL,        -- the question record's
    content TEXT NOT NULL,          -- hash of what was asked: prompt, question, answer
    prompt TEXT NOT NULL,           -- prompt version
    model TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('accepted', 'rejected', 'error', 'retried')),
    reason TEXT,                    -- why it is not accepted
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cost REAL NOT NULL,             -- in the currency of the prices given
    finish_reason TEXT,
    started REAL NOT NULL,          -- Unix time
    seconds REAL NOT NULL,
    reply TEXT,                     -- raw, as it came
    detail TEXT                     -- what the endpoint said of a request that it refused
);
CREATE INDEX requests_by_record ON requests (record_id, content);
"""


@dataclass(slots=True)
class Entry:
    """One request and its outcome; the columns of the table `requests` but its number."""

    record_id: str
    content: str
    prompt: str
    model: str
    status: str
    reason: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    finish_reason: str | None = None
    started: float = 0.0
    seconds: float = 0.0
    reply: str | None = None
    detail: str | None = None


_NAMES = [field.name for field in fields(Entry)]
_COLUMNS = ", ".join(_NAMES)
_PLACES = ", ".join("?" * len(_NAMES))
_values = attrgetter(*_NAMES)


class Ledger:
    """The ledger file of one output folder; made where it is not there yet.

    Raises:
        ValueError: the file is a ledger of another version, or no ledger.
        OSError: here and in every method: it cannot be read or written, as on a full disk.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        try:
            self._database = sqlite3.connect(path, isolation_level=None)
            self._open()
        except sqlite3.OperationalError as error:
            raise self._error(error) from None
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{path}: not a ledger ({error}); name another `out` folder") from None

    def _open(self) -> None:
        # Write-ahead logging: a commit survives the death of the process and costs one append.
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute("BEGIN IMMEDIATE")
        tables = {name for (name,) in self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables:
            for statement in _SCHEMA.split(";\n"):
                self._database.execute(statement)
            self.set_meta("schema_version", SCHEMA_VERSION)
        self._database.execute("COMMIT")
        if tables and not {"meta", "requests"} <= tables:
            raise ValueError(f"{self.path}: not a ledger, but another database; name another `out` folder")
        found = self.get_meta("schema_version")
        if found != SCHEMA_VERSION:
            raise ValueError(
                f"{self.path}: a ledger of version {found}, this soulchat reads version {SCHEMA_VERSION}; "
                "nothing was changed in it; name another `out` folder"
            )

    def _execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)
        except sqlite3.IntegrityError:  # a mistake of the caller
            raise
        except sqlite3.DatabaseError as error:
            raise self._error(error) from None

    def _error(self, error: sqlite3.DatabaseError) -> OSError:
        return OSError(f"{self.path}: {error}; what was written before is kept, run again to go on")

    def get_meta(self, key: str) -> str | None:
        row = self._execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def set_meta(self, key: str, value: str) -> None:
        self._execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def add(self, entry: Entry) -> None:
        """Write one row; it is on the file when this returns."""
        self._execute(f"INSERT INTO requests ({_COLUMNS}) VALUES ({_PLACES})", _values(entry))

    def find_final(self, record_id: str, content: str) -> Entry | None:
        """The accepted or rejected outcome of a record, if there is one."""
        row = self._execute(
            f"SELECT {_COLUMNS} FROM requests WHERE record_id = ? AND content = ? "
            "AND status IN ('accepted', 'rejected') ORDER BY number DESC LIMIT 1",
            (record_id, content),
        ).fetchone()
        return Entry(*row) if row else None

    def reopen_rejected(self) -> int:
        """Let every rejected record be asked for again; returns how many."""
        return self._execute("UPDATE requests SET status = 'retried' WHERE status = 'rejected'").rowcount

    def replies(self) -> Iterator[tuple[int, Entry]]:
        """(number, entry) of every final row with a completion, a few in memory; they may be judged meanwhile."""
        query = (
            f"SELECT number, {_COLUMNS} FROM requests WHERE status IN ('accepted', 'rejected') AND reply IS NOT NULL "
            "AND reason IS NOT 'malformed' AND number > ? ORDER BY number LIMIT 1000"
        )
        last = 0
        while rows := self._execute(query, (last,)).fetchall():
            for last, *values in rows:
                yield last, Entry(*values)

    def judge(self, number: int, status: str, reason: str | None) -> None:
        """Change the verdict of a stored reply, where it is parsed by other rules than before."""
        self._execute("UPDATE requests SET status = ?, reason = ? WHERE number = ?", (status, reason, number))

    def totals(self) -> dict[str, float]:
        """Requests, tokens and cost over all rows."""
        row = self._execute(
            "SELECT count(*), total(prompt_tokens), total(completion_tokens), total(cost) FROM requests"
        ).fetchone()
        return {"requests": row[0], "prompt_tokens": int(row[1]), "completion_tokens": int(row[2]), "cost": row[3]}

    def close(self) -> None:
        self._database.close()


def now() -> float:
    """Unix time, as the ledger writes it."""
    return time.time()
