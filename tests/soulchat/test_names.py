"""`import soulchat` makes the names known, from any directory, and costs what `import datasets` costs."""

import resource
import subprocess
import sys
from pathlib import Path

DATA_SET_AND_METRIC = """
import soulchat
from datasets import load_dataset_builder
import evaluate
assert load_dataset_builder("soulchatcorpus").info.features["prompt"]
assert evaluate.load("soulchat_metrics").compute(predictions=["你好"], references=["你好"])["bleu-1"] == 100
"""
MODELS = """
import transformers
import soulchat
assert transformers.AutoConfig.for_model("chatglm", num_layers=1).num_hidden_layers == 1
"""
TRAINER = """
from soulchat_trainer import SoulChatTrainer, SoulChatTrainingArguments
assert SoulChatTrainer.__name__ == "SoulChatTrainer" and SoulChatTrainingArguments.__name__
import soulchat_trainer
try:
    soulchat_trainer.SoulchatTrainer
except AttributeError as error:
    assert "SoulchatTrainer" in str(error)
else:
    raise AssertionError
"""


def run(code: str, folder: Path) -> float:
    """Run code in a process of its own, somewhere else; its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_one_import_for_data_set_and_metric(tmp_path: Path) -> None:
    run(DATA_SET_AND_METRIC, tmp_path)


def test_models_are_known_where_transformers_came_first(tmp_path: Path) -> None:
    run(MODELS, tmp_path)


def test_the_trainer_stands_at_the_root_of_its_package(tmp_path: Path) -> None:
    run(TRAINER, tmp_path)


def test_it_brings_no_torch_and_costs_little_beside_datasets(tmp_path: Path) -> None:
    alone = run("import datasets", tmp_path)
    assert run("import soulchat, sys; assert 'torch' not in sys.modules", tmp_path) < alone + 0.5
