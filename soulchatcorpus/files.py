"""Files that are whole or not there, and the forms that they are written in."""

import fcntl
import os
import socket
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
import yaml

YAML_DEPTH = 50
LOCK = ".lock"  # in a folder that a run works in


def show(path: Path | str) -> str:
    """A path as text that can be printed and written: bytes of its name that are no UTF-8 as \\xNN."""
    return str(path).encode(errors="surrogateescape").decode(errors="backslashreplace")


@contextmanager
def replacing(path: Path, private: bool = False) -> Iterator[BinaryIO]:
    """A file to write that takes `path`'s place once all of it is on the disk; on failure what was there stays.

    The folder is made where it is missing. `file.name` is the temporary path, for libraries that want one.

    Args:
        private: only the owner can read the file.

    Raises:
        OSError: what could not be written, naming `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not the whole name, to which a file system that allows 255 bytes may leave no room for more.
    temporary = path.with_name(f".{xxhash.xxh3_64_hexdigest(os.fsencode(path.name))}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb", opener=partial(os.open, mode=0o600 if private else 0o666)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file at once or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any, private: bool = False) -> None:
    """Write an indented JSON file at once or not at all; `private` as in `replacing`."""
    with replacing(path, private) as file:
        file.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")


def write_lines(path: Path, values: Iterable[Any]) -> None:
    """Write JSON lines at once or not at all."""
    with replacing(path) as file:
        file.writelines(map(to_line, values))


def to_line(value: Any) -> bytes:
    """A value as one JSON line."""
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def parse_yaml(text: str | bytes) -> Any:
    """The value of a YAML text without aliases, by which ten lines say a billion values.

    Raises:
        ValueError: it is not YAML, not UTF-8, has an alias, or is nested too deep.
    """
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8-sig")
        depth = 0
        for event in yaml.parse(decoded, yaml.SafeLoader):
            line = event.start_mark.line + 1
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > YAML_DEPTH:
                raise ValueError(f"line {line} is nested more than {YAML_DEPTH} deep")
            if isinstance(event, yaml.AliasEvent):
                raise ValueError(f"line {line} has the alias *{event.anchor}; allowed: values that are written out")
        return yaml.safe_load(decoded)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def parquet_writer(
    file: BinaryIO | Path, schema: pa.Schema, level: int | None = None, page_index: bool = False
) -> pq.ParquetWriter:
    """Writes tables to a Parquet file, compressed by zstd (`level`), on demand with an index by which readers skip."""
    return pq.ParquetWriter(file, schema, compression="zstd", compression_level=level, write_page_index=page_index)


@contextmanager
def working_in(folder: Path, work: str) -> Iterator[None]:
    """Holds a folder for one run; it is free again when the run ends, however it ends.

    Args:
        work: what is done there, for the message to the next one who comes.

    Raises:
        OSError: another run is at work in the folder.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    with _hold(path) as file:
        started = datetime.now().astimezone().isoformat(" ", "seconds")
        file.write(f"{work} (process {os.getpid()} on {socket.gethostname()}, since {started})")
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # nothing is left of a run that failed before it wrote anything
                for place in made:
                    place.rmdir()


@contextmanager
def _hold(path: Path) -> Iterator[TextIO]:
    """The file at `path`, empty, locked by the system for as long as the context or a child process has it open."""
    while True:
        with path.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                owner = file.read() or "another run"
                message = f"{show(path.parent)} is in use by {owner}; allowed: another folder, or wait for its end"
                raise OSError(message) from None
            # The one who had it may have removed the file between our opening and our locking it.
            if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                file.truncate(0)
                yield file
                return


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction on an SQLite file, which threads and processes may share; rows go by number and by name.

    Raises:
        OSError: what SQLite refuses (a full disk, another kind of file), naming `path`.
    """
    try:
        with closing(sqlite3.connect(path, timeout=30)) as database, database:
            database.row_factory = sqlite3.Row
            database.execute("PRAGMA foreign_keys = ON")
            database.execute("BEGIN IMMEDIATE")
            yield database
    except sqlite3.Error as error:
        raise OSError(f"{path}: {error}; nothing was changed") from error
