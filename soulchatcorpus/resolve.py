"""Makes `load_dataset("soulchatcorpus")` mean this package, in every directory.

`datasets` has no way to register a name that works without data files: loading scripts are gone since 4.0, and its
table of packaged modules looks for files in the current directory. Hence this wrapper around the one function that
turns a name into a builder, in the two modules that call it.
"""

import functools
from typing import Any

import datasets.config
import datasets.inspect
import datasets.load
from datasets.exceptions import DatasetGenerationError
from datasets.load import DatasetModule

NAME = "soulchatcorpus"

_resolve_other = datasets.load.dataset_module_factory


@functools.wraps(_resolve_other)
def resolve(path: str, *args: Any, **kwargs: Any) -> DatasetModule:
    """The builder of this package for `NAME`, whatever `datasets` says for any other path."""
    if path != NAME:
        return _resolve_other(path, *args, **kwargs)
    from .builder import hash_package

    return DatasetModule("soulchatcorpus.builder", hash_package(), {"dataset_name": NAME})


def load_splits(name: str, config: str | None = None, **given: Any) -> datasets.DatasetDict:
    """`datasets.load_dataset`, with what goes wrong while it writes to its cache told in one line.

    Raises:
        OSError: the splits cannot be prepared, as on a full disk.
        ValueError: there is no such data set; it is no corpus.
    """
    try:
        return datasets.load_dataset(name, config, **given)
    except DatasetGenerationError as error:
        cache = given.get("cache_dir", datasets.config.HF_DATASETS_CACHE)
        raise OSError(f"dataset {name} cannot be prepared in {cache}: {error.__cause__ or error}") from error


def register() -> None:
    """Let `datasets` resolve names with `resolve`."""
    datasets.load.dataset_module_factory = resolve
    datasets.inspect.dataset_module_factory = resolve
