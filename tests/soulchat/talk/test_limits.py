"""Limits of length and rate."""

import pytest

from soulchat.talk.limits import TALK_CHARACTERS, Limits, OverLimit, RateLimiter, drop_oldest_turns


def test_limits_are_checked():
    with pytest.raises(ValueError, match="replies_at_once is 0; allowed: at least 1"):
        Limits(replies_at_once=0)
    Limits(message_characters=3).check_message("三个字")
    with pytest.raises(ValueError, match="the message has 4 characters; allowed: at most 3"):
        Limits(message_characters=3).check_message("四个字了")


def test_bucket_refills_evenly_and_clients_have_their_own():
    now = [0.0]
    rates = RateLimiter(60, clock=lambda: now[0])
    for _ in range(60):
        rates.take("one")
    with pytest.raises(OverLimit, match="more than 60 messages a minute; allowed again in 1 s"):
        rates.take("one")
    rates.take("another")
    now[0] = 1.0
    rates.take("one")
    with pytest.raises(OverLimit):
        rates.take("one")


def test_full_buckets_are_forgotten():
    now = [0.0]
    rates = RateLimiter(60, clock=lambda: now[0])
    for number in range(1_001):
        rates.take(str(number))
    now[0] = 61.0
    rates.take("late")
    assert len(rates._buckets) == 1


def test_no_limit():
    rates = RateLimiter(0)
    for _ in range(10_000):
        rates.take("one")


def test_oldest_turns_go_whole_and_the_system_text_stays():
    turn = [{"role": "user", "content": "问" * 9_000}, {"role": "assistant", "content": "答" * 1_000}]
    system = {"role": "system", "content": "说明"}
    last = {"role": "user", "content": "最后"}
    kept = drop_oldest_turns([system, *turn * 5, last])
    assert kept == [system, *turn * 3, last]
    assert sum(len(message["content"]) for message in kept[1:]) <= TALK_CHARACTERS
    assert drop_oldest_turns([system, last]) == [system, last]
    assert drop_oldest_turns([{"role": "assistant", "content": "你好"}, last])[0]["role"] == "assistant"
