"""What the paper's claims about empathy can be measured by: how often replies ask, advise, comfort, reflect.

The patterns, each with the claim that it tests, stand in empathy.json. They find forms, not sincerity; the paper's own
judgement of empathy is that of people (`soulchat rate`).
"""

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import orjson


@cache
def _lexicon() -> dict[str, tuple[str, re.Pattern[str]]]:
    measures = orjson.loads(files(__package__).joinpath("empathy.json").read_bytes())["measures"]
    return {
        name: (measure["claim"], re.compile("|".join(f"(?:{pattern})" for pattern in measure["patterns"])))
        for name, measure in measures.items()
    }


def claims() -> dict[str, str]:
    """The measures, each with the claim of the paper that it tests."""
    return {name: claim for name, (claim, _) in _lexicon().items()}


def find_expressions(text: str) -> set[str]:
    """The measures that count this reply."""
    return {name for name, (_, pattern) in _lexicon().items() if pattern.search(text)}


def expression_rates(replies: Sequence[str]) -> dict[str, float]:
    """For each measure the share of the replies, 0 to 1, in which it is found."""
    found = [find_expressions(reply) for reply in replies]
    return {name: sum(name in names for names in found) / len(found) for name in _lexicon()}
