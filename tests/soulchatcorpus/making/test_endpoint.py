"""One request: its outcome by name, its limits, and where it may go without asking."""

import asyncio
import time

import pytest

from soulchatcorpus.making.endpoint import (
    Completion,
    Endpoint,
    EndpointError,
    Failure,
    Pace,
    _retry_after,
    delay,
)


def ask(base_url: str, **options) -> Completion | Failure:
    async def run():
        async with Endpoint(base_url, **options) as endpoint:
            return await endpoint.complete("记录1", "stub")

    return asyncio.run(run())


def test_an_answer(endpoint):
    endpoint.answer = lambda content, model: "好"
    assert ask(endpoint.base_url) == Completion("好", "stop", 100, 200)


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        ("http_429", Failure("http_429", again=True, wait=0.02)),
        ("http_500", Failure("http_500", again=True)),
        ("timeout", Failure("timeout", again=True)),
        ("connection", Failure("connection", again=True)),
        ("malformed", Failure("malformed", again=True)),
    ],
)
def test_failures_by_name(endpoint, fault, failure):
    endpoint.faults = {fault: 100}
    assert ask(endpoint.base_url, timeout=0.3) == failure


def test_statuses_that_repeating_does_not_help(endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    endpoint.status, endpoint.message = 400, "secret: 9 tokens, but only 8 fit"
    failure = ask(endpoint.base_url)
    assert (failure.reason, failure.again) == ("bad_request", False)
    assert "[key]: 9 tokens, but only 8 fit" in failure.detail
    for status in (401, 403):
        endpoint.status = status
        with pytest.raises(EndpointError, match="refuses the key"):
            ask(endpoint.base_url)
    endpoint.status = 402
    with pytest.raises(EndpointError, match="wants to be paid first"):
        ask(endpoint.base_url)


def test_waiting_is_what_the_endpoint_asks_for_else_doubles():
    assert delay(1, Failure("http_429", True, wait=7.0)) == 7.0
    assert 0.375 <= delay(1, Failure("http_500", True)) <= 0.5
    assert 3.0 <= delay(4, Failure("http_500", True)) <= 4.0
    assert delay(20, Failure("http_500", True)) <= 60.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("-1", None),
        ("soon", None),
        (None, None),
        ("Mon, 26 Jul 2100 00:00:00 GMT", 30),
        ("Mon, 26 Jul 99999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(monkeypatch, value, seconds):
    monkeypatch.setattr(time, "time", lambda: 4_120_243_170.0)  # 2100-07-25 23:59:30
    assert _retry_after({"retry-after": value} if value else {}) == seconds


def test_an_endpoint_elsewhere_wants_a_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(EndpointError, match=r"no key for api\.example\.com: set .* OPENAI_API_KEY"):
        Endpoint("https://api.example.com/v1")


@pytest.mark.parametrize("key", ["密钥", "sk\nsk"])
def test_a_key_that_cannot_be_sent_is_named_and_not_shown(monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(EndpointError, match=r"^OPENAI_API_KEY holds characters that no key has; set it again$"):
        Endpoint("http://127.0.0.1/v1")


def test_white_space_round_a_key_is_no_part_of_it(endpoint, monkeypatch):
    endpoint.key = "sk-right"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-right\n")
    assert isinstance(ask(endpoint.base_url), Completion)


def test_what_is_for_this_machine_goes_through_no_proxy(endpoint, monkeypatch):
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nobody is there
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert isinstance(ask(endpoint.base_url), Completion)


def test_pace_by_tokens():
    async def run() -> float:
        pace, start = Pace(tokens=6000), time.monotonic()
        for _ in range(4):
            await pace.wait(10)
        return time.monotonic() - start

    assert 0.3 <= asyncio.run(run()) < 1.0
