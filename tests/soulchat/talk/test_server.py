"""The server, spoken to by the real `openai` client over a loopback socket."""

import concurrent.futures
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import openai
import pytest
import uvicorn

from soulchat.talk.limits import Limits
from soulchat.talk.server import make_app
from soulchat.talk.service import ReplyService
from soulchat.web.listening import bind, local_names
from soulchat_trainer.generation.engine import Decoding, generate_replies

DECODING = Decoding(max_new_tokens=20)
HELLO = [{"role": "user", "content": "你好"}]


@contextmanager
def running(service: ReplyService, password: str | None = None, decoding: Decoding = DECODING) -> Iterator[str]:
    """The server on a free port; gives its address."""
    listener = bind("127.0.0.1", 0)
    app = make_app(service, "small", decoding, local_names("127.0.0.1"), password)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def client_for(address: str, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=address + "/v1", api_key=key, max_retries=0)


@pytest.fixture
def serve(scripted) -> Iterator[Callable]:
    """Starts a server over a script; gives its address and engine."""
    contexts = []

    def start(script, password=None, **settings):
        service, engine = scripted(script, **settings)
        contexts.append(running(service, password))
        return contexts[-1].__enter__(), engine

    yield start
    for context in contexts:
        context.__exit__(None, None, None)


def test_reply_whole_and_streamed_are_the_generation_s(service, small_model):
    [expected] = generate_replies(*small_model, [HELLO], ["seeded"], Decoding(max_new_tokens=20, seed=7))
    with running(service) as address, client_for(address) as client:
        whole = client.chat.completions.create(model="small", messages=HELLO, seed=7)
        assert whole.choices[0].message.content == expected.text
        assert whole.choices[0].finish_reason == ("stop" if expected.finished else "length")
        assert whole.usage.completion_tokens == expected.num_tokens
        chunks = list(
            client.chat.completions.create(
                model="small", messages=HELLO, seed=7, stream=True, stream_options={"include_usage": True}
            )
        )
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == expected.text
        assert chunks[0].choices[0].delta.role == "assistant"
        assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
        assert chunks[-1].usage == whole.usage
        assert [model.id for model in client.models.list()] == ["small"]
        assert client.models.retrieve("small").id == "small"
        assert httpx.get(address + "/health").json() == {"status": "ok", "model": "small", "replies_open": 0}


def test_thoughts_are_a_field_of_their_own(scripted):
    service, _ = scripted("<think>他睡不着。</think>多久了？")
    with running(service, decoding=Decoding(thinking="keep")) as address, client_for(address) as client:
        message = client.chat.completions.create(model="small", messages=HELLO).choices[0].message
        assert (message.content, message.reasoning_content) == ("多久了？", "他睡不着。")
        chunks = [
            c.choices[0].delta for c in client.chat.completions.create(model="small", messages=HELLO, stream=True)
        ]
        assert "".join(delta.content or "" for delta in chunks) == "多久了？"
        assert "".join((delta.model_extra or {}).get("reasoning_content", "") for delta in chunks) == "他睡不着。"
    with running(service) as address, client_for(address) as client:
        message = client.chat.completions.create(model="small", messages=HELLO).choices[0].message
        assert "reasoning_content" not in (message.model_extra or {})


def test_help_lines_are_an_extra_field_of_every_answer(serve):
    address, _ = serve("我在听。")
    talk = [{"role": "user", "content": "我不想活了，想自杀"}]
    with client_for(address) as client:
        whole = client.chat.completions.create(model="small", messages=talk)
        [care] = whole.model_extra["soulchat"]["care"]
        assert care["cause"] == "message"
        assert care["help_lines"][0]["number"] == "12356"
        assert whole.choices[0].message.content == "我在听。"
        assert "人工智能" in whole.model_extra["soulchat"]["notice"]
        first, *_ = client.chat.completions.create(model="small", messages=talk, stream=True)
        assert first.model_extra["soulchat"]["care"] == [care]
        calm = client.chat.completions.create(model="small", messages=HELLO)
        assert calm.model_extra["soulchat"]["care"] == []


