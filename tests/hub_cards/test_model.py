"""What is laid out of a run's folder, and what is refused."""

import json
import struct
from pathlib import Path

import pytest

from hub_cards.check import check_folder
from hub_cards.model import stage_model, write_model_card
from tests.hub_cards.samples import make_model_folder, make_results, write_json, write_tensors


def stage(folder: Path, **options: object) -> Path:
    staged = folder.parent / "staged"
    staged.mkdir()
    stage_model(folder, staged, repo_id="user/name", **options)
    return staged


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_weights_results_and_card_but_no_state_and_no_test_data(tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path / "run")
    (folder / "checkpoint-4").mkdir()
    (folder / "training_args.bin").write_bytes(b"pickle")
    staged = stage(folder)
    assert names(staged) == {
        "README.md",
        "config.json",
        "generation_config.json",
        "loss.png",
        "model.safetensors",
        "results.json",
        "tokenizer_config.json",
    }
    assert "我听到了4。" in (staged / "README.md").read_text()
    assert check_folder(staged) == []


def test_the_decoding_of_the_results_goes_along(tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path / "run")
    write_json(folder / "generation_config.json", {"eos_token_id": 5, "top_p": 1.0})
    assert read(stage(folder) / "generation_config.json") == {
        "eos_token_id": 5,
        "top_p": 0.75,
        "temperature": 0.95,
        "max_new_tokens": 128,
        "do_sample": True,
    }
    assert read(folder / "generation_config.json") == {"eos_token_id": 5, "top_p": 1.0}, "the run stays as it was"


def test_a_model_made_of_chatglm_carries_its_licence(tmp_path: Path) -> None:
    results = make_results()
    results["training"]["arguments"] = {"model_name_or_path": "THUDM/chatglm-6b"}
    staged = stage(make_model_folder(tmp_path / "run", results))
    assert (staged / "LICENSE").read_text().startswith("The ChatGLM-6B License")
    card = (staged / "README.md").read_text()
    for line in (
        "license: other",
        "license_name: chatglm-6b",
        "license_link: LICENSE",
        "base_model: THUDM/chatglm-6b",
    ):
        assert f"\n{line}\n" in card
    assert "\nbase_model: THUDM/chatglm-6b\n" in card
    assert check_folder(staged) == []


def test_data_with_terms_of_its_own_binds_the_weights(tmp_path: Path) -> None:
    results = make_results(dataset={"name": "SoulChatCorpus", "licence": "non-commercial research only"})
    staged = stage(make_model_folder(tmp_path / "run", results))
    assert "non-commercial research only" in (staged / "LICENSE").read_text()
    assert "two contradicting licences" in (staged / "LICENSE").read_text()
    assert check_folder(staged) == []


def test_data_without_stated_terms_does_not_make_open_weights(tmp_path: Path) -> None:
    results = make_results(dataset={"name": "SoulChatCorpus-sft-multi-Turn.json", "licence": None})
    staged = stage(make_model_folder(tmp_path / "run", results))
    assert "license: other\nlicense_name: terms-of-the-training-data\n" in (staged / "README.md").read_text()
    assert "licence not stated" in (staged / "LICENSE").read_text()
    assert check_folder(staged) == []


def test_whoever_knows_the_terms_of_the_data_states_them(tmp_path: Path) -> None:
    results = make_results(dataset={"name": "my.jsonl", "licence": None})
    staged = stage(make_model_folder(tmp_path / "run", results), licence="cc0-1.0")
    assert read(staged / "results.json")["dataset"]["licence"] == "cc0-1.0"
    assert "license: apache-2.0\n" in (staged / "README.md").read_text()
    assert "LICENSE" not in names(staged)
    assert check_folder(staged) == []


@pytest.mark.parametrize("training", [None, {"arguments": {"learning_rate": 0.01}}])
def test_a_base_that_the_results_do_not_name(training: dict | None, tmp_path: Path) -> None:
    """As where a trainer got its model from the caller, and its arguments know nothing of it."""
    folder = make_model_folder(tmp_path / "run", make_results(training=training))
    staged = stage(folder, base_model="THUDM/chatglm-6b")
    assert "\nbase_model: THUDM/chatglm-6b\n" in (staged / "README.md").read_text()
    assert check_folder(staged) == []


def test_an_adapter_is_published_alone_with_its_base_named(tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path / "run")
    (folder / "config.json").unlink()
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    write_json(folder / "adapter_config.json", {"base_model_name_or_path": "/models/chatglm-6b", "r": 8})
    with pytest.raises(ValueError, match="'/models/chatglm-6b', a local folder; allowed: `base_model`"):
        stage(folder)
    (tmp_path / "staged" / "README.md").unlink(missing_ok=True)
    staged = tmp_path / "again"
    staged.mkdir()
    stage_model(folder, staged, repo_id="user/name", base_model="THUDM/chatglm-6b")
    assert read(staged / "adapter_config.json") == {"base_model_name_or_path": "THUDM/chatglm-6b", "r": 8}
    assert "generation_config.json" not in names(staged)
    card = (staged / "README.md").read_text()
    assert "base_model_relation: adapter" in card
    assert "PeftModel.from_pretrained" in card
    # The base's generation_config.json knows nothing of the decoding that was measured.
    assert "generate(**inputs, do_sample=True, top_p=0.75, temperature=0.95, max_new_tokens=128)\n" in card
    assert check_folder(staged) == []


