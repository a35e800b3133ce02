"""How long a run will be: its steps, and how often they go through the data."""

import math
from collections.abc import Sized
from dataclasses import dataclass

from .arguments import SoulChatTrainingArguments


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a run, and why it ends there.

    Attributes:
        steps: of the optimizer.
        bound: the argument that decides, and its value.
        samples, steps_per_epoch: of one pass over the data; None for a stream, whose length nobody knows.
    """

    steps: int
    bound: str
    samples: int | None = None
    steps_per_epoch: int | None = None

    def describe(self) -> str:
        """One line, to be read before a run takes days."""
        if self.samples is None or self.steps_per_epoch is None:
            return f"{self.steps:,} steps ({self.bound}) over a stream, whose samples are not counted beforehand"
        epochs = round(self.steps / self.steps_per_epoch, 1)
        return f"{self.steps:,} steps ({self.bound}), which is {self.samples:,} samples {epochs:,g} times"


def plan_steps(args: SoulChatTrainingArguments, samples: Sized | None, micro_batches: int | None) -> Plan:
    """The plan of a run: `max_steps`, or `max_epochs` where these are fewer steps.

    Args:
        args: of the run.
        samples: of one pass over the data; None for a stream, of which only `max_steps` is known.
        micro_batches: of one pass, in one process.

    Raises:
        ValueError: the steps of a stream are to be found by counting its epochs.
    """
    if samples is None or micro_batches is None:
        if args.max_steps == -1:
            raise ValueError("max_steps is -1; allowed with a stream: 1 or more")
        return Plan(args.max_steps, f"max_steps {args.max_steps:,}")
    steps_per_epoch = math.ceil(micro_batches / args.gradient_accumulation_steps)
    bounds = {"num_train_epochs": args.num_train_epochs} if args.max_steps == -1 else {}
    if args.max_epochs is not None:
        bounds["max_epochs"] = args.max_epochs
    ends = {f"{name} {epochs:g}": math.ceil(epochs * steps_per_epoch) for name, epochs in bounds.items()}
    if args.max_steps != -1:
        ends[f"max_steps {args.max_steps:,}"] = args.max_steps
    bound = min(ends, key=ends.__getitem__)
    return Plan(ends[bound], bound, len(samples), steps_per_epoch)
