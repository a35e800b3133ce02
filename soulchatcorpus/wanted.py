"""What pydantic wants in the place of a value that it refuses, in plain words: the end of an error's line."""

import re

from pydantic_core import ErrorDetails

_WANTED = {
    "missing": "a value, as there is no default",
    "json_invalid": "JSON",
    "dict_type": "an object",
    "model_type": "an object",
    "tuple_type": "a valid list",
}


def describe_wanted(error: ErrorDetails) -> str:
    """What is allowed where an error was found."""
    if error["type"] in _WANTED:
        return _WANTED[error["type"]]
    wanted = error["msg"].removeprefix("Input should be ").partition(", unable to parse")[0]
    wanted = re.sub(r"greater than or equal to (\S+)", r"\1 or more", wanted)
    wanted = re.sub(r"less than or equal to (\S+)", r"\1 or less", wanted)
    return re.sub(r"\w+ should have at least (\d+ (?:character|item)s?).*", r"\1 or more", wanted)
