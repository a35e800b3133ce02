"""Whole and torn checkpoints."""

import json
import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.training.arguments import SoulChatTrainingArguments
from soulchat_trainer.training.checkpoints import (
    check_new_folder,
    check_room,
    check_same_run,
    describe_last_whole,
    find_checkpoint_to_resume,
    find_last_whole_checkpoint,
    list_checkpoints,
    read_resumption,
    remove_manifest,
    remove_old_checkpoints,
    what_is_torn,
    write_manifest,
)
from soulchat_trainer.training.recipe_files import find_deepspeed_file
from tests.soulchat_trainer.training_parts import make_chatglm


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for step in (2, 10, 4):
        folder = tmp_path / f"checkpoint-{step}"
        (folder / "global_step").mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"weights")
        (folder / "global_step/optim.pt").write_bytes(b"state")
        write_manifest(folder)
    (tmp_path / "checkpoint-x").mkdir()
    return tmp_path


def test_newest_first_by_number(run: Path) -> None:
    assert [path.name for path in list_checkpoints(run)] == ["checkpoint-10", "checkpoint-4", "checkpoint-2"]


def test_the_last_one_is_taken_where_it_is_whole(run: Path) -> None:
    assert find_last_whole_checkpoint(run).name == "checkpoint-10"


@pytest.mark.parametrize("fault", ["short", "missing", "below", "zeros", "garbled", "list", "no sizes", "unfinished"])
def test_a_torn_one_is_passed_over_with_a_line(run: Path, fault: str, told: pytest.LogCaptureFixture) -> None:
    last = run / "checkpoint-10"
    if fault == "short":
        (last / "model.safetensors").write_bytes(b"weig")
    elif fault == "missing":
        (last / "model.safetensors").unlink()
    elif fault == "garbled":
        (last / "manifest.json").write_bytes(b"\0\0")
    elif fault == "zeros":
        (last / "model.safetensors").write_bytes(b"weig\0\0\0")
    elif fault in ("list", "no sizes"):
        (last / "manifest.json").write_text("[]" if fault == "list" else '{"model.safetensors": 7}')
    elif fault == "below":
        (last / "global_step/optim.pt").write_bytes(b"")
    else:
        remove_manifest(last)
    assert what_is_torn(last, by_content=True)
    assert find_last_whole_checkpoint(run).name == "checkpoint-4"
    assert "checkpoint-10 is torn" in told.text


def test_a_folder_that_was_changed_is_refused(run: Path) -> None:
    """Its size is right, and whatever loads it would train on with other weights."""
    (run / "checkpoint-4/model.safetensors").write_bytes(b"weightz")
    assert what_is_torn(run / "checkpoint-4") is None
    with pytest.raises(
        ValueError, match=r"checkpoint-4 is torn \(model.safetensors is not what was saved: .*allowed: true"
    ):
        find_checkpoint_to_resume(run, str(run / "checkpoint-4"))


def test_none_whole(run: Path) -> None:
    for folder in list_checkpoints(run):
        remove_manifest(folder)
    assert find_last_whole_checkpoint(run) is None


def test_old_checkpoints_go_but_not_the_best(run: Path) -> None:
    """Those of the fewest steps first, in the order in which the last whole one is looked for."""
    newest, best = run / "checkpoint-10", run / "checkpoint-2"
    remove_old_checkpoints(newest, None, keep=None)
    remove_old_checkpoints(newest, 3, keep=None)
    assert len(list_checkpoints(run)) == 3
    remove_old_checkpoints(newest, 2, keep=str(best))
    assert list_checkpoints(run) == [newest, best]
    remove_old_checkpoints(newest, 1, keep=str(best))  # the run can go on, and its best model is there
    assert list_checkpoints(run) == [newest, best]
    remove_old_checkpoints(newest, 1, keep=None)
    assert list_checkpoints(run) == [newest]


def test_what_a_stopped_run_can_go_on_from(run: Path, tmp_path: Path, told: pytest.LogCaptureFixture) -> None:
    """Without a line on the checkpoint that is being written."""
    assert describe_last_whole(run) == f"the last good checkpoint is {run / 'checkpoint-10'}"
    remove_manifest(run / "checkpoint-10")
    assert describe_last_whole(run) == f"the last good checkpoint is {run / 'checkpoint-4'}"
    assert describe_last_whole(tmp_path / "none") == "no checkpoint was saved before"
    assert told.text == ""


