"""Rules for the YAML at the head of a card, by kind of repository, as the Hub states them."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from .finding import Finding
from .licences import CHATGLM_LICENCE, is_chatglm_6b
from .metadata import VOCABULARY

CARD = "README.md"
RELATIONS = {"finetune", "adapter", "merge", "quantized"}
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z]+)*|code|multilingual")


def check_model_metadata(metadata: dict[str, Any], folder: Path) -> Iterator[Finding]:
    """Licence, language, task, library, base model and `model-index` of a model card."""
    yield from _needs(metadata, "library_name", "pipeline_tag", "language")
    yield from _licence(metadata, folder, "; `--licence` states it")
    yield from _languages(metadata)
    yield from _known(metadata, "pipeline_tag", VOCABULARY["tasks"])
    for base in as_list(metadata.get("base_model")):
        if not _is_repo_id(base):
            yield Finding(
                CARD,
                1,
                f"base_model is {base!r}; allowed: the id of a repository on the Hub, which `--base-model` names",
            )
    bases = [str(base) for base in as_list(metadata.get("base_model"))]
    if metadata.get("license_name") == CHATGLM_LICENCE and not any(map(is_chatglm_6b, bases)):
        found = ", ".join(bases) or "none"
        yield Finding(CARD, 1, f"base_model is {found}; allowed with license_name {CHATGLM_LICENCE}: ChatGLM-6B")
    relation = metadata.get("base_model_relation")
    if relation is not None and relation not in RELATIONS:
        yield Finding(CARD, 1, f"base_model_relation is {relation!r}; allowed: {', '.join(sorted(RELATIONS))}")
    if (folder / "adapter_config.json").is_file() and not metadata.get("base_model"):
        yield Finding(CARD, 1, "base_model is missing; an adapter names its base, which `--base-model` does")
    yield from _model_index(metadata.get("model-index"))


def check_dataset_metadata(metadata: dict[str, Any], folder: Path) -> Iterator[Finding]:
    """Licence, language, categories, sources, access text and `configs` of a dataset card."""
    yield from _needs(
        metadata, "language", "size_categories", "task_categories", "source_datasets", "configs", "dataset_info"
    )
    yield from _needs(metadata, "extra_gated_prompt")
    yield from _licence(metadata, folder)
    yield from _languages(metadata)
    yield from _known(metadata, "task_categories", VOCABULARY["tasks"])
    yield from _known(metadata, "size_categories", VOCABULARY["size_categories"])
    for config in as_list(metadata.get("configs")):
        for files in as_list(config.get("data_files")):
            for pattern in as_list(files["path"] if isinstance(files, dict) else files):
                if not any(folder.glob(pattern)):
                    yield Finding(CARD, 1, f"config {config.get('config_name')}: no file fits {pattern}")


def check_space_metadata(metadata: dict[str, Any], folder: Path) -> Iterator[Finding]:
    """Title, SDK, start file and colours of a Space."""
    yield from _needs(metadata, "title", "sdk")
    if metadata.get("sdk") not in {"gradio", "docker", "static"}:
        yield Finding(CARD, 1, f"sdk is {metadata.get('sdk')!r}; allowed: gradio, docker, static")
    if metadata.get("sdk") == "gradio":
        yield from _needs(metadata, "sdk_version")
        app_file = metadata.get("app_file") or "app.py"
        if not (folder / app_file).is_file():
            yield Finding(CARD, 1, f"app_file is {app_file}, which is not there; allowed: a file of the folder")
    yield from _known(metadata, "colorFrom", VOCABULARY["colours"])
    yield from _known(metadata, "colorTo", VOCABULARY["colours"])
    length = len(metadata.get("short_description") or "")
    if length > 60:
        yield Finding(CARD, 1, f"short_description is {length} characters long; allowed: 60")
    yield from _licence(metadata, folder)


def _needs(metadata: dict[str, Any], *keys: str) -> Iterator[Finding]:
    for key in keys:
        if metadata.get(key) in (None, "", [], {}):
            yield Finding(CARD, 1, f"{key} is missing")


def _licence(metadata: dict[str, Any], folder: Path, how: str = "") -> Iterator[Finding]:
    """A licence that the Hub knows; "other" with a name, and the text that it links. `how` says who can state one."""
    yield from _needs(metadata, "license")
    yield from _known(metadata, "license", VOCABULARY["licences"])
    if metadata.get("license") == "unknown":
        yield Finding(CARD, 1, f"license is unknown; allowed: one under which others may use it{how}")
    if metadata.get("license") != "other":
        return
    yield from _needs(metadata, "license_name", "license_link")
    link = metadata.get("license_link") or ""
    if link and not link.startswith("https://") and not (folder / link).is_file():
        yield Finding(
            CARD, 1, f"license_link is {link}, which is not there; allowed: a file of the folder, or https://…"
        )


def _languages(metadata: dict[str, Any]) -> Iterator[Finding]:
    for language in as_list(metadata.get("language")):
        if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
            yield Finding(CARD, 1, f"language is {language!r}; allowed: an ISO 639 code such as zh")


def _known(metadata: dict[str, Any], key: str, allowed: list[str]) -> Iterator[Finding]:
    for value in as_list(metadata.get(key)):
        if value not in allowed:
            near = difflib.get_close_matches(str(value), allowed) or allowed[:10]
            more = ", …" if len(near) < len(allowed) else ""
            yield Finding(CARD, 1, f"{key} is {value!r}; allowed: {', '.join(near)}{more}")


def _model_index(index: Any) -> Iterator[Finding]:
    """The parts of `model-index` that the Hub requires (hub-docs modelcard.md)."""
    for model in as_list(index):
        if not isinstance(model, dict) or not model.get("name") or not isinstance(model.get("results"), list):
            yield Finding(CARD, 1, "model-index: every entry needs a name and a list of results")
            continue
        for result in model["results"]:
            for part, key in (("task", "type"), ("dataset", "type"), ("dataset", "name")):
                if not (result.get(part) or {}).get(key):
                    yield Finding(CARD, 1, f"model-index: {part}.{key} is missing")
            for metric in as_list(result.get("metrics")):
                if not metric.get("type") or not isinstance(metric.get("value"), int | float):
                    yield Finding(
                        CARD, 1, f"model-index: a metric is {metric}; allowed: a type with a number as value"
                    )


def _is_repo_id(name: Any) -> bool:
    try:
        validate_repo_id(name)
    except (HFValidationError, TypeError):
        return False
    return name.count("/") == 1


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
