"""Tables of messages, CSV, TSV and XLSX: a row for every message, with its talk, speaker, text and time.

Headers are Chinese or English (`_COLUMNS`); CSV and TSV are UTF-8 or UTF-16 with or without a byte-order mark, or GBK,
as Excel writes them. Rows of one talk need not stand together; where there are times, they give the order. A table
with the columns of another format (question and answer, instruction and output) gives a record for every row.
"""

import csv
import datetime
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files import show
from .json_stream import CorpusError, Record, open_bytes
from .text import decode

MAX_SHEET_BYTES = 1 << 28
_COLUMNS = {
    "talk": "conversationid conversation convid dialogueid dialogue dialogid dialog sessionid session talkid talk "
    "chatid chat threadid caseid caseno case 对话 对话id 对话编号 对话号 会话 会话id 会话编号 会话号 聊天id "
    "个案 个案编号 个案号 案例 案例编号 案例号 咨询编号 咨询号 咨询id 记录编号",
    "role": "role speaker sender from author 角色 说话人 说话者 发言人 发言者 发送人 发送者 讲话人 身份",
    "text": "text content message utterance value body 内容 文本 消息 话语 发言 正文 语句 "
    "消息内容 发言内容 说话内容 对话内容 聊天内容",
    "time": "time timestamp date datetime createdat sentat 时间 日期 发送时间 发言时间 日期时间 时间戳",
    "topic": "topic 主题 话题",
    "id": "id 编号",
}
_MEANINGS = {name: meaning for meaning, names in _COLUMNS.items() for name in names.split()}
_FIELDS = {"问题": "question", "提问": "question", "回答": "answer", "答案": "answer", "回复": "answer"}
_CLIENT = "client."  # the columns client.gender, client.age_group, …
_ALLOWED = "columns talk, role, text and time (对话, 角色, 内容, 时间), or question and answer (问题, 回答)"
_DATE = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?[ T\u3000]*"
    r"(?:(\d{1,2})[:：时](\d{1,2})(?:[:：分](\d{1,2})(?:\.\d+)?秒?)?)?分?\s*(Z|[+-]\d{2}:?\d{2})?"
)
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?")
# Beside a column of talks such a name is somebody's number; without one it may be the talks'.
_NUMBERS = re.compile(r"(?:编号|序号|号码?|id|no\.?|num(?:ber)?|uuid)$")
_WORKBOOK = "xl/workbook.xml"

Row = tuple[int, list[Any]]  # its number in the sheet, from 1, and its cells; an empty one is None or ""


@dataclass(slots=True)
class _Line:
    """One message of a talk: the row it stands in, its time in seconds where it has one, and the message."""

    row: int
    time: float | None
    message: dict[str, Any]


@dataclass(slots=True)
class _Talk:
    """The messages of one talk, as they come."""

    topic: Any = None
    people: dict[str, str | None] = field(default_factory=dict)
    lines: list[_Line] = field(default_factory=list)


def is_workbook(file: Path) -> bool:
    """Whether a zip archive is an Excel file."""
    try:
        with zipfile.ZipFile(file) as archive:
            return _WORKBOOK in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def read_text_sheet(file: Path) -> Iterator[Record]:
    """The talks or rows of a CSV or TSV file."""
    with open_bytes(file) as stream:
        data = stream.read(MAX_SHEET_BYTES + 1)
    if len(data) > MAX_SHEET_BYTES:
        yield Record(show(file), 0, problem=f"a table longer than {MAX_SHEET_BYTES:,} bytes; allowed: JSON lines")
        return
    try:
        text = decode(data)
        yield from _read_table(file, "", _rows_of(text))
    except ValueError as error:
        yield Record(show(file), 0, problem=str(error))


