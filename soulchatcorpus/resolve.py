"""Makes `load_dataset("soulchatcorpus")` mean this package, in every directory.

`datasets` has no way to register a name that works without data files: loading scripts are gone since 4.0, and its
table of packaged modules looks for files in the current directory. Hence this wrapper around the one function that
turns a name into a builder, in the two modules that call it.
"""

import functools
from typing import Any

import datasets.inspect
import datasets.load
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


def register() -> None:
    """Let `datasets` resolve names with `resolve`."""
    datasets.load.dataset_module_factory = resolve
    datasets.inspect.dataset_module_factory = resolve