def test_too_little_disk_is_told_before_training(
    chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_chatglm(chatglm_tokenizer)
    args = SoulChatTrainingArguments(str(tmp_path / "not/yet"), use_cpu=True)
    check_room(model, args)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100_000))
    with pytest.raises(OSError, match=r"has 0.00 GB free, 3 checkpoints and the model need"):
        check_room(model, args)
    assert not (tmp_path / "not").exists()


@pytest.mark.parametrize(("file", "bytes_each"), [(None, 12), ("zero2.json", 20), ("zero3.json", 16)])
def test_what_deepspeed_saves_is_counted(
    file: str | None, bytes_each: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten billion parameters: in each of three checkpoints weights and states, and the model at the end."""
    model = torch.nn.Linear(100_000, 100_000, bias=False, device="meta")
    args = SoulChatTrainingArguments(str(tmp_path), use_cpu=True, deepspeed=find_deepspeed_file(file))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    with pytest.raises(OSError, match=rf"need {3 * bytes_each * 10 + 40}\.00 GB"):
        check_room(model, args)


def test_dates_say_nothing(run: Path) -> None:
    """Two checkpoints dated a day ahead once had every later one removed as soon as it was written."""
    tomorrow = time.time() + 86_400
    for step in (2, 4):
        os.utime(run / f"checkpoint-{step}", (tomorrow, tomorrow))
    newest = run / "checkpoint-10"
    remove_old_checkpoints(newest, 2, keep=None)
    assert list_checkpoints(run) == [newest, run / "checkpoint-4"]
    assert find_last_whole_checkpoint(run) == newest


@pytest.mark.parametrize("left", ["checkpoint-4/x", "model.safetensors", "trainer_state.json", "results.json"])
def test_a_folder_that_holds_a_run_is_named(left: str, tmp_path: Path) -> None:
    check_new_folder(tmp_path / "none")
    (tmp_path / "tokenizer").mkdir()
    check_new_folder(tmp_path)  # of a run that ended before its first checkpoint
    (tmp_path / left).parent.mkdir(exist_ok=True)
    (tmp_path / left).touch()
    name = left.removesuffix("/x")
    with pytest.raises(ValueError, match=rf"{tmp_path} holds a run already \({name}\); allowed: resume"):
        check_new_folder(tmp_path)


def test_a_checkpoint_says_whose_it_is(run: Path) -> None:
    checkpoint = run / "checkpoint-4"
    shutil.rmtree(checkpoint / "global_step")
    with pytest.raises(ValueError, match=r"checkpoint-4 holds the model alone \(save_only_model\)"):
        check_same_run(checkpoint, {"seed": 1})
    (checkpoint / "optimizer.pt").touch()
    for name in ("scheduler.pt", "rng_state.pth"):
        with pytest.raises(ValueError, match=rf"checkpoint-4 has no {name}, without which its run cannot go on"):
            check_same_run(checkpoint, {"seed": 1})
        (checkpoint / name).touch()
    with pytest.raises(ValueError, match="checkpoint-4 does not say which run it is of"):
        check_same_run(checkpoint, {"seed": 1})
    state = {"stateful_callbacks": {"RunInfoCallback": {"args": {"identity": {"seed": 1, "dataset": "a"}}}}}
    (checkpoint / "trainer_state.json").write_text(json.dumps(state))
    check_same_run(checkpoint, {"seed": 1, "dataset": "a"})
    with pytest.raises(ValueError, match="is of another run: dataset is a there and b here; allowed: the same, or"):
        check_same_run(checkpoint, {"seed": 1, "dataset": "b"})


@pytest.mark.parametrize(
    ("flag", "meaning"),
    [
        ("true", True),
        ("True", True),
        ("false", None),
        (None, None),
        ("outputs/x/checkpoint-4", "outputs/x/checkpoint-4"),
    ],
)
def test_what_resume_may_say(flag: str | None, meaning: str | bool | None) -> None:
    assert read_resumption(flag) == meaning


def test_a_word_asks_for_the_last_whole_one(run: Path) -> None:
    assert find_checkpoint_to_resume(run, "true") == find_checkpoint_to_resume(run, True) is not None
    assert find_checkpoint_to_resume(run, "False") is None
