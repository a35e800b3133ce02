"""Model cards, rendered through templates from what was measured: a number that is missing reads "not measured"."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import jinja2
from huggingface_hub import ModelCardData

from soulchatcorpus.care.privacy import mask_private
from soulchatcorpus.files import read_object
from soulchatcorpus.schema import Message

from .install import origin, pip_install
from .licences import OPEN_LICENCES, BaseModel, ModelLicence, model_licence
from .markdown import cell, code, plain
from .metadata import VOCABULARY, dataset_metadata, dump_yaml, model_metadata
from .predictions import PREDICTIONS_FILE, Prediction, read_predictions
from .results import METRICS, RESULTS_FILE, Results, read_results
from .sources import Origin

if TYPE_CHECKING:
    from datasets import DatasetInfo

BUILD_FILE = "build.json"
NOT_MEASURED = "not measured"
NOT_STATED = "not stated"
NUM_REPLIES = 5
# Of some hundred arguments of a run, those by which a reader could repeat it.
SETTINGS = (
    "model_config",
    "tokenizer_vocab_size",
    "torch_dtype",
    "bf16",
    "fp16",
    "lora_rank",
    "lora_alpha",
    "lora_target_modules",
    "pre_seq_len",
    "prefix_projection",
    "loss_on",
    "glm_objective",
    "max_source_length",
    "max_target_length",
    "global_batch_size",
    "max_tokens",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "gradient_checkpointing",
    "max_steps",
    "num_train_epochs",
    "optim",
    "learning_rate",
    "muon_learning_rate",
    "adam_beta1",
    "adam_beta2",
    "weight_decay",
    "max_grad_norm",
    "lr_scheduler_type",
    "warmup_steps",
    "warmup_type",
    "seed",
)
# Of them, those that say something of a run that learned from preferences alone.
PREFERENCE_SETTINGS = (
    *("objective", "beta", "label_smoothing", "sft_weight", "sft_on", "desirable_weight", "undesirable_weight"),
)


def render_model_card(
    results: Results,
    *,
    repo_id: str | None = None,
    model_type: str = "chatglm",
    base_model: BaseModel | None = None,
    predictions: Sequence[Prediction] = (),
    loss_figure: str | None = None,
) -> str:
    """The whole README.md of a model: YAML for the Hub, then usage, results, replies, training, limits and terms.

    Args:
        results: what was measured; what they lack reads "not measured".
        repo_id: where it is published, such as "user/soulchat-demo"; None for a local folder.
        model_type: as in the model's config.json; "chatglm" needs our package to load, and the card says so.
        base_model: what the weights started from; None where they were trained from nothing.
        predictions: rows of predictions.jsonl; the first five are shown, unpicked.
        loss_figure: path of the loss curve inside the folder.
    """
    decoding = results.decoding.arguments if results.decoding else {}
    licence = model_licence(model_type, base_model, results.dataset.licence)
    metadata = model_metadata(results, repo_id=repo_id, model_type=model_type, base_model=base_model, licence=licence)
    return (
        _environment()
        .get_template("model_card.md")
        .render(
            metadata=ModelCardData(**metadata).to_yaml(),
            toolkit_origin=origin(),
            toolkit_install=pip_install("train"),
            results=results.model_dump(),
            own=results.own and results.own.model_dump(),
            any_seen=any(system.seen for system in results.systems),
            metrics=METRICS,
            title=repo_id or f"SoulChat model, recipe {results.recipe or 'not named'}",
            repo_id=repo_id or ".",
            model_type=model_type,
            base_model=base_model,
            licence=licence,
            replies=[(row, last_user_message(row.messages)) for row in predictions[:NUM_REPLIES]],
            may_show_data=(results.dataset.licence or "").lower() in OPEN_LICENCES,
            loss_figure=loss_figure,
            fallen=[change.model_dump() for change in results.preferences.fallen] if results.preferences else [],
            decoding="".join(f", {name}={value!r}" for name, value in decoding.items()),
            arguments=_shown_arguments(results.training.arguments if results.training else {}),
        )
    )


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What the files of a model's folder say of it; `predictions` are the first rows of predictions.jsonl."""

    results: Results
    model_type: str
    base_model: BaseModel | None
    licence: ModelLicence
    predictions: list[Prediction]
    loss_figure: str | None


def describe_model(folder: Path, licence: str | None = None) -> ModelDescription:
    """Read results.json, config.json or adapter_config.json, predictions.jsonl, and look for loss.png.

    `licence` is that of the base model, where it has another one than ChatGLM's.

    Raises:
        FileNotFoundError: the folder has no results.json.
        ValueError: one of the files is not of its form.
    """
    results = read_results(folder / RESULTS_FILE)
    adapter, config = _read_json(folder / "adapter_config.json"), _read_json(folder / "config.json")
    base = adapter.get("base_model_name_or_path") or _base_name(results)
    tokenizer = str(_read_json(folder / "tokenizer_config.json").get("tokenizer_class"))
    # An adapter has no config.json of its own; its tokenizer tells the family.
    model_type = config.get("model_type") or ("chatglm" if tokenizer.startswith("ChatGLM") else "causal-lm")
    part: Literal["all", "adapter", "prefix"]
    part = "adapter" if adapter else "prefix" if config.get("pre_seq_len") else "all"
    base_model = BaseModel(base, part, licence) if base else None
    predictions = folder / PREDICTIONS_FILE
    return ModelDescription(
        results,
        model_type,
        base_model,
        model_licence(model_type, base_model, results.dataset.licence),
        read_predictions(predictions, NUM_REPLIES) if predictions.is_file() else [],
        "loss.png" if (folder / "loss.png").is_file() else None,
    )


