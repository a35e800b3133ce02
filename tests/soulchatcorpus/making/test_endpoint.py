"""One request: its outcome by name, its limits, and where it may go without asking."""

import asyncio
import contextlib
import gzip
import json
import time

import pytest

from soulchatcorpus.making import endpoint as module
from soulchatcorpus.making.endpoint import (
    Completion,
    Endpoint,
    EndpointError,
    Failure,
    Pace,
    _retry_after,
    delay,
    switch_of,
)

CUT = "no JSON: unexpected end of data: line 1 column 20 (char 19)"


def ask(base_url: str, **options) -> Completion | Failure:
    async def run():
        async with Endpoint(base_url, **options) as endpoint:
            return await endpoint.complete([{"role": "user", "content": "记录1"}], "stub")

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
        ("malformed", Failure("malformed", True, None, CUT, '{"choices": [{"mess')),
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
        with pytest.raises(EndpointError, match="rejects the key"):
            ask(endpoint.base_url)
    endpoint.status = 402
    with pytest.raises(EndpointError, match="has no credit"):
        ask(endpoint.base_url)


@pytest.mark.parametrize(
    ("base_url", "thinking", "switch"),
    [
        ("http://127.0.0.1:8000/v1", "off", False),
        ("http://127.0.0.1:8000/v1", "keep", True),
        ("http://127.0.0.1:8000/v1", None, None),
        ("https://api.openai.com/v1", "off", None),
    ],
)
def test_who_is_asked_whether_to_think(base_url, thinking, switch):
    expected = {} if switch is None else {"chat_template_kwargs": {"enable_thinking": switch, "thinking": switch}}
    assert switch_of(base_url, thinking) == expected


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
    with pytest.raises(EndpointError, match=r"^OPENAI_API_KEY has characters that no key has; allowed: "):
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


