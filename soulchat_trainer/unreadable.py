"""What goes wrong where a file of weights is torn, and how it is told."""

import json
import pickle

from safetensors import SafetensorError

# Of safetensors, of torch.load (a damaged archive, an empty file, no archive at all), of the index of the shards.
UNREADABLE = (SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError, json.JSONDecodeError)


def cause_of(error: Exception) -> str:
    """The first line of an error of `UNREADABLE`; in place of pickle's, which advises to run what is in the file."""
    if isinstance(error, EOFError | pickle.UnpicklingError):
        return "a .bin file is empty, damaged or holds more than tensors"
    return (str(error).splitlines() or [type(error).__name__])[0]
