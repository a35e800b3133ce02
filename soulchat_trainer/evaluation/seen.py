"""Which first messages a model was trained on: so that a benchmark can tell when it has seen the test's dialogues."""

import re
from collections.abc import Iterable
from pathlib import Path

from soulchatcorpus.files import replacing
from soulchatcorpus.splits import opening_keys

from ..loading import adapter_base, find_file

OPENINGS_FILE = "training_openings.txt"
CHECKPOINT = re.compile(r"checkpoint-\d+")  # Trainer's name for it


def write_openings(model_dir: Path, openings: Iterable[str], base: Path | None = None) -> None:
    """Record the openings of the training conversations beside a model: one hash a line, no text.

    Args:
        openings: first messages.
        base: the file of the model that the training began with; what that one saw, this one has seen.
    """
    keys = _keys(openings) | (_read_openings(base) if base else set())
    with replacing(model_dir / OPENINGS_FILE) as file:
        file.writelines(f"{key:016x}\n".encode() for key in sorted(keys))


def find_openings(name: str) -> Path | None:
    """The file in which a model's training openings are recorded, if there is one.

    For an adapter else its base's; a checkpoint's is that of the run around it.
    """
    folder = Path(name).resolve()
    path = find_file(name, OPENINGS_FILE)
    if path is None and folder.is_dir() and CHECKPOINT.fullmatch(folder.name):
        path = find_file(str(folder.parent), OPENINGS_FILE)
    if path is not None:
        return path
    base = adapter_base(name)
    return find_openings(base) if base else None


def has_seen(openings_file: Path, openings: Iterable[str]) -> bool:
    """Whether the file records one of these first messages.

    Raises:
        ValueError: the file holds something else than hashes.
    """
    return not _read_openings(openings_file).isdisjoint(_keys(openings))


def _keys(openings: Iterable[str]) -> set[int]:
    return set(opening_keys(list(set(openings))).tolist())


def _read_openings(openings_file: Path) -> set[int]:
    try:
        return {int(line, 16) for line in openings_file.read_text().split()}
    except ValueError as error:
        raise ValueError(
            f"{openings_file} is no list of openings ({error}); allowed: hexadecimal hashes, one a line"
        ) from error
