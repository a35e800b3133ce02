"""Replies on disk as they come, so that a benchmark that was stopped goes on where it was."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from soulchatcorpus.files import replacing

from ..generation.engine import Reply

SETTINGS_FILE = "settings.json"
REPLY_KEYS = ("id", "text", "finished", "num_tokens", "thoughts", "seconds")


class Journal:
    """Replies by turn id in a folder; every process of a run appends to a file of its own.

    Args:
        folder: of one system's results.
        settings: whatever decides the replies; a folder made with other settings is refused.
        rank: number of this process.
        renew: replies of other settings are deleted instead of refused.

    Raises:
        ValueError: the folder holds replies of other settings, or settings that are no JSON object.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], rank: int = 0, renew: bool = False) -> None:
        self.folder, self.rank = folder, rank
        folder.mkdir(parents=True, exist_ok=True)
        wanted, path = orjson.dumps(settings, option=orjson.OPT_INDENT_2), folder / SETTINGS_FILE
        if rank == 0 and renew and path.exists() and path.read_bytes() != wanted:
            for stale in (path, *self._paths()):
                stale.unlink()
        if rank == 0 and not path.exists():
            with replacing(path) as file:
                file.write(wanted)
        found = path.read_bytes() if path.exists() else wanted
        if found != wanted:
            old, new = _read_object(found, path), orjson.loads(wanted)
            differing = ", ".join(key for key in new if old.get(key) != new[key])
            raise ValueError(f"{folder} holds replies made with another {differing}; allowed: another `output`")

    def read(self) -> dict[str, Reply]:
        """The replies so far, by turn id. A last line that was cut in writing does not count.

        Raises:
            ValueError: another line is no reply.
        """
        return {
            row["id"]: Reply(row["text"], row["finished"], row["num_tokens"], row["thoughts"]) for row in self._rows()
        }

    def seconds(self) -> float:
        """The time that the replies took, without the time between sessions; the slowest process's."""
        return max((sum(row["seconds"] for row in self._rows(path)) for path in self._paths()), default=0.0)

    def write(self, replies: Iterable[tuple[str, Reply]]) -> Iterator[None]:
        """Append replies (turn id, reply) as they come."""
        path = self.folder / f"replies-{self.rank}.jsonl"
        whole = _whole_lines(path)
        last = time.perf_counter()
        with path.open("ab") as file:
            file.truncate(len(whole))
            for turn_id, reply in replies:
                now = time.perf_counter()
                file.write(orjson.dumps({"id": turn_id, **asdict(reply), "seconds": now - last}) + b"\n")
                file.flush()
                last = now
                yield

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("replies-*.jsonl"))

    def _rows(self, path: Path | None = None) -> list[dict[str, Any]]:
        paths = self._paths() if path is None else [path]
        return [
            _read_object(line, f"{path}, line {number}", REPLY_KEYS)
            for path in paths
            for number, line in enumerate(_whole_lines(path).splitlines(), start=1)
        ]


def _whole_lines(path: Path) -> bytes:
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def _read_object(content: bytes, where: Path | str, keys: Sequence[str] = ()) -> dict[str, Any]:
    try:
        row = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ValueError(
            f"{where}: not JSON ({error}); allowed: a benchmark's own file, or another `output`"
        ) from None
    if not isinstance(row, dict) or not all(key in row for key in keys):
        raise ValueError(f"{where}: needs a JSON object with {', '.join(keys) or 'settings'}")
    return row
