"""A run killed with SIGKILL goes on from its last whole checkpoint and prints the same losses, bit for bit on CPU."""

import json
import re
import resource
import time
from pathlib import Path

import pytest
import yaml

from tests.soulchat_trainer.launching import finish, kill_all, launch, losses, needs_compiler
from tests.soulchat_trainer.training.test_trainer import no_room_for_files_above
from tests.soulchat_trainer.training_parts import make_rows

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
COMPILED = {"ZeRO-2", "ZeRO-3"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher", [pytest.param(name, marks=needs_compiler if name in COMPILED else ()) for name in LAUNCHERS]
)
def test_a_killed_run_goes_on_bit_for_bit(launcher: str, tmp_path: Path) -> None:
    processes, changes = LAUNCHERS[launcher]
    make_rows(60).to_json(tmp_path / "rows.jsonl", force_ascii=False)
    recipe = {**RECIPE, **changes, "dataset": str(tmp_path / "rows.jsonl")}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    finish(launch(tmp_path, processes, str(path), "--output_dir", str(tmp_path / "whole")), tmp_path)
    expected = losses(tmp_path / "whole")
    assert list(expected) == [2, 4, 6, 8, 10, 12]

    killed = launch(tmp_path, processes, str(path), "--output_dir", str(tmp_path / "killed"))
    while not (tmp_path / "killed/checkpoint-10").exists():  # while its tenth step is being saved
        assert killed.poll() is None, (tmp_path / "log.txt").read_text()[-3000:]
        time.sleep(0.005)
    kill_all(killed)
    manifest = tmp_path / "killed/checkpoint-10/manifest.json"
    manifest.unlink(missing_ok=True)  # torn, however fast it was written
    flags = ("--output_dir", str(tmp_path / "killed"), "--resume_from_checkpoint", "true")
    resumed = finish(launch(tmp_path, processes, str(path), *flags), tmp_path)
    assert re.search(r"checkpoint-10 is torn \(no manifest", resumed)
    assert re.search(r"going on from \S+checkpoint-8", resumed)
    assert losses(tmp_path / "killed") == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("learning_rate", "room", "line"),
    [
        ("1e30", resource.RLIM_INFINITY, r"(the loss is|weights are) n.* the last good checkpoint is \S+checkpoint-2"),
        ("1e-2", 150_000, r"checkpoint of step 2 could not be written .* no checkpoint was saved before"),
    ],
)
def test_two_processes_say_once_why_they_stop(learning_rate: str, room: int, line: str, tmp_path: Path) -> None:
    """A loss that is NaN in both, a disk that is full for the one that writes: neither a second line nor a hang."""
    make_rows(60).to_json(tmp_path / "rows.jsonl", force_ascii=False)
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, "dataset": str(tmp_path / "rows.jsonl")}))
    flags = ("--output_dir", str(tmp_path / "out"), "--learning_rate", learning_rate)
    with no_room_for_files_above(room):  # the processes inherit it
        run = launch(tmp_path, 2, str(path), *flags)
    assert run.wait(timeout=200) != 0
    output = (tmp_path / "log.txt").read_text()
    told = [text for text in output.splitlines() if "soulchat: error: " in text]
    assert len(told) == 1, output[-3000:]
    assert re.search(line, told[0])
    assert "Connection closed" not in output


@pytest.mark.slow
def test_held_out_loss_is_the_same_on_two_processes(tmp_path: Path) -> None:
    """Also where a batch is repeated to give both equally many; the first two steps, at rate 0, change no weight."""
    make_rows(200).to_json(tmp_path / "rows.jsonl", force_ascii=False)
    changes = {"max_steps": 2, "save_strategy": "no", "eval_strategy": "steps", "eval_steps": 2}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, **changes, "dataset": str(tmp_path / "rows.jsonl")}))
    found = {}
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        flags = ("--output_dir", str(folder), "--per_device_eval_batch_size", "8")
        finish(launch(tmp_path, processes, str(path), *flags), tmp_path)
        log = json.loads((folder / "trainer_state.json").read_text())["log_history"]
        found[processes] = next(entry["eval_loss"] for entry in log if "eval_loss" in entry)
    assert found[1] == pytest.approx(found[2], rel=1e-6)
