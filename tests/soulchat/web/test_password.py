"""Wrong passwords cost time, and only whoever gave them."""

import pytest
from starlette.exceptions import HTTPException

from soulchat.web.password import Door


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def door(clock):
    return Door("the right one", clock)


def test_each_wrong_password_doubles_the_wait(door, clock):
    for wait in (1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300):
        assert not door.opens("1.2.3.4", "wrong")
        clock.now += wait - 0.5
        with pytest.raises(HTTPException) as refused:
            door.opens("1.2.3.4", "the right one")  # not even looked at
        assert (refused.value.status_code, refused.value.headers) == (429, {"Retry-After": "0"})
        clock.now += 0.5
    assert door.opens("1.2.3.4", "the right one")


def test_the_right_password_ends_the_count(door, clock):
    assert not door.opens("1.2.3.4", "wrong")
    clock.now += 1
    assert door.opens("1.2.3.4", "the right one")
    assert not door.opens("1.2.3.4", "wrong")
    clock.now += 1
    assert door.opens("1.2.3.4", "the right one")


def test_others_do_not_wait(door):
    assert not door.opens("1.2.3.4", "wrong")
    assert door.opens("5.6.7.8", "the right one")


def test_what_is_no_ascii_is_compared(door):
    assert not door.opens("1.2.3.4", "密码")


def test_addresses_are_forgotten_after_a_while(door, clock):
    for number in range(10_000):
        door.opens(str(number), "wrong")
    clock.now += 3_602
    door.opens("one more", "wrong")
    assert len(door._wrong) == 1
