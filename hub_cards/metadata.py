"""The YAML at the head of a card, and the `.eval_results` files, as the Hub specifies them.

Specifications: hub-docs `modelcard.md`, `datasetcard.md` and `docs/hub/eval-results.md`.
"""

import json
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

import yaml
from huggingface_hub import DatasetCardData, EvalResult, EvalResultEntry, eval_result_entries_to_yaml

from .licences import BaseModel, ModelLicence
from .results import METRICS, Results, System

if TYPE_CHECKING:  # it takes longer to import than a model's card to write
    from datasets import DatasetInfo

VOCABULARY = json.loads((resources.files("hub_cards") / "vocabulary.json").read_text(encoding="utf-8"))
EVAL_RESULTS_FILE = ".eval_results/soulchat_metrics.yaml"
BENCHMARK_FILE = "eval.yaml"


def model_metadata(
    results: Results,
    *,
    repo_id: str | None,
    model_type: str,
    base_model: BaseModel | None,
    licence: ModelLicence,
) -> dict[str, Any]:
    """Keyword arguments of `huggingface_hub.ModelCardData` for these results."""
    metadata: dict[str, Any] = {
        "language": ["zh"],
        "license": licence.id,
        "license_name": licence.name,
        "license_link": licence.link,
        "library_name": "peft" if base_model and base_model.part == "adapter" else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["soulchat", "empathy", "counselling", model_type, "conversational"],
        "metrics": ["bleu", "rouge", "perplexity"],
    }
    if results.dataset.hub_id:  # the Hub takes ids only, no other names
        metadata["datasets"] = [results.dataset.hub_id]
    if base_model:
        metadata |= {"base_model": base_model.id, "base_model_relation": base_model.relation}
    eval_results = _eval_results(results)
    if eval_results:
        metadata |= {"model_name": repo_id or "soulchat", "eval_results": eval_results}
    return metadata


def eval_results_yaml(results: Results) -> str | None:
    """The text of `.eval_results/soulchat_metrics.yaml`, one entry a metric.

    None where nothing was scored, or not on a benchmark of the Hub, which passes over all other data sets.
    """
    system = results.own
    if system is None or not system.measured or not (results.dataset.hub_id and results.dataset.benchmark):
        return None
    by_shown_name = {shown: key for key, shown in METRICS.items()}
    entries = [
        EvalResultEntry(
            dataset_id=results.dataset.hub_id,
            task_id=by_shown_name[shown],
            value=value,
            dataset_revision=results.dataset.revision,
            date=results.created,
            notes=_notes(results, system),
        )
        for shown, value in system.measured.items()
    ]
    return dump_yaml(eval_result_entries_to_yaml(entries))


def benchmark_yaml(repo_id: str, config: str) -> str:
    """The text of a data set's `eval.yaml`: a task for each metric, since a result of the Hub is one number.

    Args:
        repo_id: of the data set.
        config: the one whose split `test` is answered.
    """
    benchmark = {
        "name": repo_id.split("/")[1],
        "description": "Replies to held-out turns of counselling conversations, scored by soulchat_metrics (the "
        f"automatic half of SoulChat's Table 1): inspect eval soulchat/table1 -T data={repo_id}",
        "evaluation_framework": "inspect-ai",
        "tasks": [{"id": metric, "config": config, "split": "test"} for metric in METRICS],
    }
    return dump_yaml(benchmark)


def dump_yaml(value: Any) -> str:
    """YAML as people write it: keys in their order, Chinese readable."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


def _eval_results(results: Results) -> list[EvalResult]:
    """The card's own system as entries of `model-index`."""
    system = results.own
    if system is None:
        return []
    values = system.measured
    if system.perplexity is not None:
        values["perplexity"] = system.perplexity
    return [
        EvalResult(
            task_type="text-generation",
            task_name="Counselling replies",
            dataset_type=_dataset_id(results),
            dataset_name=results.dataset.name,
            dataset_config=results.dataset.config,
            dataset_split="test",
            dataset_revision=results.dataset.revision,
            metric_type=shown.lower().split("-")[0],
            metric_name=shown,
            metric_value=value,
        )
        for shown, value in values.items()
    ]


def _dataset_id(results: Results) -> str:
    """The data set's id on the Hub where it is published, else its plain name."""
    return results.dataset.hub_id or results.dataset.name


def _notes(results: Results, system: System) -> str:
    decoding = results.decoding.model_dump(exclude_none=True) if results.decoding else {}
    parts = [f"{system.samples} test turns"] if system.samples is not None else []
    parts += [f"{name} {value}" for name, value in decoding.items()]
    parts += [system.signature] if system.signature else []
    return "; ".join(parts)


GATE = {
    "extra_gated_prompt": (
        "These conversations are about people's troubles and can mention self-harm and suicide. By asking for access "
        "you agree to use them for research on supportive dialogue and for making such systems; not to try to find "
        "out who is spoken of; not to pass them on under other terms; and to tell users of any system made with them "
        "that an AI answers."
    ),
    "extra_gated_fields": {
        "Affiliation": "text",
        "What I will use it for": "text",
        "I agree to these terms": "checkbox",
    },
}


def dataset_metadata(
    metadata: dict[str, Any], splits: dict[str, dict[str, str]], infos: Mapping[str, "DatasetInfo"]
) -> dict[str, Any]:
    """The YAML of a dataset card: `metadata` with files, sizes and the text of the gate as they really are.

    Args:
        metadata: what is known beyond the files: license, language, source_datasets, …
        splits: pattern of the files by config and split; the first config is the default one.
        infos: features and sizes by config.
    """
    from datasets.info import DatasetInfosDict

    default = next(iter(splits))
    configs = [
        {
            "config_name": config,
            **({"default": True} if config == default else {}),
            "data_files": [{"split": split, "path": path} for split, path in paths.items()],
        }
        for config, paths in splits.items()
    ]
    counted = DatasetCardData(**{key: value for key, value in metadata.items() if key != "dataset_info"})
    DatasetInfosDict(infos).to_dataset_card_data(counted)
    num_rows = sum(split.num_examples for split in infos[default].splits.values())
    known = {"language": ["zh"], "task_categories": ["text-generation"], **GATE}
    return known | counted.to_dict() | {"size_categories": [size_category(num_rows)], "configs": configs}


def stated_infos(metadata: dict[str, Any]) -> dict[str, "DatasetInfo"]:
    """What a dataset card's `dataset_info` says of each config."""
    from datasets.info import DatasetInfosDict

    return dict(DatasetInfosDict.from_dataset_card_data(DatasetCardData(**metadata)))


def size_category(num_rows: int) -> str:
    """The Hub's size category of a dataset with so many rows, such as "1K<n<10K"."""
    categories = VOCABULARY["size_categories"]
    return categories[min(max(len(str(num_rows)) - 3, 0), len(categories) - 1)]
