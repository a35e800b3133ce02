"""What the trainer says while it runs: a progress bar with loss, speed and time left; losses at each checkpoint."""

import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm.auto import tqdm
from transformers import ProgressCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

# The first step is left out: kernels are chosen and memory is taken in it.
MEASURED_STEPS = 20


class LossBarCallback(ProgressCallback):
    """The stock progress bar (steps, time left), with loss and tokens per second behind it, not printed dicts."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Show the newest loss on the bar; other logs (evaluation, the end) as one line."""
        if self.training_bar is None or not logs:
            return
        if "loss" in logs:
            self.training_bar.set_postfix_str(f"loss {logs['loss']:.3f}, {logs['tokens_per_second']:,.0f} tokens/s")
        else:
            shown = {name: value for name, value in logs.items() if name not in ("total_flos", "epoch")}
            line = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in shown.items())
            self.training_bar.write(line)


class TimeLeftCallback(TrainerCallback):
    """Says once, after 20 steps, how long a run will take at the speed of these."""

    def __init__(self) -> None:
        self.steps, self.begun_at = 0, 0.0

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin to measure after the first step of this process, and tell after the 20th."""
        if not state.is_world_process_zero:
            return
        now = time.perf_counter()
        if self.steps == 0:
            self.begun_at = now
        self.steps += 1
        left = state.max_steps - state.global_step
        if self.steps == MEASURED_STEPS and left > 0:
            seconds = (now - self.begun_at) / (MEASURED_STEPS - 1)
            told = f"{seconds:.2g} s a step: about {describe_duration(seconds * left)} to the last step"
            tqdm.write(told, file=sys.stderr)


def describe_duration(seconds: float) -> str:
    """A duration in words, to two places: `1 h 20 min`, `3 min 5 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class LogAtSaveCallback(TrainerCallback):
    """Logs the loss whenever a checkpoint is saved, and at the last step.

    A logged loss is a mean since the last log, which a checkpoint does not hold: so that a resumed run prints the
    same losses as one never interrupted, the mean begins anew at each checkpoint.
    """

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Ask for a log where a save is due."""
        control.should_log |= control.should_save or state.global_step >= state.max_steps
        return control


class RunInfoCallback(TrainerCallback):
    """Writes what a run is (recipe, data fingerprint, versions, git revision) into every trainer_state.json.

    `identity` is what tells it from other runs, which cannot go on from its checkpoints.
    """

    def __init__(self, run_info: dict[str, Any], identity: dict[str, Any]):
        self.known = {"run_info": run_info, "identity": identity}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Put it where the state keeps what callbacks know, under this class's name."""
        state.stateful_callbacks[type(self).__name__] = {"args": self.known, "attributes": {}}


class FinishCheckpointCallback(TrainerCallback):
    """Calls `finish` when all files of a checkpoint are written."""

    def __init__(self, finish: Callable[[], None]):
        self.finish = finish

    def on_save(self, *args: Any, **kwargs: Any) -> None:
        """The checkpoint of this step is there."""
        self.finish()
