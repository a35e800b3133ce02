"""Characters that steer."""

from hub_cards.printable import printable


def test_what_steers_is_left_out() -> None:
    assert printable("一\x1b[31m二\x9b2J\x07\u202e三\u2066\u200f") == "一[31m二2J三"
    assert printable("a\tb\nc 👩\u200d👧") == "a\tb\nc 👩\u200d👧"
