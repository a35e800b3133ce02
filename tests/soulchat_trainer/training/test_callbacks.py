"""What the trainer says while it runs."""

import io

from tqdm import tqdm
from transformers import TrainerControl, TrainerState, TrainingArguments

from soulchat_trainer.training.callbacks import LogAtSaveCallback, LossBarCallback


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