def test_of_p_tuning_only_the_prefix_is_published(tmp_path: Path) -> None:
    results = make_results()
    results["training"]["arguments"] = {"model_name_or_path": "THUDM/chatglm-6b", "pre_seq_len": 2}
    folder = make_model_folder(tmp_path / "run", results, pre_seq_len=2)
    prefix = {"transformer.prefix_encoder.embedding.weight": [5.0, 6.0]}
    write_tensors(folder / "model.safetensors", {"transformer.layers.0.weight": [1.0, 2.0], **prefix, "x": [3.0]})
    write_json(folder / "model.safetensors.index.json", {})
    staged = stage(folder)
    assert "model.safetensors" not in names(staged)
    data = (staged / "prefix_encoder.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    assert json.loads(data[8 : 8 + length]) == {
        "transformer.prefix_encoder.embedding.weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    }
    assert struct.unpack("<2f", data[8 + length :]) == (5.0, 6.0)
    assert check_folder(staged) == []


def test_a_prefix_that_was_never_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hold no prefix_encoder"):
        stage(make_model_folder(tmp_path / "run", pre_seq_len=2))


def test_a_published_data_set_is_named_with_its_revision(tmp_path: Path) -> None:
    staged = stage(make_model_folder(tmp_path / "run"), dataset=("user/data", "abc123"))
    assert read(staged / "results.json")["dataset"]["name"] == "smilechat-1k"
    card = (staged / "README.md").read_text()
    assert "datasets:\n- user/data\n" in card
    assert "revision: abc123" in card
    assert not (staged / ".eval_results").exists(), "the Hub passes over what is no benchmark"
    assert check_folder(staged) == []


def test_scores_on_a_benchmark_of_the_hub_are_entries_for_it(tmp_path: Path) -> None:
    staged = stage(make_model_folder(tmp_path / "run"), dataset=("user/data", "abc123"), is_benchmark=True)
    assert "id: user/data" in (staged / ".eval_results" / "soulchat_metrics.yaml").read_text()
    assert check_folder(staged) == []


def test_a_benchmark_without_a_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="benchmark is set without a data set; allowed: with `dataset`"):
        stage(make_model_folder(tmp_path / "run"), is_benchmark=True)


def test_another_base_needs_its_licence(tmp_path: Path) -> None:
    results = make_results()
    results["training"]["arguments"] = {"model_name_or_path": "Qwen/Qwen2.5-0.5B-Instruct"}
    folder = make_model_folder(tmp_path / "run", results, model_type="qwen2")
    staged = stage(folder)
    assert [finding.message for finding in check_folder(staged)] == [
        "license is unknown; allowed: one under which others may use it; `--licence` states it"
    ]
    write_model_card(staged, "user/name", licence="apache-2.0")
    assert check_folder(staged) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "results.json").unlink(), "results.json is not there; allowed: "),
        (lambda folder: (folder / "config.json").unlink(), "no config.json and no adapter_config.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no weights; allowed: weights as"),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
            "has the pickle pytorch_model.bin",
        ),
        (lambda folder: (folder / "config.json").write_text("null"), "config.json is null; allowed: a JSON object"),
        (lambda folder: (folder / "config.json").write_text("[]"), "config.json is of type list; allowed: a JSON"),
        (lambda folder: (folder / "generation_config.json").write_text("[1]"), "generation_config.json is of type"),
        (lambda folder: (folder / "tokenizer_config.json").write_text("null"), "tokenizer_config.json is null"),
        (lambda folder: (folder / "results.json").write_text("[]"), "the whole is of another kind"),
    ],
)
def test_folders_that_cannot_be_published(change: object, message: str, tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path / "run")
    change(folder)
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        stage(folder)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is no folder; allowed: "):
        stage(tmp_path / "nothing")


def test_the_card_of_a_local_run(tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path / "run")
    write_model_card(folder)
    assert 'from_pretrained(".")' in (folder / "README.md").read_text()
    assert check_folder(folder) == []
    assert not list(folder.glob("*.tmp"))


def test_a_model_whose_safety_fell_is_published_by_those_who_know(tmp_path: Path) -> None:
    change = {"aspect": "safety", "judged_by": "raters", "items": 40, "before": 1, "after": 0.75}
    fall = change | {"low": -0.4, "high": -0.1, "gates": True}
    folder = make_model_folder(tmp_path / "run", make_results(preferences={"objective": "dpo", "changes": [fall]}))
    (tmp_path / "staged").mkdir()
    with pytest.raises(ValueError, match=r"less safe \(safety from 1.00 to 0.75\); allowed: --i-know"):
        stage_model(folder, tmp_path / "staged", repo_id="user/name")
    stage_model(folder, tmp_path / "staged", repo_id="user/name", knows_of_falls=True)
    card = (tmp_path / "staged/README.md").read_text(encoding="utf-8").split("---\n", 2)[2].lstrip()
    assert card.startswith("> **Less safe than the model that it was trained from.**")
    assert check_folder(tmp_path / "staged") == []
