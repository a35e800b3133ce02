"""The test turns of a benchmark: which data set, which rows."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset

from soulchatcorpus.schema import Conversation
from soulchatcorpus.turns import split_turns

MAX_SAMPLES = 10_000  # the paper, section 3.3


def list_turns(rows: Dataset) -> list[dict[str, str]]:
    """Rows of turns, or of conversations (`messages`), as turns: id, prompt, completion.

    Raises:
        ValueError: a column is missing.
    """
    wanted = ("id", "messages") if "messages" in rows.column_names else ("id", "prompt", "completion")
    missing = [column for column in wanted if column not in rows.column_names]
    if missing:
        raise ValueError(f"the test turns have no column {', '.join(missing)}; found {', '.join(rows.column_names)}")
    rows = rows.select_columns(list(wanted))
    if "messages" not in wanted:
        return rows.to_list()
    return [
        {"id": turn.id, "prompt": turn.prompt, "completion": turn.completion}
        for row in rows
        for turn in split_turns(Conversation(str(row["id"]), row["messages"]))
    ]


def sample_turns(turns: Sequence[Mapping[str, Any]], samples: int | None, seed: int) -> list[Mapping[str, Any]]:
    """Test turns without replacement, in their order; by default all, at most 10,000 (the paper, section 3.3).

    Raises:
        ValueError: more are asked for than there are, or fewer than one; there are none; an id stands twice.
    """
    if len({turn["id"] for turn in turns}) < len(turns):
        raise ValueError(f"the {len(turns)} test turns share ids; allowed: an id of its own for each")
    wanted = min(len(turns), MAX_SAMPLES) if samples is None else samples
    if not 1 <= wanted <= len(turns):
        raise ValueError(f"{wanted} samples are asked for and the test split has {len(turns)}; allowed: 1 to that")
    chosen = sorted(random.Random(seed).sample(range(len(turns)), wanted))
    return [turns[index] for index in chosen]