def ask_raw(*parts: bytes, pause: float = 0.0, **options) -> Completion | Failure:
    """What becomes of an answer that is these bytes, as a server without any manners sends them."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(OSError):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
        writer.close()

    async def run():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with Endpoint(f"http://127.0.0.1:{port}/v1", **options) as endpoint:
                return await endpoint.complete([{"role": "user", "content": "记录1"}], "stub")

    return asyncio.run(run())


def http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}Connection: close\r\n\r\n".encode() + body


GOOD = b'{"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}], "usage": USAGE}'


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"choices": [{"message": {"content": "\\ud83d"}}]}', "no JSON: "),
        (b'{"choices": [{"message": {"content": "a"}, "finish_reason": "\\udc00"}]}', "no JSON: "),
        (b'{"choices": [{"message": {"content": "\xff"}}]}', "no JSON: "),
        (b'{"choices": [{"message": {"content": "a"}, "finish_reason": {}}]}', "choices.0.finish_reason: "),
        (b'{"choices": {"message": {"content": "a"}}}', "choices: Input should be a valid list"),
        (b'{"choices": []}', "choices: List should have at least 1 item"),
        (b'{"choices": [{"message": {"content": null}}]}', "choices.0.message.content: "),
        (b"[" * 100_000 + b"]" * 100_000, "no JSON: "),
        (b"<html>", "no JSON: "),
        (b"1", "answer: "),
        *(
            (GOOD.replace(b"USAGE", usage), "usage")
            for usage in (
                b"{}",
                b'{"prompt_tokens": null, "completion_tokens": 1}',
                b'{"prompt_tokens": "9", "completion_tokens": 1}',
                b'{"prompt_tokens": 99999999999999999999, "completion_tokens": 1}',
                b'{"prompt_tokens": -5, "completion_tokens": 1}',
            )
        ),
        (GOOD.replace(b"USAGE", b'{"prompt_tokens": 1e999, "completion_tokens": 1}'), "no JSON: "),
        (GOOD.replace(b"USAGE", b'{"prompt_tokens": Infinity, "completion_tokens": 1}'), "no JSON: "),
    ],
)
def test_an_odd_answer_is_malformed_with_its_reason_and_text(body, detail):
    failure = ask_raw(http(body))
    assert isinstance(failure, Failure)
    assert failure.reason == "malformed"
    assert failure.detail.startswith(detail)
    assert failure.raw == body.decode(errors="backslashreplace")[:100_000]
    failure.raw.encode()


def test_an_endpoint_that_does_not_count_is_estimated():
    completion = ask_raw(http(GOOD.replace(b"USAGE", b"null")))
    assert completion == Completion("a", "stop", 3, 1)


def test_a_refusal_in_a_field_of_its_own_is_an_answer_that_was_stopped():
    body = b'{"choices": [{"message": {"content": null, "refusal": "I will not"}, "finish_reason": "stop"}]}'
    completion = ask_raw(http(body))
    assert isinstance(completion, Completion)
    assert (completion.text, completion.finish_reason) == ("I will not", "content_filter")


@pytest.mark.parametrize(
    ("answer", "raw"),
    [
        (http(b"\x1f\x8b\x08what is no gzip", headers="Content-Encoding: gzip\r\n"), ""),
        (http(GOOD).replace(b"Content-Length: ", b"Content-Length: 1"), GOOD.decode()),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"ch\r\n', '{"ch'),
    ],
)
def test_an_answer_that_breaks_off_is_malformed_and_what_came_is_kept(answer, raw):
    failure = ask_raw(answer)
    assert (failure.reason, failure.raw) == ("malformed", raw)
    assert failure.detail.startswith("a broken body: ")


def test_a_small_answer_that_unpacks_to_gigabytes_is_cut(monkeypatch):
    monkeypatch.setattr(module, "MAX_BODY_BYTES", 100_000)
    failure = ask_raw(http(gzip.compress(b" " * 50_000_000), headers="Content-Encoding: gzip\r\n"))
    assert (failure.reason, failure.detail) == ("malformed", "longer than 100,000 bytes")
    assert len(failure.raw) <= 100_000


def test_what_comes_behind_an_answer_is_not_that_of_the_next_question():
    """A second answer that nobody asked for, sent while the connection is idle."""
    asked = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                await reader.readuntil(b"}]}")
                asked.append(1)
                body = b'{"choices": [{"message": {"content": "%d"}}]}' % len(asked)
                answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
                writer.write(answer)
                await writer.drain()
                await asyncio.sleep(0.1)
                writer.write(answer.replace(b'"%d"' % len(asked), b'"?"'))
                await writer.drain()

    async def run() -> list[str]:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            texts = []
            async with Endpoint(f"http://127.0.0.1:{port}/v1") as endpoint:
                for _ in range(2):
                    texts.append((await endpoint.complete([{"role": "user", "content": "记录1"}], "stub")).text)
                    await asyncio.sleep(0.3)
            return texts

    assert asyncio.run(run()) == ["1", "2"]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_in_a_field_of_their_own_are_kept_apart(field):
    body = '{"choices": [{"message": {"content": CONTENT, "FIELD": "想"}}]}'.replace("FIELD", field)
    both = [ask_raw(http(body.replace("CONTENT", content).encode())) for content in ('"答"', "null")]
    assert [(each.text, each.aside) for each in both] == [("答", "想"), ("", "想")]


@pytest.mark.parametrize(
    ("message", "text", "aside"),
    [
        ({"content": [{"type": "text", "text": "答"}, {"type": "text", "text": "案"}]}, "答案", ""),
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "想"}]}, {"text": "答"}]},
            *("答", "想"),
        ),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "想"}]}]}, "", "想"),
        ({"content": None, "reasoning_content": "", "reasoning": "想"}, "", "想"),
    ],
)
def test_a_content_of_parts_and_an_empty_field_of_thoughts(message, text, aside):
    answer = ask_raw(http(json.dumps({"choices": [{"message": message}]}).encode()))
    assert (answer.text, answer.aside) == (text, aside)


@pytest.mark.parametrize("content", [[], [{"type": "image_url"}], ["答"]])
def test_parts_without_a_text_are_malformed(content):
    answer = ask_raw(http(json.dumps({"choices": [{"message": {"content": content}}]}).encode()))
    assert (answer.reason, answer.detail) == ("malformed", "choices.0.message.content: Input should be a valid string")


def test_what_is_no_http_is_malformed():
    failure = ask_raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    assert (failure.reason, failure.raw) == ("malformed", "")


def test_a_request_ends_at_its_limit_whatever_trickles_in():
    body = http(GOOD.replace(b"USAGE", b"null"))
    start = time.monotonic()
    assert ask_raw(*(bytes([byte]) for byte in body), pause=0.05, timeout=0.5) == Failure("timeout", again=True)
    assert time.monotonic() - start < 2


def test_an_endless_answer_is_cut(monkeypatch):
    monkeypatch.setattr(module, "MAX_BODY_BYTES", 10_000)
    failure = ask_raw(http(b" " * 1_000_000))
    assert (failure.reason, failure.detail) == ("malformed", "longer than 10,000 bytes")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_elsewhere_is_refused_and_nothing_sent_there(endpoint, status):
    answer = http(b"", f"{status} Moved", f"Location: {endpoint.base_url}/chat/completions\r\n")
    with pytest.raises(EndpointError, match=r"redirects to http://127\.0\.0\.1:\d+/v1/chat/completions; allowed"):
        ask_raw(answer)
    assert not endpoint.asked
    with pytest.raises(EndpointError, match="redirects in a loop"):
        ask_raw(http(b"", f"{status} Moved", "Location: /v1/chat/completions\r\n"))


@pytest.mark.parametrize(
    "location",
    ["http://[::1/v1", "http://127.0.0.1:port/", "http://127.0.0.1:999999/", "//example.org/v1", "http://\xff/"],
)
def test_a_redirect_to_what_is_no_address_is_refused_like_any_other(location):
    answer = http(b"", "307 Moved", "Location: PLACE\r\n").replace(b"PLACE", location.encode("latin-1"))
    with pytest.raises(EndpointError, match=r"redirects to .*; allowed: an address that answers itself") as caught:
        ask_raw(answer)
    str(caught.value).encode()
