"""The linter of cards: what would keep the Hub, or a reader, from making use of a folder. Works offline."""

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from soulchatcorpus.care.privacy import find_private
from soulchatcorpus.files import parse_yaml

from .check_metadata import check_dataset_metadata, check_model_metadata, check_space_metadata
from .check_numbers import check_dataset_numbers, check_model_numbers
from .check_shape import find_misshapen
from .finding import Finding, numbered_prose

CARD = "README.md"
PRIVATE = {"phone", "id_card", "bank_card", "email"}  # links and names of projects belong into a card
_UNFILLED = re.compile(
    r"\[more information needed\]|\{\{\s*\w[\w.]*\s*\}\}|\{%.*?%\}|\b(?:TODO|FIXME|TBD|XXX)\b"
    r"|<(?:your|user|name|insert)[^>]*>|\|\s*(?:none|nan|undefined)\s*(?=\|)",
    re.IGNORECASE,
)
_LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)|(?:src|href)=[\"']([^\"']+)", re.IGNORECASE)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")  # a mark of Markdown that is only a character
_TOKEN = re.compile(rb"hf_[A-Za-z0-9]{20,}")
_TEXT_SUFFIXES = {".md", ".json", ".yaml", ".yml", ".txt", ".py", ".jsonl", ".toml", ".cfg", ".jinja"}


def check_folder(folder: Path, is_rendered: bool = False) -> list[Finding]:
    """All that is wrong with a folder that is to be published; an empty list where nothing is.

    Args:
        is_rendered: its card was just rendered from the files beside it, so its numbers need no comparison with them.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder; allowed: one with a card")
    return [*_check_card(folder, is_rendered), *_check_secrets(folder)]


def _check_card(folder: Path, is_rendered: bool) -> Iterator[Finding]:
    path = folder / CARD
    if not path.is_file():
        yield Finding(CARD, None, "there is no card")
        return
    text = path.read_text(encoding="utf-8")
    try:
        metadata = read_metadata(text)
    except ValueError as error:
        yield Finding(CARD, 1, str(error))
        return
    misshapen = list(find_misshapen(metadata))
    if misshapen:
        yield from (Finding(CARD, 1, message) for message in misshapen)
        return
    if "sdk" in metadata:
        yield from check_space_metadata(metadata, folder)
    elif any(folder.rglob("*.parquet")):
        yield from check_dataset_metadata(metadata, folder)
        if not is_rendered:
            yield from check_dataset_numbers(metadata, text, folder)
    else:
        yield from check_model_metadata(metadata, folder)
        if not is_rendered:
            yield from check_model_numbers(metadata, text, folder)
    yield from _check_unfilled(text)
    yield from _check_links(text, folder)
    yield from _check_private(text)


def read_metadata(text: str) -> dict[str, Any]:
    """The YAML at the head of a card.

    Raises:
        ValueError: there is none, or it is no YAML mapping; the message is one line.
    """
    match = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    if not match:
        first = text.split("\n", 1)[0]
        raise ValueError(f"the card's first line is {first!r}; allowed: ---, then YAML up to another line of ---")
    try:
        metadata = parse_yaml(match[1])
    except ValueError as error:
        raise ValueError(f"the YAML is not valid: {error}") from error
    if not isinstance(metadata, dict):
        raise ValueError(f"the YAML is a {type(metadata).__name__}; allowed: keys with values")
    return metadata


def _check_unfilled(text: str) -> Iterator[Finding]:
    for number, line in numbered_prose(text):
        for match in _UNFILLED.finditer(line):
            yield Finding(CARD, number, f"unfilled place: {match[0].strip(' |')}")


def _check_links(text: str, folder: Path) -> Iterator[Finding]:
    anchors = {_anchor(line.lstrip("#")) for _, line in numbered_prose(text) if line.startswith("#")}
    for number, line in numbered_prose(text):
        for match in _LINK.finditer(line):
            target = match[1] or match[2]
            path, _, fragment = target.partition("#")
            if re.match(r"[a-z][a-z0-9+.-]*:|//", target, re.IGNORECASE):
                continue
            if path and not (folder / path).exists():
                yield Finding(CARD, number, f"dead link: {target}")
            elif not path and fragment not in anchors:
                yield Finding(CARD, number, f"dead link: no heading for #{fragment}")


def _check_private(text: str) -> Iterator[Finding]:
    """Numbers and addresses of people, replies included; the number itself is not repeated."""
    for number, line in numbered_prose(text, with_quotations=True):
        for span in find_private(html.unescape(_ESCAPED.sub(r"\1", line))):
            if span.kind in PRIVATE:
                yield Finding(CARD, number, f"holds what looks like a private detail: {span.kind}")


def _anchor(heading: str) -> str:
    """The fragment that the Hub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _check_secrets(folder: Path) -> Iterator[Finding]:
    for path in sorted(folder.rglob("*")):
        if path.suffix in _TEXT_SUFFIXES and path.is_file() and _TOKEN.search(path.read_bytes()):
            yield Finding(path.relative_to(folder).as_posix(), None, "holds what looks like an access token")
