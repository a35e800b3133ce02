"""Files that are whole or not there, and the forms that they are written in."""

import fcntl
import json
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
    temporary = _beside(path, f"{os.getpid()}.tmp")
    try:
        with _named(path, temporary):
            with open(temporary, "wb", opener=partial(os.open, mode=0o600 if private else 0o666)) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
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


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file, which may say NaN and Infinity, as Python writes them.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not JSON, nested too deep, or another value.
    """
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{show(path)} is not JSON ({error}); allowed: a JSON object") from error
    if not isinstance(value, dict):
        found = "null" if value is None else f"of type {type(value).__name__}"
        raise ValueError(f"{show(path)} is {found}; allowed: a JSON object")
    return value


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
                raise ValueError(f"line {line} is nested more than {YAML_DEPTH} deep; allowed: up to that")
            if isinstance(event, yaml.AliasEvent):
                raise ValueError(f"line {line} has the alias *{event.anchor}; allowed: values that are written out")
        return yaml.safe_load(decoded)
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is no UTF-8; allowed: YAML in UTF-8") from error
    except yaml.YAMLError as error:
        what = " ".join(str(error).split()).replace(' in "<unicode string>",', " at")
        raise ValueError(f"{what}; allowed: YAML") from error


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
    with _folder(folder), _hold(folder / LOCK, folder, work):
        yield


@contextmanager
def making(path: Path, work: str) -> Iterator[None]:
    """Holds the name of a file, or of a folder that is moved into place whole, for the one run that makes it.

    Who asks whether the name is free asks it in here: otherwise two runs at once both hear that it is.

    Raises:
        OSError: another run is making it; its folder cannot be written.
    """
    with _folder(path.parent), _hold(_beside(path, "lock"), path, work):
        for left in path.parent.glob(_beside(path, "*.tmp").name):  # by one who was killed
            left.unlink()
        yield


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """A folder, made where it is missing; nothing is left of it where nothing was written."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(f"{show(folder)} is a file, or lies in one; allowed: a folder") from error
    try:
        yield
    finally:
        with suppress(OSError):
            for place in made:
                place.rmdir()


def check_new(path: Path, instead: str = "another name") -> None:
    """Raises FileExistsError where there is something of that name; `instead`: what is allowed."""
    if os.path.lexists(path):
        raise FileExistsError(f"{show(path)} already exists; allowed: {instead}")


@contextmanager
def _named(path: Path, hidden: Path) -> Iterator[None]:
    """What goes wrong with a hidden file is told of the path that it stands for."""
    try:
        yield
    except OSError as error:
        if error.errno is None or (error.filename is not None and str(error.filename) != str(hidden)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _beside(path: Path, ending: str) -> Path:
    """A hidden name beside a path. It has not the whole name, which a file system may leave no room to add to."""
    return path.with_name(f".{xxhash.xxh3_64_hexdigest(os.fsencode(path.name))}.{ending}")


@contextmanager
def _hold(lock: Path, what: Path, work: str) -> Iterator[None]:
    """Has the file at `lock` locked by the system for as long as the context or a child process has it open."""
    while True:
        with _named(what, lock):
            file = lock.open("a+", encoding="utf-8")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                owner = file.read() or "another run"
                message = f"{show(what)} is in use by {owner}; allowed: another name, or wait for its end"
                raise OSError(message) from None
            if not _is_at(file, lock):  # the one who had it has removed it between our opening and our locking it
                continue
            file.truncate(0)
            started = datetime.now().astimezone().isoformat(" ", "seconds")
            file.write(f"{work} (process {os.getpid()} on {socket.gethostname()}, since {started})")
            file.flush()
            try:
                yield
            finally:
                if _is_at(file, lock):  # not another's, who came after all of the folder was removed
                    lock.unlink()
            return


def _is_at(file: TextIO, path: Path) -> bool:
    return path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino


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
