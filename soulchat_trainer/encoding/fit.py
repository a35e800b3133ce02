"""A talk into a room: the system text stays, oldest turns go whole, a last message too long by itself keeps its end.

Training, held-out loss, benchmark and chat all fit by this, so that a model is asked what it was trained on.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from soulchatcorpus import Message

Encode = Callable[[Sequence[Message]], list[int]]


@dataclass(frozen=True, slots=True)
class FittedPrompt:
    """The token ids of a prompt that fits.

    Attributes:
        ids: int ids of the prompt.
        dropped: how many of the oldest messages it leaves out.
        is_cut: True where the last message has lost its beginning.
    """

    ids: list[int]
    dropped: int
    is_cut: bool


def prompt_room(window: int, max_new_tokens: int) -> int:
    """Tokens for a prompt in a window of `window` tokens.

    At most a quarter is kept free for the reply: the paper's 512 of 2,048 (section 3.2).
    """
    return window - min(max_new_tokens, window // 4)


def find_start(messages: Sequence[Message], length: Callable[[int], int], room: int) -> int:
    """The number of the oldest message that stays: the first, a later one of the user's, or else the last.

    Args:
        messages: the talk; a system text that stands first stays in any case and is not counted as its first message.
        length: how long the prompt is that begins with the message of a number, after the system text.
        room: the greatest length. Where nothing fits, the last message is what is left to be cut.
    """
    first = int(messages[0]["role"] == "system")
    if length(first) <= room:
        return first
    last = len(messages) - 1
    starts = [number for number in range(first + 1, last) if messages[number]["role"] == "user"]
    # A search, because a talk may have thousands of turns and each length may need all that is left of it encoded.
    place = bisect_left(starts, True, key=lambda number: length(number) <= room)
    return starts[place] if place < len(starts) else last


def keep_from(messages: Sequence[Message], start: int) -> list[Message]:
    """The messages from number `start` on, after the system text, where there is one."""
    return [*(message for message in messages[:1] if message["role"] == "system"), *messages[start:]]


def fit_prompt(encode: Encode, messages: Sequence[Message], room: int, cut_last: bool) -> FittedPrompt:
    """The prompt of the longest end of a talk that fits.

    Args:
        encode: messages -> token ids of the prompt.
        messages: the talk.
        room: most tokens of the prompt.
        cut_last: let a last message that alone is too long lose its beginning, as in training.

    Raises:
        ValueError: there is no message, or only a system text; the last message alone does not fit.
    """
    if not messages or messages[-1]["role"] == "system":
        found = "is only a system text" if messages else "has no messages"
        raise ValueError(f"the talk {found}; allowed: at least one message of user or counsellor")
    encode_from = cache(lambda start: encode(keep_from(messages, start)))
    start = find_start(messages, lambda number: len(encode_from(number)), room)
    dropped = start - int(messages[0]["role"] == "system")
    ids = encode_from(start)
    if len(ids) <= room:
        return FittedPrompt(ids, dropped, is_cut=False)
    if not cut_last:
        raise ValueError(f"the last message makes a prompt of {len(ids)} tokens; allowed: at most {room}")
    return FittedPrompt(cut_last_message(encode, keep_from(messages, start), room), dropped, is_cut=True)


def cut_last_message(encode: Encode, messages: Sequence[Message], room: int) -> list[int]:
    """`room` ids of a prompt that is longer: what stands around its last message, and the end of that message.

    Raises:
        ValueError: what stands around the message leaves it no room.
    """
    ids = encode(messages)
    without = encode([*messages[:-1], Message(role=messages[-1]["role"], content="")])
    if len(without) >= room:
        raise ValueError(f"a prompt has {len(without)} tokens without the last message; allowed: fewer than {room}")
    before = next((place for place, id_ in enumerate(without) if id_ != ids[place]), len(without))
    return [*ids[:before], *ids[before - room :]]
