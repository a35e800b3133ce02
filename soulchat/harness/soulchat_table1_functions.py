"""What soulchat_table1.yaml names: the turns beside it, and the scores of a reply."""

from pathlib import Path
from typing import Any

from datasets import DatasetDict, load_dataset

from soulchat_metrics import METRIC_NAMES, score
from soulchat_metrics.trainer_metrics import without_thinking


def load_turns(**options: Any) -> DatasetDict:
    """The turns; of the options, the task's metadata, nothing depends."""
    return load_dataset(str(Path(__file__).with_name("data")))


def score_reply(row: dict[str, str], replies: list[str]) -> dict[str, float]:
    """The seven metrics of a reply, x100; their means are those of `soulchat_metrics.score`."""
    scores = score([without_thinking(replies[0])], [row["reference"]])
    return {name: scores[name] for name in METRIC_NAMES}