def read_workbook(file: Path) -> Iterator[Record]:
    """The talks or rows of all sheets of an Excel file that are not empty."""
    try:
        import openpyxl
    except ModuleNotFoundError:
        problem = "an Excel file, and openpyxl is not installed; allowed: the extra `excel`, or the sheet saved as CSV"
        raise CorpusError(f"{show(file)}: {problem}") from None
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_SHEET_BYTES:
            raise ValueError(f"a table longer than {MAX_SHEET_BYTES:,} bytes; allowed: JSON lines")
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True)
        sheets = [(sheet.title, _filled(sheet.iter_rows(values_only=True))) for sheet in workbook.worksheets]
        workbook.close()
    except Exception as error:  # of whatever openpyxl and its XML parser say of a damaged file
        yield Record(show(file), 0, problem=f"broken Excel file: {' '.join(str(error).split())}")
        return
    filled = [(title, rows) for title, rows in sheets if rows]
    if not filled:
        yield Record(show(file), 0, problem="no sheet of the file has a row")
    for title, rows in filled:
        try:
            yield from _read_table(file, title if len(filled) > 1 else "", rows)
        except ValueError as error:
            yield Record(show(file), 0, place=f"sheet {title!r}", problem=str(error))


def _rows_of(text: str) -> list[Row]:
    head = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",\t;，", key=head.count)
    rows: list[list[str]] = []
    try:  # strictly: a quotation mark that nothing closes would take in all rows that follow
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            rows.append(row)
    except csv.Error as error:
        allowed = 'a cell that begins with a quotation mark ends with one, and has "" for one inside'
        raise ValueError(f"row {len(rows) + 1}: {error}; allowed: {allowed}") from error
    return _filled(rows)


def _filled(rows: Any) -> list[Row]:
    """The rows that are not empty, with their numbers."""
    return [(number, list(row)) for number, row in enumerate(rows, 1) if any(cell not in (None, "") for cell in row)]


def _read_table(file: Path, sheet: str, rows: list[Row]) -> Iterator[Record]:
    """Raises ValueError where the columns cannot be told, or a time cannot be read."""
    if not rows:
        raise ValueError("the file is empty")
    (_, head), *rest = rows
    columns = _find_columns(head)
    if "role" in columns and "text" in columns:
        yield from _read_talks(file, sheet, head, columns, rest)
        return
    names = [_FIELDS.get(_plain(name), str(name).strip()) if name is not None else "" for name in head]
    if not ({"question", "answer"} <= set(names) or {"output", "response", "completion", "answers"} & set(names)):
        raise ValueError(f"a table with the columns {', '.join(filter(None, names))}; allowed: {_ALLOWED}")
    for number, (row, cells) in enumerate(rest, 1):
        value = {name: _as_text(cell) for name, cell in zip(names, cells, strict=False) if name}
        yield Record(show(file), number, _gather_client(value), place=f"row {row}")


def _gather_client(value: dict[str, Any]) -> dict[str, Any]:
    """A row with its columns `client.FIELD` as one object."""
    stated = {name.removeprefix(_CLIENT): text for name, text in value.items() if name.startswith(_CLIENT)}
    others = {name: text for name, text in value.items() if not name.startswith(_CLIENT)}
    return others | ({"client": stated} if stated else {})


def _find_columns(head: Sequence[Any]) -> dict[str, list[int]]:
    """Meaning -> the places of its columns; only times may have two, a date and a clock."""
    columns: dict[str, list[int]] = {}
    for place, name in enumerate(head):
        meaning = _MEANINGS.get(_plain(name))
        if meaning is not None:
            columns.setdefault(meaning, []).append(place)
    for meaning, places in columns.items():
        if len(places) > 1 and meaning != "time":
            names = " and ".join(repr(str(head[place])) for place in places)
            raise ValueError(f"the columns {names} both look like the {meaning}; allowed: one of them")
    return columns


def _states_people(name: Any) -> bool:
    """Whether a column states something of the client, or the counsellor's id."""
    return str(name).strip().startswith(_CLIENT) or str(name).strip() == "counsellor"


