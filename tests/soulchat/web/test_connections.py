"""Connections that send no request in time, or never a whole one."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from soulchat.web.connections import BoundedConnection
from soulchat.web.listening import bind


class Quick(BoundedConnection):
    """With bounds that a test can reach."""

    request_seconds = 0.5
    waiting_connections = 8
    all_connections = 12


async def answer(request: Request) -> PlainTextResponse:
    """The length of the body, after as long as the request asks, and as many spaces behind it."""
    body = await request.body()
    await asyncio.sleep(float(request.query_params.get("wait", 0)))
    return PlainTextResponse(str(len(body)) + " " * int(request.query_params.get("spaces", 0)))


@contextmanager
def running() -> Iterator[tuple[str, int]]:
    listener = bind("127.0.0.1", 0)
    app = Starlette(routes=[Route("/", answer, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(app, http=Quick, ws="none", log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()
    finally:
        server.should_exit = True
        thread.join()


def is_closed(connection: socket.socket, seconds: float = 5.0) -> bool:
    connection.settimeout(seconds)
    try:
        return not connection.recv(1)
    except TimeoutError:
        return False
    except ConnectionError:
        return True


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: a\r\nA: a\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
    ],
    ids=["nothing", "half a head", "a head", "half a body"],
)
def test_a_request_that_is_not_there_in_time_is_dropped_whatever_trickles_in(sent: bytes) -> None:
    with running() as address, socket.create_connection(address) as connection:
        connection.sendall(sent)
        began = time.monotonic()
        with suppress(ConnectionError):
            while sent and time.monotonic() - began < 5:
                connection.sendall(sent[-6:])
                time.sleep(0.1)
        assert is_closed(connection)
        assert time.monotonic() - began < 4


def test_a_whole_request_may_wait_for_its_answer_and_another_follow() -> None:
    with running() as (host, port), httpx.Client(base_url=f"http://{host}:{port}") as client:
        for _ in range(2):
            assert client.post("/?wait=1", content=b"abc").text == "3"


def test_the_oldest_of_too_many_half_open_connections_gives_way() -> None:
    with running() as address:
        held = [socket.create_connection(address) for _ in range(8)]
        assert httpx.get(f"http://{address[0]}:{address[1]}/", timeout=5).text == "0"
        assert is_closed(held[0])
        for connection in held:
            connection.close()


def test_no_more_connections_than_files_can_be_open() -> None:
    with running() as address:
        held = []
        for _ in range(12):
            held.append(connection := socket.create_connection(address))
            connection.sendall(b"GET /?wait=2 HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(0.02)
        with socket.create_connection(address) as late:
            assert is_closed(late, 1.0)
        for connection in held:
            connection.settimeout(5)
            assert connection.recv(15) == b"HTTP/1.1 200 OK"
            connection.close()


@pytest.mark.parametrize(("pause", "is_whole"), [(2.0, False), (0.1, True)])
def test_an_answer_that_nobody_takes_is_dropped(pause: float, is_whole: bool) -> None:
    size = 20_000_000
    with running() as address, socket.create_connection(address) as connection:
        connection.sendall(f"GET /?spaces={size} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        time.sleep(pause)
        taken = 0
        with suppress(ConnectionError):
            while piece := connection.recv(1 << 20):
                taken += len(piece)
        assert (taken > size) == is_whole
