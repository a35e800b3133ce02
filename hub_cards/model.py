"""From a run's folder to the files of a model repository: weights, tokenizer, decoding, results, card, licence."""

from fnmatch import fnmatch
from importlib import resources
from pathlib import Path
from typing import Any

from soulchatcorpus.files import read_object, write_json, write_text

from .cards import PREFERENCE_SETTINGS, SETTINGS, data_terms, describe_model, render_described
from .metadata import EVAL_RESULTS_FILE, eval_results_yaml
from .predictions import PREDICTIONS_FILE
from .results import RESULTS_FILE, Results, Training, read_results
from .staging import stage_file

CARD = "README.md"
LICENCE_FILE = "LICENSE"
PREFIX_FILE = "prefix_encoder.safetensors"
# What a model repository holds. Not among it: optimizer states, pickles, checkpoints, and predictions.jsonl, which
# carries the test data.
PUBLISHED = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "adapter_config.json",
    "generation_config.json",
    "tokenizer*",
    "*.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "chat_template.jinja",
    "loss.png",
    "training_openings.txt",  # hashes that tell a benchmark which dialogues the model has seen
    RESULTS_FILE,
)
PUBLISHED_ARGUMENTS = (*PREFERENCE_SETTINGS, *SETTINGS, "model_name_or_path")
# Publishing again removes these where the folder no longer has them.
OURS = ("*.safetensors", "*.safetensors.index.json", ".eval_results/*", RESULTS_FILE, "loss.png", LICENCE_FILE)


def write_model_card(folder: Path, repo_id: str | None = None, licence: str | None = None) -> None:
    """Write README.md, LICENSE where one is needed, and for a benchmark `.eval_results`, from the folder's files.

    Raises:
        FileNotFoundError: there is no results.json.
        ValueError: results.json or predictions.jsonl is not of its form.
    """
    described = describe_model(folder, licence)
    write_text(folder / CARD, render_described(described, repo_id))
    if described.licence.link == LICENCE_FILE:
        write_text(folder / LICENCE_FILE, _licence_text(described.licence.name, described.results))
    entries = eval_results_yaml(described.results)
    if entries is not None:
        write_text(folder / EVAL_RESULTS_FILE, entries)


def stage_model(
    folder: Path,
    staged: Path,
    *,
    repo_id: str,
    base_model: str | None = None,
    licence: str | None = None,
    dataset: tuple[str, str | None] | None = None,
    is_benchmark: bool = False,
    knows_of_falls: bool = False,
) -> None:
    """Lay out in `staged`, an empty folder, what is published of the run in `folder`.

    Args:
        folder: holds weights (safetensors), config.json or adapter_config.json, tokenizer, results.json.
        repo_id: where it goes; the card's usage lines name it.
        base_model: Hub id of the base, where the run started from a local folder.
        licence: Hub licence id of a base, or, where there is none, of training data, whose licence is not known here.
        dataset: Hub id and revision of the data set that it was trained and measured on, where that is published.
        is_benchmark: whether the Hub lists that data set as a benchmark.
        knows_of_falls: whoever publishes knows that safety fell in training; the card says so in its first line.

    Raises:
        FileNotFoundError: no such folder, no results, no weights, no config.
        ValueError: safety fell in training, and nobody says that they know.
        ValueError: weights that are pickles, a link that leads out of the folder, a base model that is a local path,
            or a benchmark that has no name.
    """
    if is_benchmark and dataset is None:
        raise ValueError("benchmark is set without a data set; allowed: with `dataset`, its name on the Hub")
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder; allowed: that of a trained model")
    results = read_results(folder / RESULTS_FILE)
    _check_falls(results, knows_of_falls)
    config = _read_config(folder)
    for path in sorted(folder.iterdir()):
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in PUBLISHED):
            stage_file(path, folder, staged)
    if config.get("pre_seq_len"):
        _keep_prefix_only(staged)
    if results.training:
        # The others are of the machine: folders, workers, services.
        arguments = results.training.arguments
        results.training.arguments = {n: v for n, v in arguments.items() if n in PUBLISHED_ARGUMENTS}
    if _name_base_model(staged, results, base_model) is None and not results.dataset.licence:
        results.dataset.licence = licence
    if dataset is not None:
        results.dataset.hub_id, results.dataset.revision = dataset
        results.dataset.benchmark = is_benchmark
    results.write(staged / RESULTS_FILE)
    _write_decoding(staged, results)
    predictions = folder / PREDICTIONS_FILE
    if predictions.is_file():
        stage_file(predictions, folder, staged)
    write_model_card(staged, repo_id, licence)
    (staged / predictions.name).unlink(missing_ok=True)