def model_card_of(folder: Path, repo_id: str | None = None) -> str:
    """The card of a model's folder, from the files that `describe_model` reads."""
    return render_described(describe_model(folder), repo_id)


def render_described(described: ModelDescription, repo_id: str | None = None) -> str:
    """The card of a model that `describe_model` has looked at."""
    return render_model_card(
        described.results,
        repo_id=repo_id,
        model_type=described.model_type,
        base_model=described.base_model,
        predictions=described.predictions,
        loss_figure=described.loss_figure,
    )


def data_terms(results: Results) -> str:
    """What the training data's publisher asks of whoever passes on what was made of it."""
    return _environment().get_template("data_terms.md").render(results=results.model_dump())


def render_dataset_card(
    build: dict[str, Any],
    *,
    repo_id: str,
    infos: Mapping[str, "DatasetInfo"],
    patterns: dict[str, dict[str, str]],
    figures: Mapping[str, str],
) -> str:
    """The whole README.md of a corpus: YAML for the Hub, then a datasheet filled from what was counted.

    Args:
        build: what `build_report.collect_build` brings together, and `origins`: source, licence and number of the
            records; what it lacks reads "not measured".
        repo_id: where it is published, such as "user/my-corpus".
        infos: features and exact sizes by config.
        patterns: pattern of the Parquet files by config and split; the first config is the default one.
        figures: captions by file name, of figures inside the folder.
    """
    origins = [Origin(**origin) for origin in build.get("origins", [])]
    licences = {origin.licence for origin in origins}
    is_one = len(licences) == 1 and licences <= set(VOCABULARY["licences"])
    own_terms = {"license": "other", "license_name": "terms-of-the-sources", "license_link": "LICENSE"}
    metadata = {
        "pretty_name": repo_id.split("/")[-1],
        **({"license": licences.pop()} if is_one else own_terms),
        "source_datasets": [f"extended|other-{slug(origin.source)}" for origin in origins],
        "tags": ["counselling", "empathy", "multi-turn"],
    }
    template = _environment().get_template("dataset_card.md")
    body = template.render(build=build, repo_id=repo_id, infos=infos, origins=origins, figures=figures)
    return f"---\n{dump_yaml(dataset_metadata(metadata, patterns, infos))}---\n\n{body}"


def slug(words: str) -> str:
    """Words as one lower-case word for a tag."""
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-") or "unnamed"


def last_user_message(messages: Sequence[Message]) -> str:
    """What the user said last."""
    return next((message["content"] for message in reversed(messages) if message["role"] == "user"), "")


def _base_name(results: Results) -> str | None:
    return results.training.arguments.get("model_name_or_path") if results.training else None


def _lookup(source: dict[str, Any] | None, path: str) -> Any:
    """The value at a dotted path such as "training.seconds", or None where any part of it is absent."""
    value: Any = source
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _shown_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings that the run recorded, in that order; a 0 is one, what is off or overruled is not."""
    learns_preferences = arguments.get("objective") not in (None, "sft")
    shown = {name: arguments.get(name) for name in (*(PREFERENCE_SETTINGS if learns_preferences else ()), *SETTINGS)}
    if not shown["lora_rank"]:
        shown["lora_alpha"] = None
    if shown["max_tokens"]:  # micro-batches are filled by tokens instead
        shown["global_batch_size"] = shown["per_device_train_batch_size"] = None
    if (shown["max_steps"] or -1) > 0:
        shown["num_train_epochs"] = None
    return {name: value for name, value in shown.items() if value not in (None, "") and value is not False}


def _measured(source: dict[str, Any] | None, path: str, form: str = "{}") -> str:
    """The value at `path`, formatted; "not measured" where the file does not hold it. For a table's cell."""
    value = _lookup(source, path)
    return NOT_MEASURED if value is None else cell(form.format(value))


def _measured_code(source: dict[str, Any] | None, path: str) -> str:
    """The same as a code span."""
    value = _lookup(source, path)
    return NOT_MEASURED if value is None else cell(code(str(value)))


def _stated(source: dict[str, Any] | None, path: str) -> str:
    """The value at `path`, which somebody says and nobody measures; "not stated" where the file does not hold it."""
    value = _lookup(source, path)
    return NOT_STATED if value is None else plain(str(value))


def _literal(text: str) -> str:
    """Text as a string of Python in a block of code."""
    return json.dumps(text, ensure_ascii=False)


def _quote(text: str) -> str:
    """Text of a reply as Markdown quotation, whatever marks it holds; private details as their kinds."""
    return "\n".join("> " + plain(line) for line in mask_private(text).splitlines()) or "> (nothing)"


@cache
def _environment() -> jinja2.Environment:
    """Templates beside this file; a name that the code does not give is an error, never an empty place."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(resources.files("hub_cards") / "templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quote"] = _quote
    environment.filters |= {"cell": cell, "code": code, "plain": plain, "literal": _literal}
    environment.globals |= {"lookup": _lookup, "measured": _measured, "measured_code": _measured_code}
    environment.globals |= {"stated": _stated, "not_measured": NOT_MEASURED}
    return environment


def _read_json(path: Path) -> dict[str, Any]:
    return read_object(path) if path.is_file() else {}