def _read_talks(
    file: Path, sheet: str, head: Sequence[Any], columns: dict[str, list[int]], rows: list[Row]
) -> Iterator[Record]:
    role, text = columns["role"][0], columns["text"][0]
    people = {place: str(name).strip() for place, name in enumerate(head) if _states_people(name)}
    talk_column = columns["talk"][0] if "talk" in columns else _id_of_talks(columns, rows)
    if talk_column is None:
        _refuse_unknown_numbers(head, rows)
    stem = show(file).rsplit("/", 1)[-1].split(".")[0]
    talk_id, talks = "-".join(filter(None, [stem, sheet])), dict[str, _Talk]()
    for number, cells in rows:
        cells += [None] * (len(head) - len(cells))
        if talk_column is not None and cells[talk_column] not in (None, ""):  # merged cells say it once
            talk_id = str(_as_text(cells[talk_column])).strip()
        talk = talks.setdefault(talk_id, _Talk())
        if "topic" in columns:
            talk.topic = talk.topic or _as_text(cells[columns["topic"][0]])
        for place, name in people.items():
            talk.people[name] = talk.people.get(name) or _as_text(cells[place])
        time = _read_time([cells[place] for place in columns.get("time", ())], number)
        message = {"role": _as_text(cells[role]), "content": _as_text(cells[text]) or ""}
        talk.lines.append(_Line(number, time, message))
    for number, (talk_id, talk) in enumerate(talks.items(), 1):
        lines = _in_order(talk.lines)
        value = {"id": talk_id, "topic": talk.topic or None, "messages": [line.message for line in lines]}
        value |= _gather_client(talk.people)
        yield Record(show(file), number, value, place=f"talk {talk_id!r}, from row {talk.lines[0].row}")


def _id_of_talks(columns: dict[str, list[int]], rows: list[Row]) -> int | None:
    """The column `id`, where it is the talks' and not the rows'."""
    if "id" not in columns:
        return None
    place = columns["id"][0]
    return place if _repeats(place, rows) else None


def _repeats(place: int, rows: list[Row]) -> bool:
    """Whether some value of a column stands in two rows."""
    values = [cells[place] for _, cells in rows if place < len(cells)]
    return len(set(values)) < len(values)


def _refuse_unknown_numbers(head: Sequence[Any], rows: list[Row]) -> None:
    """Raises ValueError for a column that may number the talks, which would all be read as one."""
    for place, name in enumerate(head):
        plain = _plain(name)
        if plain not in _MEANINGS and _NUMBERS.search(plain) and _repeats(place, rows):
            raise ValueError(
                f"the column {str(name)!r} may be that of the talks; allowed: the name 对话编号 or conversation_id if "
                "it is, and no such column where the file is one talk"
            )


def _in_order(lines: list[_Line]) -> list[_Line]:
    """By time, where a row without one stays after the row before; without times as they stand in the file."""
    last = float("-inf")
    keys = []
    for line in lines:
        last = line.time if line.time is not None else last
        keys.append(last)
    return [line for _, line in sorted(zip(keys, lines, strict=True), key=lambda pair: pair[0])]


def _read_time(cells: list[Any], row: int) -> float | None:
    """Seconds since 1970; None for no time, or a time of day alone, which midnight would bring out of order."""
    given = [cell for cell in cells if cell not in (None, "")]
    if not given:
        return None
    if len(given) == 1 and isinstance(given[0], int | float):
        return float(given[0])
    text = " ".join(
        cell.isoformat(" ") if isinstance(cell, datetime.datetime) else str(cell).strip() for cell in given
    )
    if _CLOCK.fullmatch(text):
        return None
    if text.replace(".", "", 1).isdigit() and len(text) > 4:
        return float(text)
    found = _DATE.fullmatch(text.replace(" 00:00:00 ", " "))
    try:
        if found is None:
            raise ValueError
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
        moment = datetime.datetime(year, month, day, hour, minute, second, tzinfo=_zone(found[7]))
    except ValueError:
        raise ValueError(
            f"row {row}: the time is {text!r}; allowed: 2024-05-01 12:30:00, 2024/5/1 12:30, Unix time, or no column "
            "of times"
        ) from None
    return moment.timestamp()


def _zone(text: str | None) -> datetime.timezone:
    if text in (None, "Z"):
        return datetime.UTC
    assert text is not None
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return datetime.timezone(datetime.timedelta(minutes=minutes if text[0] == "+" else -minutes))


def _plain(name: Any) -> str:
    """A header in lower case, without blanks, underscores and hyphens."""
    return re.sub(r"[\s_\-\u3000\ufeff]", "", str(name)).lower() if name is not None else ""


def _as_text(cell: Any) -> str | None:
    """A cell as text: a whole number without decimals, an empty cell None."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
