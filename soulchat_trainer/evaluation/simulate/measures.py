"""What can be counted of talks without a judge: of the counsellor's half, and how real the client's half is.

They count forms, which people and judges are not needed for, and say nothing of how good a talk is.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rapidfuzz.distance import Indel

from soulchatcorpus.schema import Role

from ..correction import wilson_interval
from ..empathy import expression_rates
from .profiles import Profile
from .protocol import Protocol

SAME = 0.9  # two messages are the same from this share of equal characters on (Indel similarity)
COPIED = 15  # characters in a row that are no coincidence
LONG = 0.95  # a client is long-winded above this quantile of real users' lines

TalkRecord = dict[str, Any]  # as conversations.jsonl has it

_CONSOLES = re.compile(
    "建议你|你可以(试试|尝试|考虑)|你(要|应该)(学会|多|试着|照顾)|(?<!特)别(担心|难过|自责)|加油[，。！]?你|我(能|很)?理解你的(感受|心情)|"
    "听起来你|作为(一[个名位])?(AI|人工智能|助手|心理?咨询师|语言模型)|我会(一直)?(支持|陪伴|陪着)你"
)
_THANKS = re.compile("谢谢|感谢|多谢")


@dataclass(frozen=True, slots=True)
class Share:
    """A share of talks with its 95 % interval (Wilson 1927)."""

    value: float
    low: float
    high: float
    talks: int


def share_of(flags: Sequence[bool]) -> Share:
    """The share of talks that are True; nan of none."""
    number, found = len(flags), sum(flags)
    if not number:
        return Share(math.nan, math.nan, math.nan, 0)
    found_of = wilson_interval(np.array(found, float), np.array(number, float))
    return Share(found / number, max(0.0, float(found_of.low)), min(1.0, float(found_of.high)), number)


def lines_of(talk: TalkRecord, role: Role) -> list[str]:
    """What one side says in a talk."""
    return [message["content"] for message in talk["messages"] if message["role"] == role]


def count_repeats(lines: Sequence[str]) -> int:
    """How many lines are nearly the same as an earlier one."""
    return sum(
        any(Indel.normalized_similarity(line, earlier) >= SAME for earlier in lines[:number])
        for number, line in enumerate(lines)
    )


def describe_counsellor(talks: Sequence[TalkRecord]) -> dict[str, float]:
    """Means over all messages of the counsellor, and its share of all that is said.

    Returns:
        Shares of messages with a question, a list of advice, a reflection and the other expressions of `empathy.json`,
        and of those that repeat an earlier one; characters of a message; the counsellor's share of characters.
    """
    replies = [line for talk in talks for line in lines_of(talk, "assistant")]
    said, heard = (sum(len(line) for talk in talks for line in lines_of(talk, role)) for role in ("assistant", "user"))
    repeated = sum(count_repeats(lines_of(talk, "assistant")) for talk in talks)
    return {
        **expression_rates(replies),
        "repeated": repeated / len(replies),
        "characters": said / len(replies),
        "share_of_words": said / (said + heard),
    }


def describe_lines(talks: Sequence[Sequence[str]]) -> dict[str, Share]:
    """In which share of talks a client consoles or advises, thanks twice in a row, or repeats itself.

    Args:
        talks: the client's lines of each.
    """
    return {
        "role_drift": share_of([any(_CONSOLES.search(line) for line in lines) for lines in talks]),
        "thanks_loop": share_of([_has_run([bool(_THANKS.search(line)) for line in lines], 2) for lines in talks]),
        "repeated_turn": share_of([count_repeats(lines) > 0 for lines in talks]),
    }


def describe_client(
    talks: Sequence[TalkRecord], protocol: Protocol, profiles: Sequence[Profile], real: Sequence[Sequence[str]]
) -> dict[str, Share]:
    """The realism sheet: in which share of talks a client does what clients seldom do, each time with an interval.

    Args:
        real: what real users say, by talk, for the lengths.
    """
    instructions = {profile.id: protocol.instruct(profile) for profile in profiles}
    longest = float(np.quantile([len(line) for lines in real for line in lines], LONG))
    clients = [lines_of(talk, "user") for talk in talks]

    def copies(talk: TalkRecord) -> bool:
        told = instructions[talk["provenance"]["profile"]]
        return any(_shares_run(line, told) for line in lines_of(talk, "user"))

    return {
        **describe_lines(clients),
        "long_lines": share_of([float(np.median([len(line) for line in lines])) > longest for lines in clients]),
        "copied_instructions": share_of([copies(talk) for talk in talks]),
        "early_goodbye": share_of([_leaves_early(talk, protocol) for talk in talks]),
    }


def _leaves_early(talk: TalkRecord, protocol: Protocol) -> bool:
    """Whether the client takes leave in the first half of the rounds."""
    return talk["provenance"]["stop"] == "goodbye" and len(lines_of(talk, "user")) <= protocol.turns / 2


def _has_run(flags: Sequence[bool], length: int) -> bool:
    return any(all(flags[start : start + length]) for start in range(len(flags) - length + 1))


def _shares_run(line: str, told: str) -> bool:
    return any(line[start : start + COPIED] in told for start in range(len(line) - COPIED + 1))


def reaction(talk: TalkRecord) -> float:
    """What the client made of a talk: its last emotion where it keeps one, else how many characters it said."""
    emotions = talk["provenance"].get("emotions")
    return float(emotions[-1]) if emotions else float(sum(map(len, lines_of(talk, "user"))))
