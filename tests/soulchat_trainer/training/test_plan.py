"""How long a run is: what decides, and what is said of it."""

from pathlib import Path

import pytest

from soulchat_trainer.training.arguments import SoulChatTrainingArguments
from soulchat_trainer.training.plan import plan_steps


def arguments(folder: Path, **changes: float) -> SoulChatTrainingArguments:
    changes = {"global_batch_size": 20, "per_device_train_batch_size": 10, "max_steps": 30_000, **changes}
    return SoulChatTrainingArguments(str(folder), use_cpu=True, **changes)


@pytest.mark.parametrize(
    ("changes", "steps", "bound"),
    [
        ({}, 30_000, "max_steps 30,000"),
        ({"max_epochs": 3}, 24, "max_epochs 3"),
        ({"max_epochs": 0.1}, 1, "max_epochs 0.1"),
        ({"max_epochs": 3, "max_steps": 7}, 7, "max_steps 7"),
        ({"max_steps": -1}, 24, "num_train_epochs 3"),
        ({"max_steps": -1, "num_train_epochs": 5, "max_epochs": 2}, 16, "max_epochs 2"),
    ],
)
def test_what_is_sooner_ends_a_run(changes: dict, steps: int, bound: str, tmp_path: Path) -> None:
    """159 samples are 16 micro-batches of 10, two of which make a step."""
    plan = plan_steps(arguments(tmp_path, **changes), range(159), 16)
    assert (plan.steps, plan.bound, plan.steps_per_epoch) == (steps, bound, 8)


def test_what_is_said(tmp_path: Path) -> None:
    assert plan_steps(arguments(tmp_path, max_epochs=3), range(1034), 104).describe() == (
        "156 steps (max_epochs 3), which is 1,034 samples 3 times"
    )
    assert plan_steps(arguments(tmp_path), range(159), 16).describe() == (
        "30,000 steps (max_steps 30,000), which is 159 samples 3,750 times"
    )


def test_a_stream_has_max_steps_only(tmp_path: Path) -> None:
    plan = plan_steps(arguments(tmp_path, max_epochs=3, max_steps=5), None, None)
    assert plan.describe() == "5 steps (max_steps 5) over a stream, whose samples are not counted beforehand"
    with pytest.raises(ValueError, match="max_steps is -1; allowed with a stream: 1 or more"):
        plan_steps(arguments(tmp_path, max_steps=-1), None, None)
