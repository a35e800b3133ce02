"""Each example runs as its docstring says, on models of a few thousand weights."""

import json
import os
import runpy
import sys
from pathlib import Path

import datasets
import pytest
from datasets import load_dataset
from safetensors.torch import load_file

from soulchat_trainer.train import main as train
from tests.paths import ROOT
from tests.soulchat_trainer import training_parts
from tests.soulchatcorpus.making.endpoint_stub import StubEndpoint

EXAMPLES = ROOT / "examples"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    """Runs an example in this process, as `python examples/NAME` would."""

    def run(name: str, *arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")

    return run


@pytest.fixture(scope="module")
def chatglm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chatglm")
    tokenizer = training_parts.make_chatglm_tokenizer(folder)
    training_parts.make_chatglm(tokenizer, max_sequence_length=4096).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def causal_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("causal")
    tokenizer = training_parts.make_causal_tokenizer()
    training_parts.make_causal_model(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def weights_differ(folder: Path, other: Path) -> bool:
    first, second = (load_file(path / "model.safetensors") for path in (folder, other))
    return any(not tensor.equal(second[name]) for name, tensor in first.items())


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_begins_with_its_command(path: Path) -> None:
    assert f"python examples/{path.name}" in path.read_text(encoding="utf-8").split('"""')[1]


def test_fine_tuning_on_own_conversations(run, chatglm_folder: Path, tmp_path: Path) -> None:
    data = EXAMPLES / "conversations.jsonl"
    run("fine_tune_own_jsonl.py", data, "--model", chatglm_folder, "--output", tmp_path, "--steps", 4)
    assert weights_differ(tmp_path, chatglm_folder)
    assert (tmp_path / "ice_text.model").is_file()


def write_predictions(folder: Path, predictions: list[str]) -> Path:
    folder.mkdir()
    rows = (
        {"id": str(number), "messages": [], "reference": f"听起来你第{number}次睡不好，很辛苦。", "prediction": text}
        for number, text in enumerate(predictions)
    )
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "predictions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_two_systems_are_compared(run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write_predictions(tmp_path / "good", [f"听起来你第{number}次睡不好。" for number in range(30)])
    poor = write_predictions(tmp_path / "poor", ["你应该多运动。"] * 30)
    run("score_two_systems.py", good, poor)
    bleu = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("bleu-4"))
    assert bleu.endswith("differs")
    run("score_two_systems.py", good, good)
    assert capsys.readouterr().out.count("may be chance") == 7


def test_systems_with_different_turns_are_refused(run, tmp_path: Path) -> None:
    folders = [write_predictions(tmp_path / str(number), ["好"] * number) for number in (2, 3)]
    with pytest.raises(SystemExit, match="1 are not shared"):
        run("score_two_systems.py", *folders)


@pytest.mark.slow
def test_making_conversations_with_a_local_model(
    run, chatglm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(SystemExit) as ended:  # random weights make no conversation, which is told
        run("make_50_conversations.py", chatglm_folder, "--out", tmp_path, "--number", 2)
    assert ended.value.code == 1
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["accepted"], report["rejected"], report["open"]) == (0, 2, 0)


def test_its_questions_make_conversations_where_a_model_can(tmp_path: Path) -> None:
    from soulchat import cli

    write_questions = runpy.run_path(str(EXAMPLES / "make_50_conversations.py"))["write_questions"]
    questions = tmp_path / "questions.jsonl"
    write_questions(questions, 3)
    with StubEndpoint().running() as endpoint:
        rewrite = ["corpus", "rewrite", str(questions), "--out", str(tmp_path), "--base-url", endpoint.base_url]
        cli.app([*rewrite, "--model", "local"], standalone_mode=False)
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["accepted"], report["rejected"], report["open"]) == (3, 0, 0)


def load_sixteen(name: str, config: str, split: str) -> datasets.Dataset:
    """Sixteen rows are enough for one step."""
    return load_dataset(name, config, split=f"{split}[:16]")


@pytest.mark.slow
@pytest.mark.filterwarnings("default::FutureWarning")  # trl itself uses names that transformers is about to drop
def test_a_model_of_recipe_causal_goes_on_in_trl(
    run, causal_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trl", reason="trl is not installed")
    small = ["--max_steps", "1", "--global_batch_size", "2", "--per_device_train_batch_size", "2", "--use_cpu", "true"]
    small += ["--bf16", "false", "--torch_dtype", "float32", "--max_source_length", "256"]
    small += ["--max_target_length", "256"]
    small += ["--dataset", str(EXAMPLES / "conversations.jsonl"), "--output_dir", str(tmp_path / "causal")]
    train(["causal", "--model_name_or_path", str(causal_folder), *small])
    monkeypatch.setattr(datasets, "load_dataset", load_sixteen)
    # A template of these tests is none of those that TRL knows.
    for name, flags in (("conversations", ["--whole-talk"]), ("turns", ["--config", "turns"])):
        run("continue_in_trl.py", tmp_path / "causal", *flags, "--output", tmp_path / name, "--steps", 1)
        assert weights_differ(tmp_path / name, tmp_path / "causal")
    with pytest.raises(ValueError, match="template"):
        run("continue_in_trl.py", tmp_path / "causal", "--output", tmp_path / "refused", "--steps", 1)


@pytest.mark.filterwarnings("default::FutureWarning")  # trl itself uses names that transformers is about to drop
def test_trl_has_its_loss_on_the_replies_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a template that TRL knows, that of Qwen 2.5."""
    trl = pytest.importorskip("trl", reason="trl is not installed")
    template = Path(trl.__file__).parent / "chat_templates" / "qwen2_5.jinja"
    tokenizer = training_parts.make_causal_tokenizer(template.read_text(encoding="utf-8"))
    training_parts.make_causal_model(tokenizer).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    monkeypatch.setattr(datasets, "load_dataset", load_sixteen)
    monkeypatch.setattr(sys, "argv", ["continue_in_trl.py", str(tmp_path), "--output", str(tmp_path / "out")])
    example = runpy.run_path(str(EXAMPLES / "continue_in_trl.py"))
    trainer = example["make_trainer"](example["parse_options"]())
    row = trainer.train_dataset[0]
    learned = [label for label in row["labels"] if label != -100]
    [conversation] = load_dataset("soulchatcorpus", "conversations", split="train[:1]")["messages"]
    replies = [message["content"] for message in conversation if message["role"] == "assistant"]
    # The template's line breaks around a reply count; what is beyond `max_length` does not.
    learned_replies = [text.strip() for text in tokenizer.decode(learned).split("<|im_end|>") if text.strip()]
    assert learned_replies
    assert learned_replies == [reply.strip() for reply in replies[: len(learned_replies)]]
    batch = trainer.data_collator([row])
    assert batch["labels"][batch["labels"] != -100].tolist() == learned


def test_the_corpus_has_the_columns_that_trl_reads() -> None:
    assert {"prompt", "completion"} <= set(load_dataset("soulchatcorpus", "turns", split="test").column_names)
    assert "messages" in load_dataset("soulchatcorpus", "conversations", split="test").column_names


def test_chatglm_ends_every_text_in_its_marks(chatglm_folder: Path) -> None:
    """Why TRL cannot train it: prompt and reply as one text have the marks behind the reply."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(chatglm_folder)
    together = tokenizer("用户：你好\n心理咨询师：" + "你好。")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(together)[-2:] == ["[gMASK]", "<sop>"]
