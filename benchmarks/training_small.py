"""The proof on real text: recipe `small` through train.py, in as many calls as it takes; what came of it, as JSON."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measuring
import orjson

from hub_cards.predictions import PREDICTIONS_FILE, read_predictions
from hub_cards.results import RESULTS_FILE
from soulchat_trainer.data import load_corpus
from soulchat_trainer.training.checkpoints import find_last_whole_checkpoint

ROOT = Path(__file__).resolve().parents[1]
OUTPUT_DIR = ROOT / "outputs" / "small"
NUM_REPLIES = 5


def prove_small(dataset: str, minutes: float, flags: Sequence[str], output_dir: Path = OUTPUT_DIR) -> None:
    """Train until it is done or `minutes` are over; where it is done, write results/training-small.json and .png.

    Args:
        dataset: a file of conversations, which is split by opening.
        minutes: of this call; what comes after the last checkpoint is trained again in the next one.
        flags: of train.py, for another size.
    """
    if not train_on(dataset, minutes, flags, output_dir):
        print(f"not done after {minutes:g} minutes: call it again, and it goes on from the last checkpoint")
        return
    measuring.write_results("training-small", measuring.circumstances("torch", "transformers") | describe(output_dir))
    shutil.copyfile(output_dir / "loss.png", measuring.RESULTS / "training-small.png")


def train_on(dataset: str, minutes: float, flags: Sequence[str], output_dir: Path) -> bool:
    """Run or go on with train.py; True when it has trained and scored the model, False when time was up.

    Where train.py fails it has said why, and this ends with its exit code.
    """
    command = [sys.executable, "train.py", "small", "--dataset", str(Path(dataset).resolve()), *flags]
    if find_last_whole_checkpoint(output_dir) is not None:
        command += ["--resume_from_checkpoint", "true"]
    try:
        command += ["--output_dir", str(output_dir)]
        run = subprocess.run(command, cwd=ROOT, check=False, timeout=minutes * 60)
    except subprocess.TimeoutExpired:
        return False
    if run.returncode:
        raise SystemExit(run.returncode)
    return True


def describe(output_dir: Path) -> dict[str, Any]:
    """Data, loss curve, tokens per second, scores before and after, and the first replies of the test turns drawn."""
    results = orjson.loads((output_dir / RESULTS_FILE).read_bytes())
    log = orjson.loads((output_dir / "trainer_state.json").read_bytes())["log_history"]
    training = {key: value for key, value in results["training"].items() if key != "arguments"}
    return {
        "dataset": results["dataset"],
        "conversations": load_corpus(results["training"]["arguments"]["dataset"])["train"].num_rows,
        "decoding": results["decoding"],
        "training": training,
        "epochs": log[-1]["epoch"],
        "loss_curve": [[entry["step"], entry["loss"]] for entry in log if "loss" in entry],
        "systems": results["systems"],
        "references": results["references"],
        "unigram": results["unigram"],
        "replies": [row.model_dump() for row in read_predictions(output_dir / PREDICTIONS_FILE, NUM_REPLIES)],
    }
