"""Text of others that is only text: nothing in it steers a terminal, or the direction in which a line is read."""

import re

# Control characters would let a text move the cursor, recolour or retitle a terminal, or turn what stands behind it.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """`text` without the characters that steer; newlines and tabs stay."""
    return _STEERING.sub("", text)
