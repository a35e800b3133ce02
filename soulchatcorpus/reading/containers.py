"""What a file is: JSON, Parquet, a table, a text dialogue, or something that is none of them and is told so."""

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from ..files import show
from .json_stream import MAX_RECORD_BYTES, Bulk, CorpusError, Record, open_bytes, read_records
from .parquet_rows import read_parquet
from .spreadsheets import is_workbook, read_text_sheet, read_workbook
from .text import decode

TABLE_SUFFIXES = {".csv", ".tsv"}
SUFFIXES = {".json", ".jsonl", ".ndjson", ".txt", ".parquet", ".xlsx", *TABLE_SUFFIXES}
COMPRESSED = {".gz", ".zst", ".zstd", ".bz2", ".xz", ".zip"}  # the last two are refused, not overlooked
_REFUSED = {
    b"PK\x03\x04": "a zip archive; allowed: the files in it, unpacked (of a Word file its text, saved as .txt)",
    b"\xfd7zXZ": "an xz archive; allowed: the file in it, unpacked (or gzip, zstd, bzip2)",
    b"7z\xbc\xaf": "a 7z archive; allowed: the files in it, unpacked",
    b"Rar!": "a rar archive; allowed: the files in it, unpacked",
    b"\xd0\xcf\x11\xe0": "an Office file of before 2007; allowed: the sheet saved as .xlsx or CSV, the text as .txt",
    b"%PDF": "a PDF file; allowed: its text as lines 来访者：… and 心理咨询师：…",
    b"SQLite": "an SQLite database; allowed: its rows as CSV or JSON lines",
}
# An object or an array; a transcript may begin with a time or a speaker in such brackets, too.
_JSON = re.compile(rb"\s*(?:\{|\[\s*(?:[\[{\"\]]|-?\d+\s*[,.\]]|true|false|null|$)|$)")
# train.jsonl, my-test-00000-of-00001.parquet, dev/1.json: the words are those of `datasets` ("Structure your
# repository" in the Hub's documentation of data sets).
_SPLIT_NAMES = {
    split: re.compile(rf"(?:^|[-._ 0-9])(?:{words})(?:$|[-._ 0-9])")
    for split, words in {
        "train": "train|training",
        "validation": "validation|valid|dev|val",
        "test": "test|testing|eval|evaluation",
    }.items()
}


def list_files(source: str | Path) -> list[Path]:
    """The files of a corpus: the file itself, or all data files below a folder, numbers in their order.

    Raises:
        CorpusError: there is no such path, or the folder holds no data file.
    """
    path = Path(source)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise CorpusError(f"{show(path)}: no such file or folder")
    files = [file for file in path.rglob("*") if file.is_file() and _is_data(file.relative_to(path))]
    if not files:
        raise CorpusError(f"{show(path)}: no data file in this folder; they end in {', '.join(sorted(SUFFIXES))}")
    return sorted(files, key=lambda file: (file.parent, not file.stem.isdigit(), len(file.name), file.name))


def list_splits(folder: str | Path) -> dict[str, list[Path]]:
    """The files of a folder by the splits that they or their folders are named for, as `datasets` names them.

    All of them are "train" where none is named for a split, and where all are named for that one.

    Raises:
        CorpusError: no data file, or some are named for splits and some are not.
    """
    root = Path(folder)
    files = list_files(root)
    splits: dict[str, list[Path]] = {}
    others = []
    for file in files:
        split = _split_of(file.relative_to(root))
        if split is None:
            others.append(file)
        else:
            splits.setdefault(split, []).append(file)
    if splits and others:
        named = next(iter(splits.values()))[0]
        raise CorpusError(
            f"{show(root)}: {show(named.name)} is named for a split and {show(others[0].name)} is not; allowed: "
            "data_files, with the files of each split"
        )
    return splits or {"train": others}


def _split_of(path: Path) -> str | None:
    """The split that a file's name or, before it, a folder's is a word for."""
    for part in reversed(path.parts):
        for split, pattern in _SPLIT_NAMES.items():
            if pattern.search(part.lower()):
                return split
    return None


def read_any(file: Path, bulk: Bulk | None = None) -> Iterator[Record | pa.Table]:
    """The records of a file; one with a problem where the file itself cannot be read."""
    try:
        with open_bytes(file) as stream:
            start = stream.read(64)
    except OSError as error:  # damaged gzip, zstd or bzip2
        yield Record(show(file), 0, problem=str(error))
        return
    refusal = next((words for mark, words in _REFUSED.items() if start.startswith(mark)), None)
    if start.startswith(b"PAR1"):
        yield from read_parquet(file)
    elif start.startswith(b"PK\x03\x04") and is_workbook(file):
        yield from read_workbook(file)
    elif refusal is not None:
        yield Record(show(file), 0, problem=refusal)
    elif _suffixes(file)[-1:] and _suffixes(file)[-1] in TABLE_SUFFIXES:
        yield from read_text_sheet(file)
    elif _JSON.match(start.removeprefix(b"\xef\xbb\xbf")):
        yield from read_records(file, bulk)
    else:
        yield _read_text(file)


def _suffixes(path: Path) -> list[str]:
    """The endings of a name in lower case, without that of a compression."""
    suffixes = path.with_name(path.name.lower()).suffixes
    return suffixes[:-1] if suffixes and suffixes[-1] in COMPRESSED else suffixes


def _is_data(path: Path) -> bool:
    suffixes = _suffixes(path)
    return bool(suffixes) and suffixes[-1] in SUFFIXES and not any(part.startswith(".") for part in path.parts)


def _read_text(file: Path) -> Record:
    with open_bytes(file) as stream:
        data = stream.read(MAX_RECORD_BYTES + 1)
    record = Record(show(file), 1)
    if len(data) > MAX_RECORD_BYTES:
        record.problem = f"neither JSON nor a dialogue: text longer than {MAX_RECORD_BYTES:,} bytes"
        return record
    try:
        record.value = decode(data).replace("\r\n", "\n").lstrip("\n")
        if record.value and _JSON.match(record.value[:64].encode()):
            record.problem = "JSON that is not UTF-8; allowed: UTF-8, as JSON has to be"
    except ValueError as error:
        record.problem = str(error)
    return record
