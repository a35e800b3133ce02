"""Splits by name for our own commands: `datasets.load_dataset`, with a fault of its cache told in one line."""

from pathlib import Path
from typing import Any

import datasets
from datasets.exceptions import DatasetGenerationError
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from .files import show
from .reading.containers import COMPRESSED, SUFFIXES


def check_dataset_name(name: str) -> None:
    """Raises FileNotFoundError for what is not here and no name that the Hub can know: it need not be asked."""
    if (name and Path(name).exists()) or name.startswith("hf://"):
        return
    try:
        validate_repo_id(name)
        can_be_known = Path(name).suffix not in (*SUFFIXES, *COMPRESSED)
    except HFValidationError:
        can_be_known = False
    if not can_be_known:
        raise FileNotFoundError(
            f"dataset {show(name)}: no such file; allowed: a file, a folder or a name for load_dataset"
        )


def load_splits(name: str, config: str | None = None, **given: Any) -> datasets.DatasetDict:
    """What `datasets.load_dataset` returns for a name, a config and what else is given.

    Raises:
        OSError: the splits cannot be prepared, as on a full disk.
        ValueError: there is no such data set; it is no corpus.
    """
    try:
        return datasets.load_dataset(name, config, **given)
    except DatasetGenerationError as error:
        cache = given.get("cache_dir", datasets.config.HF_DATASETS_CACHE)
        raise OSError(f"dataset {name} cannot be prepared in {cache}: {error.__cause__ or error}") from error
