"""The client of a rewriting: as its record states, or with Big Five levels drawn from a stated distribution."""

import random

from ..clients import LEVELS, TRAITS, Client
from .options import read_levels
from .records import Record


def choose_client(record: Record, levels: str, seed: int) -> Client:
    """The client of a record, or where it states none, one with each level of the Big Five drawn by `levels`.

    The draw depends on the seed and the record's id alone: the order and number of the records change nothing.

    Args:
        record: as `read_pipeline_records` gives it.
    """
    if stated := record.get("client"):
        return stated
    weights = read_levels(levels)
    drawn = random.Random(f"{seed}/{record['id']}")
    return {trait: drawn.choices(LEVELS, weights)[0] for trait in TRAITS}
