"""A judge's answer back into scores, or the reason why there are none."""

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

from soulchatcorpus.making.parse import is_refusal
from soulchatcorpus.thoughts import split_thoughts

from .rubric import Rubric

NoScores = Literal["truncated", "refusal", "unparsable", "incomplete", "off_scale"]


def read_verdict(text: str, finish_reason: str, rubric: Rubric) -> dict[str, int] | NoScores:
    """The scores in an answer: a JSON object, alone, in a fence or within prose; nothing is guessed.

    Args:
        text: the raw answer; thoughts before it do not count.
        finish_reason: the endpoint's; "length" and "content_filter" are reasons of their own.

    Returns:
        A score for each aspect; or truncated, refusal, unparsable (no object with scores, or two that differ),
        incomplete (an aspect is missing), off_scale (a score that the scale does not have).
    """
    if finish_reason == "content_filter":
        return "refusal"
    answer = split_thoughts(text).reply
    if finish_reason == "length" or answer is None:
        return "truncated"
    names = {aspect.name for aspect in rubric.aspects}
    found = [value for value in _objects(answer) if names & value.keys()]
    if not found:
        return "refusal" if is_refusal(answer) else "unparsable"
    if any(not names <= value.keys() for value in found):
        return "incomplete"
    verdicts = [{name: _whole(value[name]) for name in names} for value in found]
    if any(verdict != verdicts[0] for verdict in verdicts):
        return "unparsable"
    scores = {aspect.name: verdicts[0][aspect.name] for aspect in rubric.aspects}
    try:
        rubric.check_scores(scores)
    except ValueError:
        return "off_scale"
    return scores


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The outermost JSON objects in a text, and those inside of them."""
    decoder, place = json.JSONDecoder(), text.find("{")
    while place >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):  # a number of more digits than Python reads is no JSONDecodeError
            end = place + 1
        else:
            yield value
            yield from (inside for inside in value.values() if isinstance(inside, dict))
        place = text.find("{", end)


def _whole(value: Any) -> Any:
    """2 for 2.0 and "2", which say the same."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,9}\s*", value):
        return int(value)
    return value