def _check_falls(results: Results, knows_of_falls: bool) -> None:
    fallen = results.preferences.fallen if results.preferences else []
    if fallen and not knows_of_falls:
        told = ", ".join(f"{change.aspect} from {change.before:.2f} to {change.after:.2f}" for change in fallen)
        raise ValueError(
            f"training by preferences made this model less safe ({told}); allowed: --i-know, which says that you know "
            "it and publish the model with a card that says so in its first line"
        )


def _read_config(folder: Path) -> dict[str, Any]:
    """config.json or adapter_config.json, after a look at whether the folder is a model at all."""
    names = [name for name in ("config.json", "adapter_config.json") if (folder / name).is_file()]
    if not names:
        raise FileNotFoundError(f"{folder} has no config.json and no adapter_config.json; allowed: a saved model")
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(path.name for path in folder.glob("*.bin"))
        found = f"the pickle {pickles[0]}, which can run code on load" if pickles else "no weights"
        raise FileNotFoundError(f"{folder} has {found}; allowed: weights as *.safetensors")
    return read_object(folder / names[0])


def _name_base_model(staged: Path, results: Results, base_model: str | None) -> str | None:
    """Replace a local path of the base by its Hub id, in the files that a stranger loads; the base's name."""
    adapter_path = staged / "adapter_config.json"
    adapter = read_object(adapter_path) if adapter_path.is_file() else {}
    training = results.training or Training()
    named = adapter.get("base_model_name_or_path") or training.arguments.get("model_name_or_path")
    if base_model is None:
        if named is not None and (Path(named).exists() or named.count("/") != 1):
            raise ValueError(
                f"base model is {named!r}, a local folder; allowed: `base_model` with its name on the Hub"
            )
        return named
    if adapter:
        write_json(adapter_path, adapter | {"base_model_name_or_path": base_model})
    training.arguments["model_name_or_path"] = base_model
    results.training = training
    return base_model


def _write_decoding(staged: Path, results: Results) -> None:
    """generation_config.json with the decoding that the results were made with (the paper's, section 3.2)."""
    if (staged / "adapter_config.json").is_file() or results.decoding is None:
        return
    path = staged / "generation_config.json"
    config = read_object(path) if path.is_file() else {}
    write_json(path, config | results.decoding.arguments)


def _keep_prefix_only(staged: Path) -> None:
    """P-Tuning v2: replace the whole model's weights by the prefix encoder's, which are all that was trained."""
    from safetensors import safe_open  # with torch, which knows bfloat16; nothing else here needs it
    from safetensors.torch import save_file

    prefix: dict[str, Any] = {}
    for path in sorted(staged.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            prefix |= {name: file.get_tensor(name) for name in file.keys() if "prefix_encoder." in name}  # noqa: SIM118
        path.unlink()
    if not prefix:
        raise ValueError("config.json has pre_seq_len, but the weights hold no prefix_encoder; is the run complete?")
    (staged / "model.safetensors.index.json").unlink(missing_ok=True)
    save_file(prefix, staged / PREFIX_FILE)


def _licence_text(name: str | None, results: Results) -> str:
    if name == "chatglm-6b":
        return (resources.files("hub_cards") / "templates" / "CHATGLM_LICENSE").read_text(encoding="utf-8")
    stated = results.dataset.licence or "licence not stated"
    return f"Training data: {results.dataset.name}, {stated}.\n\n{data_terms(results)}"
