"""Splits by name for our own commands: `datasets.load_dataset`, with a fault of its cache told in one line."""

from typing import Any

import datasets
from datasets.exceptions import DatasetGenerationError


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
