"""Which first messages a model was trained on: so that a benchmark can tell when it has seen the test's dialogues."""

from collections.abc import Iterable
from pathlib import Path

from soulchatcorpus.dialogue import parse
from soulchatcorpus.splits import opening_key

from .results import replacing

OPENINGS_FILE = "training_openings.txt"


def opening_keys(prompts: Iterable[str]) -> set[int]:
    """The keys (`splits.opening_key`) of the first messages of prompts."""
    return {opening_key(parse(prompt)[0]["content"]) for prompt in prompts}


def write_openings(model_dir: Path, prompts: Iterable[str]) -> None:
    """Record the openings of the training prompts beside a model: one hash a line, no text."""
    with replacing(model_dir / OPENINGS_FILE) as file:
        file.writelines(f"{key:016x}\n".encode() for key in sorted(opening_keys(prompts)))


def count_seen(openings_file: Path, prompts: Iterable[str]) -> int:
    """How many of the prompts begin with an opening that the file records.

    Raises:
        ValueError: the file holds something else than hashes.
    """
    try:
        recorded = {int(line, 16) for line in openings_file.read_text().split()}
    except ValueError as error:
        raise ValueError(f"{openings_file}: allowed are hexadecimal hashes, one a line ({error})") from error
    return sum(opening_key(parse(prompt)[0]["content"]) in recorded for prompt in prompts)
