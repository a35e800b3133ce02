"""Reading `results.json`, the one file in which training and the benchmark leave their numbers."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

SCHEMA_VERSION = 1
RESULTS_FILE = "results.json"
METRICS = {
    "bleu-1": "BLEU-1",
    "bleu-2": "BLEU-2",
    "bleu-3": "BLEU-3",
    "bleu-4": "BLEU-4",
    "rouge-1": "ROUGE-1",
    "rouge-2": "ROUGE-2",
    "rouge-l": "ROUGE-L",
}


def read_results(path: Path) -> dict[str, Any]:
    """The checked content of one results.json.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON, or not of the form that `check_results` asks for.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no results; a model is published with the numbers that it was measured by")
    try:
        results = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    try:
        check_results(results)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return results


def check_results(results: dict[str, Any]) -> None:
    """Refuse results of another form: a ValueError names the key, what was found and what is allowed."""
    if not isinstance(results, dict):
        raise ValueError(f"results are {type(results).__name__}; a JSON object is needed")
    if results.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"schema_version is {results.get('schema_version')!r}; {SCHEMA_VERSION} is needed")
    if not isinstance(results.get("dataset"), dict) or not isinstance(results["dataset"].get("name"), str):
        raise ValueError("dataset.name is missing; results name the data that they were measured on")
    if not isinstance(results.get("systems"), list):
        raise ValueError("systems is missing; a list is needed, empty where nothing was scored yet")
    for index, system in enumerate(results["systems"]):
        if not isinstance(system, dict) or not isinstance(system.get("name"), str):
            raise ValueError(f"systems[{index}].name is missing")
    for key, number in _numbers(results):
        if not math.isfinite(number):
            raise ValueError(f"{key} is {number}; a finite number, or null where nothing was measured, is needed")


def own_system(results: dict[str, Any]) -> dict[str, Any] | None:
    """The system that the card is about: the one called "trained", else the only model; None if neither is there."""
    models = [system for system in results["systems"] if system.get("kind") == "model"]
    trained = [system for system in models if system["name"] == "trained"] or models
    return trained[0] if len(trained) == 1 else None


def metric_values(system: dict[str, Any]) -> dict[str, float]:
    """The measured ones of the paper's seven metrics, by their shown name."""
    values = system.get("metrics") or {}
    return {shown: values[key] for key, shown in METRICS.items() if values.get(key) is not None}


def sampling_arguments(results: dict[str, Any]) -> dict[str, Any]:
    """The decoding that the replies were made with, as `generate` takes it; empty where it was not recorded."""
    decoding = results.get("decoding") or {}
    given = {name: value for name, value in decoding.items() if name != "seed" and value is not None}
    return {"do_sample": True} | given if decoding else {}


def lookup(source: dict[str, Any] | None, path: str) -> Any:
    """The value at a dotted path such as "training.seconds", or None where any part of it is absent."""
    value: Any = source
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every float in the tree with its path."""
    if isinstance(value, float):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _numbers(item, f"{path}[{index}]")
