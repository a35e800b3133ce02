"""Makes `load_dataset("soulchatcorpus")` mean this package, in every directory.

`datasets` has no way to register a name that works without data files: loading scripts are gone since 4.0, and its
table of packaged modules looks for files in the current directory. Hence this wrapper around the one function that
turns a name into a builder, in the two modules that call it.
"""

import functools
from pathlib import Path
from typing import Any

import datasets.inspect
import datasets.load
from datasets.load import DatasetModule

NAME = "soulchatcorpus"
FOLDER = Path(__file__).parent

_resolve_other = datasets.load.dataset_module_factory


@functools.wraps(_resolve_other)
def resolve(path: str, *args: Any, **kwargs: Any) -> DatasetModule:
    """The builder of this package for `NAME`, whatever `datasets` says for any other path."""
    return _resolve_other(str(FOLDER) if path == NAME else path, *args, **kwargs)


def register() -> None:
    """Let `datasets` resolve names with `resolve`."""
    datasets.load.dataset_module_factory = resolve
    datasets.inspect.dataset_module_factory = resolve
