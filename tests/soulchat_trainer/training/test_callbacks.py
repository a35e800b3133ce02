"""What the trainer says while it runs."""

import io
import itertools

import pytest
from tqdm import tqdm
from transformers import TrainerControl, TrainerState, TrainingArguments

from soulchat_trainer.training.callbacks import LogAtSaveCallback, LossBarCallback, TimeLeftCallback, describe_duration


def show(logs: dict, tmp_path) -> str:
    """What a running bar shows after a log."""
    callback, shown = LossBarCallback(), io.StringIO()
    callback.training_bar = tqdm(total=10, file=shown)
    callback.on_log(TrainingArguments(str(tmp_path)), TrainerState(), TrainerControl(), logs)
    callback.training_bar.close()
    return shown.getvalue()


def test_the_bar_shows_loss_and_speed(tmp_path) -> None:
    assert "loss 3.142, 1,235 tokens/s" in show({"loss": 3.14159, "tokens_per_second": 1234.6}, tmp_path)


def test_an_evaluation_is_a_line_of_its_own(tmp_path, capsys) -> None:
    show({"eval_loss": 2.5, "epoch": 1.0, "total_flos": 7, "eval_samples": 3}, tmp_path)
    assert capsys.readouterr().out == "eval_loss 2.5, eval_samples 3\n"


def test_no_bar_no_line(tmp_path) -> None:
    """As in all processes but the first."""
    LossBarCallback().on_log(TrainingArguments(str(tmp_path)), TrainerState(), TrainerControl(), {"loss": 1.0})


def test_a_log_is_due_at_every_checkpoint_and_at_the_end(tmp_path) -> None:
    args, callback = TrainingArguments(str(tmp_path)), LogAtSaveCallback()
    for step, saves, logs in ((3, False, False), (3, True, True), (10, False, True)):
        state, control = TrainerState(global_step=step, max_steps=10), TrainerControl(should_save=saves)
        assert callback.on_step_end(args, state, control).should_log is logs


def test_the_time_is_said_once_at_the_speed_of_twenty_steps(tmp_path, monkeypatch, capsys) -> None:
    """The first step takes a minute, and says nothing of the others, which take two seconds each."""
    seconds = itertools.chain([60.0], itertools.count(62.0, 2.0))
    monkeypatch.setattr("soulchat_trainer.training.callbacks.time.perf_counter", lambda: next(seconds))
    args, callback, control = TrainingArguments(str(tmp_path)), TimeLeftCallback(), TrainerControl()
    for step in range(1, 41):
        callback.on_step_end(args, TrainerState(global_step=step, max_steps=1820), control)
    assert capsys.readouterr().err.splitlines() == ["2 s a step: about 1 h 0 min to the last step"]


def test_a_short_run_and_another_process_say_nothing(tmp_path, capsys) -> None:
    args, control = TrainingArguments(str(tmp_path)), TrainerControl()
    for first in (True, False):
        callback = TimeLeftCallback()
        for step in range(1, 21):
            state = TrainerState(global_step=step, max_steps=20 if first else 99, is_world_process_zero=first)
            callback.on_step_end(args, state, control)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("seconds", "words"), [(5.4, "5 s"), (185, "3 min 5 s"), (316_800, "88 h 0 min")])
def test_durations_in_words(seconds: float, words: str) -> None:
    assert describe_duration(seconds) == words
