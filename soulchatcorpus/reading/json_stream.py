"""Files to JSON values, one at a time: arrays and JSON lines, plain, gzip, zstd or bzip2, in bounded memory.

An array is cut into slabs where one record ends and the next begins, and orjson parses a slab at a time. Where to cut
is guessed from how the first two records meet (`},\\n    {\\n        "id":`); the parser is the judge of the guess,
since a slab that starts at a record and parses as whole values can only have ended between records. Whatever does not
parse is gone through record by record, which finds the broken one and its place.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pyarrow as pa

from ..files import show

BLOCK_BYTES = 1 << 21
MAX_RECORD_BYTES = 1 << 24  # one conversation; the longest of SMILECHAT has some ten thousand bytes
HEAD_CHARACTERS = 256  # more than lies between two records, the next one's first key included
KEPT_CHARACTERS = 100_000  # of a rejected record's own text

Bulk = Callable[[bytes, int | None], pa.Table | None]

_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd", b"BZ": "bz2"}
_BOM = b"\xef\xbb\xbf"
_DECODER = json.JSONDecoder()
_BETWEEN = re.compile(r"[\s,]*")
_BETWEEN_BYTES = re.compile(rb"[\s,]*")
_FIRST_KEY = re.compile(r'\{\s*("[^"\\]*")\s*:')


class CorpusError(ValueError):
    """A corpus that cannot be read; the message names file, record and cause in one line."""


@dataclass(slots=True)
class Record:
    """One JSON value of a file, or the reason why there is none.

    Attributes:
        file: the file it is from.
        number: 1-based place among the file's records; 0 where the file itself is at fault.
        value: the parsed value.
        place: "line 3" or "byte 1024" where known, else "".
        problem: why it cannot be taken, or None.
        raw: the text of a record that could not be parsed, at most `KEPT_CHARACTERS` of it.
    """

    file: str
    number: int
    value: Any = None
    place: str = ""
    problem: str | None = None
    raw: str | None = None

    def error(self) -> CorpusError:
        """The problem as an exception."""
        where = ", ".join(filter(None, [f"record {self.number}" if self.number else "", self.place]))
        return CorpusError(f"{self.file}: {where + ': ' if where else ''}{self.problem}")


def open_bytes(path: Path) -> BinaryIO:
    """The bytes of a file, decompressed where its first two bytes say gzip, zstd or bzip2, whatever its name."""
    with path.open("rb") as file:
        compression = _COMPRESSIONS.get(file.read(2))
    if compression is None:
        return path.open("rb")
    return pa.input_stream(str(path), compression=compression)


def read_records(path: Path, bulk: Bulk | None = None) -> Iterator[Record | pa.Table]:
    """The values of a JSON array or of JSON lines. A broken one comes as a `Record` with a problem, in its place.

    `bulk` is offered many records at a time, as JSON with white space between them, and the number of lines where each
    record has one; where it does not decline with None, its table takes their place.
    """
    with open_bytes(path) as stream:
        scanner = _Scanner(show(path), stream, bulk or _decline)
        try:
            yield from scanner.records()
        except OSError as error:  # truncated or damaged gzip or zstd, or the disk
            yield Record(show(path), scanner.number + 1, place=f"byte {scanner.offset}", problem=str(error))


class _Scanner:
    """A window (`data`, which starts at byte `offset`) that moves over one decompressed file."""

    def __init__(self, file: str, stream: BinaryIO, bulk: Bulk) -> None:
        self.file = file
        self.bulk = bulk
        self.stream = stream
        self.data = b""
        self.offset = 0
        self.number = 0
        self._separator = b""
        self._separator_without_comma = b""
        self._closed = False

    def records(self) -> Iterator[Record | pa.Table]:
        self._read_block()
        start = len(self.data) - len(self.data.removeprefix(_BOM).lstrip())
        while start == len(self.data) > 0:
            self._drop(start)
            self._read_block()
            start = len(self.data) - len(self.data.lstrip())
        first = self.data[start : start + 1]
        if not first:
            yield Record(self.file, 0, problem="the file is empty")
        elif first == b"[" and not self._has_arrays_as_lines(start):
            self._drop(start + 1)
            yield from self._values(in_array=True)
        elif first == b"{" and self._has_values_of_many_lines(start):
            self._drop(start)
            yield from self._values(in_array=False)
        else:
            self._drop(start)
            yield from self._lines()

    def _read_block(self) -> bool:
        block = self.stream.read(BLOCK_BYTES)
        self.data += block
        return bool(block)

    def _drop(self, size: int) -> None:
        self.data = self.data[size:]
        self.offset += size

    def _has_arrays_as_lines(self, start: int) -> bool:
        """Whether the first line is a whole array and the next one begins another."""
        line, _, rest = self.data[start:].partition(b"\n")
        return rest.lstrip()[:1] == b"[" and _parse_slab(line) is not None

    def _has_values_of_many_lines(self, start: int) -> bool:
        """Whether the file begins with an object that its first line does not hold, an indented one."""
        line, end, _ = self.data[start:].partition(b"\n")
        if not end or _parse_slab(line) is not None:
            return False
        while len(self.data) <= MAX_RECORD_BYTES and self._read_block():
            pass
        try:
            _, length = _DECODER.raw_decode(self.data[start:].decode(errors="surrogateescape"))
        except (ValueError, RecursionError):
            return False
        return length > len(line.decode(errors="surrogateescape"))

    # JSON lines

    def _lines(self) -> Iterator[Record | pa.Table]:
        line, more = 0, True
        while more:
            more = self._read_block()
            cut = self.data.rfind(b"\n") + 1 if more else len(self.data)
            block = self.data[:cut]
            num_lines = block.count(b"\n") + (not block.endswith(b"\n"))
            table = self.bulk(block, num_lines)
            if table is not None:
                self.number += len(table)
                line += num_lines
                yield table
            else:
                for text in block.removesuffix(b"\n").split(b"\n") if block else ():
                    line += 1
                    if text.strip():
                        self.number += 1
                        yield _parse(Record(self.file, self.number, place=f"line {line}"), text)
            self._drop(cut)
            if len(self.data) > MAX_RECORD_BYTES:
                line += 1
                self.number += 1
                yield self._too_long(f"line {line}", self.data[:KEPT_CHARACTERS].decode(errors="replace"))
                while more and b"\n" not in self.data:
                    self._drop(len(self.data))
                    more = self._read_block()
                self._drop(self.data.find(b"\n") + 1 or len(self.data))

    def _too_long(self, place: str, raw: str) -> Record:
        problem = f"longer than {MAX_RECORD_BYTES:,} bytes; a record is one conversation"
        return Record(self.file, self.number, place=place, problem=problem, raw=raw)

    # One array, or values with white space between them

    def _values(self, in_array: bool) -> Iterator[Record | pa.Table]:
        more = True
        while not self._closed:
            cut = self.data.rfind(self._separator) + 1 if self._separator else 0
            slab = self.data[_end(_BETWEEN_BYTES.match(self.data)) : cut]
            table = self.bulk(slab.replace(self._separator, self._separator_without_comma), None) if slab else None
            values = _parse_slab(slab) if slab and table is None else None
            if table is not None:
                self.number += len(table)
                yield table
                self._drop(cut)
            elif values is not None:
                for value in values:
                    self.number += 1
                    yield Record(self.file, self.number, value)
                self._drop(cut)
            else:
                yield from self._one_by_one(last=not more)
                if not more:
                    break
            more = self._read_block()
        if not self._closed and not in_array:
            return
        if not self._closed:
            problem = "the file ends before the array is closed"
            yield Record(self.file, self.number + 1, place=f"byte {self.offset}", problem=problem)
        elif (self.data + self.stream.read(BLOCK_BYTES)).strip():
            problem = "there is more after the end of the array"
            yield Record(self.file, self.number + 1, place=f"byte {self.offset}", problem=problem)

    def _one_by_one(self, last: bool) -> Iterator[Record]:
        """All records that `data` holds completely; of what no more data can complete, the problem."""
        text = self.data.decode(errors="surrogateescape")
        start = _end(_BETWEEN.match(text))
        while start < len(text) and not self._closed:
            if text[start] == "]":
                self._closed = True
                start += 1
                break
            end, problem, place = self._measure(text, start, last)
            if end is None and len(text) - start <= MAX_RECORD_BYTES:
                break
            if end is not None and not self._separator and not last and len(text) - end < HEAD_CHARACTERS:
                break  # wait for the head of the next record, to learn the separator
            self.number += 1
            if end is None:
                record = self._too_long(self._byte(text, place), _clean(text[start : start + KEPT_CHARACTERS]))
                record.problem = problem or record.problem
                yield record
                self._closed, start = True, len(text)  # nothing tells where the next record starts
                break
            raw = text[start:end]
            record = Record(self.file, self.number, problem=problem)
            if problem is None:
                _parse(record, raw.encode(errors="surrogateescape"))
            if record.problem is not None:
                record.place, record.raw = self._byte(text, place), _clean(raw[:KEPT_CHARACTERS])
                # What has no end that one can tell has taken in the bracket that closes the array.
                self._closed = problem is not None and end == len(text)
            yield record
            start = self._learn_separator(text, end)
        self._drop(len(text[:start].encode(errors="surrogateescape")))

    def _measure(self, text: str, start: int, last: bool) -> tuple[int | None, str | None, int]:
        """Where the record ends (None: more data will tell), its problem, and the place of that problem."""
        try:
            return _DECODER.raw_decode(text, start)[1], None, start
        except json.JSONDecodeError as error:
            cut_off = error.pos >= len(text) - 16 or error.msg.startswith("Unterminated string")
            problem, place = f"broken JSON: {error.msg}", error.pos
        except RecursionError:
            cut_off, problem, place = False, "nested too deeply", start
        if cut_off and not last:
            return None, None, start
        end = self._find_end(text, start)
        if end == 0 and not last:
            return None, problem, place
        return end or len(text), problem, place

    def _find_end(self, text: str, start: int) -> int:
        """Where a broken record ends, by how the next one begins; 0 where nothing tells."""
        if self._separator:
            return text.find(self._separator.decode(), start) + 1
        key = _FIRST_KEY.match(text, start)  # two records have not met yet: the next may begin as this one does
        following = key and re.compile(rf"\}}\s*,\s*\{{\s*{re.escape(key[1])}\s*:").search(text, start)
        return following.start() + 1 if following else 0

    def _learn_separator(self, text: str, end: int) -> int:
        """The start of the next record; the first time, also remember what lies between two records."""
        start = _end(_BETWEEN.match(text, end))
        head = _FIRST_KEY.match(text, start)
        if head and not self._separator and text[end - 1] == "}":
            self._separator = text[end - 1 : head.end()].encode()
            self._separator_without_comma = self._separator.replace(b",", b" ", 1)
        return start

    def _byte(self, text: str, position: int) -> str:
        return f"byte {self.offset + len(text[:position].encode(errors='surrogateescape'))}"


def _end(match: re.Match | None) -> int:
    """Where a match ends of a pattern that matches nothing, too, and so always."""
    return match.end() if match else 0


def _decline(_: bytes, __: int | None) -> None:
    return None


def _parse(record: Record, text: bytes) -> Record:
    try:
        record.value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        record.raw = _clean(text.decode(errors="surrogateescape")[:KEPT_CHARACTERS])
        try:
            text.decode()
            record.problem = f"broken JSON: {error}"
        except UnicodeDecodeError as not_utf8:
            record.problem = f"not UTF-8: byte {not_utf8.start} of the record is 0x{text[not_utf8.start]:02x}"
    return record


def _parse_slab(slab: bytes) -> list[Any] | None:
    try:
        return orjson.loads(b"[" + slab + b"]")
    except orjson.JSONDecodeError:
        return None


def _clean(text: str) -> str:
    """Bytes that are not UTF-8 as \\xNN, so that the text can be written."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")
