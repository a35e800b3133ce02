"""Makes `load_dataset("soulchatcorpus")` mean this package, in every directory.

`datasets` has no way to register a name that works without data files: loading scripts are gone since 4.0, and its
table of packaged modules looks for files in the current directory. Hence this wrapper around the one function that
turns a name into a builder, in the two modules that call it, put there as soon as somebody imports them.
"""

import functools
from typing import TYPE_CHECKING, Any

from wrapt import register_post_import_hook

if TYPE_CHECKING:
    from datasets.load import DatasetModule

NAME = "soulchatcorpus"


def register() -> None:
    """Let `datasets` resolve our name: now where it is imported already, else when it will be."""
    register_post_import_hook(_teach, "datasets.inspect")


def _teach(inspect: Any) -> None:
    import datasets.load  # `inspect` has imported it

    resolve_other = datasets.load.dataset_module_factory

    @functools.wraps(resolve_other)
    def resolve(path: str, *args: Any, **kwargs: Any) -> "DatasetModule":
        """The builder of this package for `NAME`, whatever `datasets` says for any other path."""
        if path != NAME:
            return resolve_other(path, *args, **kwargs)
        from .builder import hash_package

        return datasets.load.DatasetModule("soulchatcorpus.builder", hash_package(), {"dataset_name": NAME})

    datasets.load.dataset_module_factory = inspect.dataset_module_factory = resolve
