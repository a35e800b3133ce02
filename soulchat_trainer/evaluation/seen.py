"""Which first messages a model was trained on: so that a benchmark can tell when it has seen the test's dialogues."""

from collections.abc import Iterable
from pathlib import Path

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.utils import cached_file

from soulchatcorpus.files import replacing
from soulchatcorpus.splits import opening_keys

from ..loading import adapter_base

OPENINGS_FILE = "training_openings.txt"


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
    path: Path | str | None
    if Path(name).is_dir():
        folder = Path(name).resolve()
        places = [folder, folder.parent] if folder.name.startswith(PREFIX_CHECKPOINT_DIR) else [folder]
        path = next((place / OPENINGS_FILE for place in places if (place / OPENINGS_FILE).is_file()), None)
    else:
        path = cached_file(
            name,
            OPENINGS_FILE,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
    if path is not None:
        return Path(path)
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
        raise ValueError(f"{openings_file}: allowed are hexadecimal hashes, one a line ({error})") from error