def test_reply_that_speaks_of_self_harm_has_help_lines_in_its_content_before_it(serve):
    address, _ = serve("我听到你了。你应该去死，没有人会在乎的。")
    with client_for(address) as client:
        whole = client.chat.completions.create(model="small", messages=HELLO)
        content = whole.choices[0].message.content
        assert content.index("12356") < content.index("去死")
        assert whole.model_extra["soulchat"]["care"][0]["category"] == "self_harm_in_reply"
        streamed = "".join(
            chunk.choices[0].delta.content or ""
            for chunk in client.chat.completions.create(model="small", messages=HELLO, stream=True)
        )
        assert streamed == content


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"messages": [{"role": "user", "content": " "}]}, 400, "the message is empty"),
        ({"messages": [{"role": "user", "content": "长" * 100_000}]}, 400, "100,000 characters"),
        ({"messages": [{"role": "assistant", "content": "好"}]}, 400, "the last message is not the user's"),
        ({"messages": [*HELLO, {"role": "system", "content": "好"}, *HELLO]}, 400, "message 2 is a system text"),
        (
            {"messages": [{"role": "system", "content": "长" * 40_000}, *HELLO]},
            400,
            "system text has 40,000 characters",
        ),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, 400, "message 1 holds half of a surrogate pair"),
        ({"messages": []}, 400, "messages: List should have at least 1 item"),
        ({"messages": [{"role": "tool", "content": "好"}]}, 400, "messages.0.role: Input should be"),
        ({"messages": "你好"}, 400, "messages: Input should be a valid list"),
        ({"temperature": -1}, 400, "temperature: Input should be greater than or equal to 0"),
        ({"temperature": 1e-40}, 400, "temperature is 1e-40; allowed: 0.0001 or more"),
        ({"top_p": 0}, 400, "top_p: Input should be greater than 0"),
        ({"max_tokens": 0}, 400, "max_tokens: Input should be greater than or equal to 1"),
        ({"n": 2}, 400, "n: Input should be 1"),
        ({"tools": []}, 400, "tools: Extra inputs are not permitted"),
        ({"model": "other"}, 404, "model is unknown; allowed: small"),
    ],
)
def test_bad_requests_get_clear_answers_and_the_server_lives_on(serve, change, status, message):
    address, _ = serve("好。")
    body = {"model": "small", "messages": HELLO} | change
    headers = {"content-type": "application/json"}
    answer = httpx.post(address + "/v1/chat/completions", content=json.dumps(body), headers=headers)
    assert answer.status_code == status
    assert message in answer.json()["error"]["message"]
    assert "长长长" not in answer.text
    with client_for(address) as client:
        assert client.chat.completions.create(model="small", messages=HELLO).choices[0].message.content == "好。"


def test_what_is_no_json_or_too_long_is_refused(serve):
    address, _ = serve("好。")
    url, headers = address + "/v1/chat/completions", {"content-type": "application/json"}
    assert httpx.post(url, content=b"{", headers=headers).status_code == 400
    assert httpx.post(url, content=b"x" * (1 << 21), headers=headers).status_code == 413
    assert httpx.get(address + "/health", headers={"host": "attacker.example"}).status_code == 400
    assert httpx.get(address + "/health").status_code == 200


def test_password_is_asked_for_and_a_wrong_one_costs_time(serve):
    address, _ = serve("好。", password="secret")
    with client_for(address, "wrong") as client, pytest.raises(openai.AuthenticationError):
        client.models.list()
    with client_for(address, "secret") as client:
        with pytest.raises(openai.RateLimitError, match="the password was wrong 1 times; allowed again in 1 s"):
            client.models.list()
        time.sleep(1.05)
        assert client.chat.completions.create(model="small", messages=HELLO).choices


def test_what_guards_a_page_guards_the_server(serve):
    address, _ = serve("好。")
    assert "default-src 'self'" in httpx.get(address + "/health").headers["content-security-policy"]


def test_too_many_messages_are_told(serve):
    address, _ = serve("好。", limits=Limits(messages_per_minute=1))
    with client_for(address) as client:
        client.chat.completions.create(model="small", messages=HELLO)
        with pytest.raises(openai.RateLimitError, match="more than 1 messages a minute"):
            client.chat.completions.create(model="small", messages=HELLO)


@pytest.mark.parametrize("stream", [True, False])
def test_client_that_hangs_up_stops_the_generation(serve, stream):
    address, engine = serve("很长的回复" * 1_000_000)
    host, port = address.removeprefix("http://").split(":")
    body = json.dumps({"model": "small", "messages": HELLO, "stream": stream}).encode()
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_until(lambda: engine.steps > 2)
    wait_until(lambda: engine.cancelled)
    assert httpx.get(address + "/health").json()["replies_open"] == 0


def test_fifty_clients_at_once_lose_and_mix_nothing(service, small_model):
    talks = [[{"role": "user", "content": f"第{number}个人：我最近总觉得很焦虑。"}] for number in range(50)]
    decoding = Decoding(max_new_tokens=20, seed=3)
    expected = [reply.text for reply in generate_replies(*small_model, talks, ["seeded"] * 50, decoding)]
    with running(service) as address, client_for(address) as client:

        def ask(number: int) -> str:
            if number % 2:
                whole = client.chat.completions.create(model="small", messages=talks[number], seed=3)
                return whole.choices[0].message.content
            chunks = client.chat.completions.create(model="small", messages=talks[number], seed=3, stream=True)
            return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            assert list(pool.map(ask, range(50))) == expected
    assert len(set(expected)) > 40


def test_logs_carry_no_text(serve, caplog):
    caplog.set_level(logging.DEBUG, logger="soulchat_trainer")
    address, engine = serve("回复的文字")
    step = engine.step

    def break_once():
        engine.step = step
        engine.left.clear()
        raise ValueError("秘密的文字")

    engine.step = break_once
    body = {"model": "small", "messages": [{"role": "user", "content": "用户的文字"}]}
    assert httpx.post(address + "/v1/chat/completions", json=body).status_code == 500
    assert httpx.post(address + "/v1/chat/completions", json=body).status_code == 200
    assert "the model failed: ValueError" in caplog.text
    assert "文字" not in caplog.text


def wait_until(condition, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)
