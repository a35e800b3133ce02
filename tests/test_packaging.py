"""The wheel, installed away from the checkout: what a user of `pip install soulchat` gets."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.paths import ROOT

pytestmark = pytest.mark.slow

LOAD_AND_SCORE = """
import soulchatcorpus, soulchat_metrics, evaluate, sys
from datasets import load_dataset

turns = load_dataset("soulchatcorpus")
assert list(turns) == ["train", "validation", "test"], turns
columns = load_dataset("soulchatcorpus", "conversations")["train"].column_names
assert columns == ["id", "topic", "messages", "client", "counsellor"], columns
metric = evaluate.load("soulchat_metrics")
completions = turns["test"]["completion"][:20]
scores = metric.compute(predictions=completions, references=completions)
assert abs(scores["bleu-4"] - 100) < 1e-6 and abs(scores["rouge-l"] - 100) < 1e-5, scores
assert "torch" not in sys.modules
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command without the checkout on its path; its output is in the failure, if it fails."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "HF_HOME")}
    result = subprocess.run(command, cwd=cwd, env=inherited | environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
    return next(folder.glob("soulchat-*.whl"))


def test_base_install_loads_the_corpus_and_the_metric_offline(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    constraints = ROOT / "constraints.txt"
    run(python, "-m", "pip", "install", "--quiet", "--constraint", constraints, wheel, cwd=tmp_path)
    offline = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    run(python, "-W", "error::DeprecationWarning:soulchat", "-c", LOAD_AND_SCORE, cwd=tmp_path, **offline)
    assert "Commands" in run(tmp_path / "venv/bin/soulchat", "--help", cwd=tmp_path)


def test_training_starts_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel, cwd=tmp_path)
    launch = [sys.executable, "-m", "accelerate.commands.launch", "-m", "soulchat_trainer.train"]
    arguments = ["demo", "--max_steps", "2", "--output_dir", "out", "--num_test_turns", "2"]
    run(*launch, *arguments, cwd=tmp_path, PYTHONPATH=str(site), HF_HOME=str(tmp_path / "hf"), HF_HUB_OFFLINE="1")
    for name in ("model.safetensors", "predictions.jsonl", "results.json", "loss.png", "README.md"):
        assert (tmp_path / "out" / name).is_file(), name
