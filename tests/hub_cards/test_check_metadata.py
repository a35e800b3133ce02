"""The Hub's rules for YAML, one row for each."""

from pathlib import Path
from typing import Any

import pytest

from hub_cards.check_metadata import check_dataset_metadata, check_model_metadata, check_space_metadata

MODEL = {"license": "mit", "language": ["zh"], "library_name": "transformers", "pipeline_tag": "text-generation"}
SPACE = {"title": "Metric", "sdk": "gradio", "sdk_version": "6.31.0", "app_file": "app.py", "license": "apache-2.0"}
INDEX = [
    {
        "name": "x",
        "results": [
            {
                "task": {"type": "text-generation"},
                "dataset": {"type": "a/b", "name": "B"},
                "metrics": [{"type": "bleu", "value": 1.5}],
            }
        ],
    }
]

TASKS = (
    "automatic-speech-recognition, conversational, feature-extraction, fill-mask, multiple-choice, other, "
    "question-answering, sentence-similarity, summarization, table-question-answering, …"
)


def messages(check: Any, metadata: dict, folder: Path) -> list[str]:
    return [finding.message for finding in check(metadata, folder)]


def test_whole_metadata_passes(tmp_path: Path) -> None:
    (tmp_path / "app.py").touch()
    metadata = MODEL | {"model-index": INDEX, "base_model": "THUDM/chatglm-6b", "base_model_relation": "adapter"}
    assert messages(check_model_metadata, metadata, tmp_path) == []
    assert messages(check_space_metadata, SPACE, tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"license": None}, "license is missing"),
        ({"license": "apache"}, "license is 'apache'; allowed: apache-2.0, …"),
        (
            {"license": "unknown"},
            "license is unknown; allowed: one under which others may use it; `--licence` states it",
        ),
        ({"license": "other", "license_link": "https://x.y"}, "license_name is missing"),
        (
            {"license": "other", "license_name": "x", "license_link": "LICENSE"},
            "license_link is LICENSE, which is not there; allowed: a file of the folder, or https://…",
        ),
        ({"language": ["Chinese"]}, "language is 'Chinese'; allowed: an ISO 639 code such as zh"),
        ({"pipeline_tag": "chat"}, f"pipeline_tag is 'chat'; allowed: {TASKS}"),
        ({"library_name": ""}, "library_name is missing"),
        (
            {"base_model": "/models/base"},
            "base_model is '/models/base'; allowed: the id of a repository on the Hub, which `--base-model` names",
        ),
        (
            {"base_model": "chatglm"},
            "base_model is 'chatglm'; allowed: the id of a repository on the Hub, which `--base-model` names",
        ),
        (
            {"base_model_relation": "child"},
            "base_model_relation is 'child'; allowed: adapter, finetune, merge, quantized",
        ),
        ({"model-index": [{"name": "x"}]}, "model-index: every entry needs a name and a list of results"),
        (
            {"model-index": [{"name": "x", "results": [{"dataset": {"type": "a", "name": "b"}}]}]},
            "model-index: task.type is missing",
        ),
        (
            {"model-index": [{"name": "x", "results": [INDEX[0]["results"][0] | {"metrics": [{"type": "bleu"}]}]}]},
            "model-index: a metric is {'type': 'bleu'}; allowed: a type with a number as value",
        ),
    ],
)
def test_models(changes: dict, message: str, tmp_path: Path) -> None:
    assert messages(check_model_metadata, MODEL | changes, tmp_path) == [message]


def test_an_adapter_names_its_base(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    assert messages(check_model_metadata, MODEL, tmp_path) == [
        "base_model is missing; an adapter names its base, which `--base-model` does"
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sdk": "streamlit"}, "sdk is 'streamlit'; allowed: gradio, docker, static"),
        ({"sdk_version": None}, "sdk_version is missing"),
        ({"app_file": "lost.py"}, "app_file is lost.py, which is not there; allowed: a file of the folder"),
        (
            {"colorFrom": "mauve"},
            "colorFrom is 'mauve'; allowed: red, yellow, green, blue, indigo, purple, pink, gray",
        ),
        ({"short_description": "x" * 61}, "short_description is 61 characters long; allowed: 60"),
        ({"title": ""}, "title is missing"),
    ],
)
def test_spaces(changes: dict, message: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").touch()
    assert messages(check_space_metadata, SPACE | changes, tmp_path) == [message]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size_categories": ["1K"]}, "size_categories is '1K'; allowed: n<1K, …"),
        ({"task_categories": ["chat"]}, f"task_categories is 'chat'; allowed: {TASKS}"),
        ({"source_datasets": []}, "source_datasets is missing"),
        ({"extra_gated_prompt": ""}, "extra_gated_prompt is missing"),
        (
            {"configs": [{"config_name": "a", "data_files": [{"split": "train", "path": "a/*.parquet"}]}]},
            "config a: no file fits a/*.parquet",
        ),
    ],
)
def test_datasets(changes: dict, message: str, tmp_path: Path) -> None:
    (tmp_path / "data.parquet").touch()
    whole = {
        "license": "cc0-1.0",
        "language": ["zh"],
        "size_categories": ["n<1K"],
        "task_categories": ["text-generation"],
        "source_datasets": ["original"],
        "extra_gated_prompt": "Be kind.",
        "configs": [{"config_name": "a", "data_files": "data.parquet"}],
        "dataset_info": [{"config_name": "a"}],
    }
    assert messages(check_dataset_metadata, whole, tmp_path) == []
    assert messages(check_dataset_metadata, whole | changes, tmp_path) == [message]


def test_a_card_does_not_claim_chatglms_weights_for_another_base(tmp_path):
    """A LoRA on a model that was trained from nothing."""
    claim = "base_model is user/from-nothing; allowed with license_name chatglm-6b: ChatGLM-6B"
    for base, found in (("user/from-nothing", True), ("THUDM/chatglm-6b", False)):
        metadata = {"license": "other", "license_name": "chatglm-6b", "base_model": base}
        messages = [finding.message for finding in check_model_metadata(metadata, tmp_path)]
        assert (claim in messages) is found
