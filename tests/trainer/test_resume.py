"""A run killed with SIGKILL goes on from its last whole checkpoint and prints the same losses, bit for bit on CPU."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from tests.trainer.training_parts import make_rows

ROOT = Path(__file__).parents[2]
RECIPE = {
    "tokenizer_vocab_size": 420,
    "model_config": {
        "hidden_size": 32,
        "num_layers": 2,
        "num_attention_heads": 2,
        "inner_hidden_size": 64,
        "max_sequence_length": 256,
    },
    "num_test_turns": 0,
    "max_source_length": 128,
    "max_target_length": 64,
    "per_device_train_batch_size": 8,
    "global_batch_size": 16,
    "max_steps": 12,  # an epoch has 7 steps: the kill and the end lie in the second one
    "save_steps": 2,
    "warmup_steps": 2,
    "learning_rate": 1e-2,
    "use_cpu": True,
    "disable_tqdm": True,
}
MUON = {"muon_learning_rate": 0.01}
LAUNCHERS = {
    "one process": (1, {}),
    "Muon": (1, MUON),
    "two processes": (2, {}),
    "ZeRO-2": (2, {"deepspeed": "zero2.json"}),
    "ZeRO-3": (2, {"deepspeed": "zero3.json"}),
}


def launch(folder: Path, processes: int, *flags: str) -> subprocess.Popen:
    """Start `train.py recipe.yaml` in a session of its own, as people do."""
    command = [sys.executable, "train.py", str(folder / "recipe.yaml"), *flags]
    if processes > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [
            *(sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}"),
            *("--master-addr=127.0.0.1", f"--master-port={port}", *command[1:]),
        ]
    extensions = os.environ.get("TORCH_EXTENSIONS_DIR", str(Path.home() / ".cache/soulchat_torch_extensions"))
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TORCH_EXTENSIONS_DIR": extensions},
        stdout=(folder / "log.txt").open("w"),  # a pipe that nobody reads would stop the run when it is full
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def kill_all(run: subprocess.Popen) -> None:
    """SIGKILL to the launcher and to its workers, which torchrun puts into sessions of their own."""
    workers = psutil.Process(run.pid).children(recursive=True)
    for process in [run, *workers]:
        process.send_signal(signal.SIGKILL)
    psutil.wait_procs(workers)
    run.wait()


def finish(run: subprocess.Popen, folder: Path) -> str:
    """Wait for a run to end well; what it printed."""
    run.wait(timeout=500)
    output = (folder / "log.txt").read_text()
    assert run.returncode == 0, output[-3000:]
    return output


def losses(output_dir: Path) -> dict[int, float]:
    """The logged losses of a finished run, by step."""
    log = json.loads((output_dir / "trainer_state.json").read_text())["log_history"]
    return {entry["step"]: entry["loss"] for entry in log if "loss" in entry}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_killed_run_goes_on_bit_for_bit(launcher: str, tmp_path: Path) -> None:
    processes, changes = LAUNCHERS[launcher]
    make_rows(60).to_json(tmp_path / "rows.jsonl", force_ascii=False)
    recipe = {**RECIPE, **changes, "dataset": str(tmp_path / "rows.jsonl")}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    finish(launch(tmp_path, processes, "--output_dir", str(tmp_path / "whole")), tmp_path)
    expected = losses(tmp_path / "whole")
    assert list(expected) == [2, 4, 6, 8, 10, 12]

    killed = launch(tmp_path, processes, "--output_dir", str(tmp_path / "killed"))
    while not (tmp_path / "killed/checkpoint-10").exists():  # while its tenth step is being saved
        assert killed.poll() is None, (tmp_path / "log.txt").read_text()[-3000:]
        time.sleep(0.005)
    kill_all(killed)
    manifest = tmp_path / "killed/checkpoint-10/manifest.json"
    manifest.unlink(missing_ok=True)  # torn, however fast it was written
    flags = ("--output_dir", str(tmp_path / "killed"), "--resume_from_checkpoint", "true")
    resumed = finish(launch(tmp_path, processes, *flags), tmp_path)
    assert re.search(r"checkpoint-10 is torn \(no manifest", resumed)
    assert re.search(r"going on from \S+checkpoint-8", resumed)
    assert losses(tmp_path / "killed") == expected
