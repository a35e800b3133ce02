"""What people would say of a reply in the tests, made up out of its words; the stub overrates it."""

from hashlib import blake2b


def draw(*parts: object) -> int:
    """0 to 99, the same for the same parts."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "big") % 100


def quality_of(reply: str) -> int:
    """0 in a fifth, 1 and 2 in two fifths each."""
    point = draw("quality", reply.strip())
    return 0 if point < 20 else 1 if point < 60 else 2
