"""Whether the YAML of a card is built as the Hub's keys are, so that the rules can read what is in them."""

import reprlib
from collections.abc import Iterator
from typing import Any

# A dict names keys, one with ? may be left out; a list holds what its only element says; a tuple allows each part.
_TEXTS = (str, [str])
_FILES = (str, [(str, {"split": str, "path": _TEXTS})])
_SPLITS = {"splits": [{"name": str, "num_bytes": int, "num_examples": int}]}
_RESULT = {"task?": {}, "dataset?": {}, "metrics?": [{"name?": str}]}
SHAPE = {
    "configs?": [{"config_name?": str, "data_files?": _FILES}],
    "dataset_info?": ({"config_name?": str, **_SPLITS}, [{"config_name": str, **_SPLITS}]),
    "model-index?": [{"name?": str, "results?": [_RESULT]}],
    **dict.fromkeys(("language?", "license?", "datasets?", "size_categories?", "task_categories?"), _TEXTS),
    **dict.fromkeys(("sdk?", "app_file?", "title?", "short_description?", "license_link?", "license_name?"), str),
}
_WORDS = {str: "text", int: "a whole number"}


def find_misshapen(value: Any, shape: Any = SHAPE, path: str = "") -> Iterator[str]:
    """A line for everything in `value` that is not of the shape: its place, what stands there, what is needed."""
    if isinstance(shape, tuple):
        found = [list(find_misshapen(value, allowed, path)) for allowed in shape]
        if [] not in found:
            yield from found[-1 if isinstance(value, list | dict) else 0]
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            yield f"{path} is {reprlib.repr(value)}; allowed: keys with values"
            return
        for key, inner in shape.items():
            name = key.removesuffix("?")
            if value.get(name) is not None:
                yield from find_misshapen(value[name], inner, f"{path}.{name}" if path else name)
            elif name == key:
                yield f"{path}.{name} is missing"
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{path} is {reprlib.repr(value)}; allowed: a list"
            return
        for index, item in enumerate(value):
            yield from find_misshapen(item, shape[0], f"{path}[{index}]")
    elif not isinstance(value, shape) or isinstance(value, bool):
        yield f"{path} is {reprlib.repr(value)}; allowed: {_WORDS[shape]}"
