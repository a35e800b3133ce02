"""What goes wrong where weights are read or written, and how it is told."""

import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

# Of safetensors, of torch.load (a damaged archive, an empty file, no archive at all), of the index of the shards.
UNREADABLE = (SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError, json.JSONDecodeError)
# What writing weights raises.
SAVING_ERRORS = (OSError, RuntimeError, SafetensorError)


def cause_of(error: Exception) -> str:
    """The first line of an error of `UNREADABLE`; in place of pickle's, which advises to run what is in the file."""
    if isinstance(error, EOFError | pickle.UnpicklingError):
        return "a .bin file is empty, damaged or holds more than tensors"
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextmanager
def saving(what: str, folder: Path, otherwise: str) -> Iterator[None]:
    """Say of everything that writing weights raises what could not be saved where, and what is there `otherwise`."""
    try:
        yield
    except SAVING_ERRORS as error:
        raise not_written(what, folder, error, otherwise) from error


def not_written(what: str, folder: Path, error: Exception, otherwise: str) -> OSError:
    """The one line for it."""
    return OSError(f"{what} could not be written to {folder} ({error}); {otherwise}")
