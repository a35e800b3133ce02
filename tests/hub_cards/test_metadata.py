"""The YAML of cards, read back by the Hub's own client."""

import pytest
import yaml
from huggingface_hub import ModelCardData
from huggingface_hub._eval_results import parse_eval_result_entries

from hub_cards.licences import BaseModel, ModelLicence
from hub_cards.metadata import benchmark_yaml, eval_results_yaml, model_metadata, size_category
from hub_cards.results import check_results
from tests.hub_cards.samples import make_results


def metadata(results: dict, **options: object) -> dict:
    options = {"repo_id": "user/x", "model_type": "chatglm", "base_model": None, **options}
    return model_metadata(check_results(results), licence=ModelLicence("mit"), **options)


def test_model_index_is_what_the_client_reads_back() -> None:
    text = ModelCardData(**metadata(make_results())).to_yaml()
    read = ModelCardData(**yaml.safe_load(text), ignore_metadata_errors=False)
    assert {result.metric_name: result.metric_value for result in read.eval_results} == {
        "BLEU-1": 12.5,
        "BLEU-2": 6.25,
        "BLEU-3": 3.125,
        "BLEU-4": 1.5,
        "ROUGE-1": 20.25,
        "ROUGE-2": 4.75,
        "ROUGE-L": 16.5,
        "perplexity": 96.32,
    }
    assert {(result.dataset_type, result.dataset_config, result.dataset_split) for result in read.eval_results} == {
        ("smilechat-1k", "turns", "test")
    }


def test_a_published_data_set_is_named_by_its_id_and_revision() -> None:
    results = make_results(dataset={"name": "smilechat-1k", "hub_id": "user/data", "revision": "abc"})
    assert metadata(results)["datasets"] == ["user/data"]
    assert "datasets" not in metadata(make_results()), "a name that is no id leads nowhere on the Hub"
    assert eval_results_yaml(check_results(results)) is None, "it is no benchmark"
    results["dataset"]["benchmark"] = True
    [entry] = [
        e
        for e in parse_eval_result_entries(yaml.safe_load(eval_results_yaml(check_results(results))))
        if e.value == 12.5
    ]
    assert (entry.dataset_id, entry.task_id, entry.dataset_revision) == ("user/data", "bleu-1", "abc")
    assert entry.notes == (
        "560 test turns; top_p 0.75; temperature 0.95; max_new_tokens 128; do_sample True; seed 0; thinking off; "
        "bleu:corpus|jieba:0.42.1"
    )


def test_the_tasks_of_a_benchmark_are_those_of_its_results() -> None:
    results = make_results(dataset={"name": "smilechat-1k", "hub_id": "user/data", "benchmark": True})
    entries = parse_eval_result_entries(yaml.safe_load(eval_results_yaml(check_results(results))))
    benchmark = yaml.safe_load(benchmark_yaml("user/data", "turns"))
    assert benchmark["name"] == "data"
    assert benchmark["evaluation_framework"] == "inspect-ai"
    assert {(task["config"], task["split"]) for task in benchmark["tasks"]} == {("turns", "test")}
    assert {entry.task_id for entry in entries} <= {task["id"] for task in benchmark["tasks"]}


def test_nothing_measured_is_no_result() -> None:
    results = make_results(systems=[])
    assert eval_results_yaml(check_results(results)) is None
    assert "eval_results" not in metadata(results)


@pytest.mark.parametrize(
    ("part", "library"), [("all", "transformers"), ("adapter", "peft"), ("prefix", "transformers")]
)
def test_base_model(part: str, library: str) -> None:
    found = metadata(make_results(), base_model=BaseModel("THUDM/chatglm-6b", part))
    assert (found["base_model"], found["library_name"]) == ("THUDM/chatglm-6b", library)


@pytest.mark.parametrize(
    ("rows", "category"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (258_354, "100K<n<1M"), (10**12, "n>1T"), (10**15, "n>1T")],
)
def test_size_category(rows: int, category: str) -> None:
    assert size_category(rows) == category
