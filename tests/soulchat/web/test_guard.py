"""What passes the guard, and what is refused before it is read."""

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from soulchat.web.guard import client_address, make_guard
from soulchat.web.policy import HEADERS


@pytest.fixture
def client():
    app = FastAPI(middleware=make_guard(["here.example"], body_bytes=1_000, closed=["/closed/"]))
    app.post("/size")(size)
    app.post("/items")(count)
    app.get("/who")(lambda: client_address.get())
    app.get("/closed/door")(lambda: "open")
    return TestClient(app, base_url="http://here.example", client=("9.8.7.6", 1))


async def size(request: Request) -> int:
    return len(await request.body())


def count(items: list[int]) -> int:
    return len(items)


def pieces(count: int):
    for _ in range(count):
        yield b"x" * 100


def test_bodies_up_to_the_bound_are_read(client):
    assert client.post("/size", content=b"x" * 1_000).json() == 1_000
    assert client.post("/size", content=pieces(10)).json() == 1_000


@pytest.mark.parametrize("path", ["/size", "/items"])
@pytest.mark.parametrize("content", [b"x" * 1_001, pieces], ids=["told", "in pieces"])
def test_longer_ones_are_refused(client, path, content):
    answer = client.post(path, content=content if isinstance(content, bytes) else content(11))
    assert answer.status_code == 413
    assert "the request is too long; allowed: 1,000 bytes" in answer.text


def test_a_length_that_is_no_number_is_refused(client):
    assert client.post("/size", content=b"x", headers={"content-length": "-1"}).status_code == 413


def test_other_names_are_refused(client):
    assert client.get("/who", headers={"host": "elsewhere.example"}).status_code == 400


def test_closed_paths_are_not_there(client):
    assert client.get("/closed/door").status_code == 404


def test_the_address_is_known_within_the_request(client):
    assert client.get("/who").json() == "9.8.7.6"


@pytest.mark.parametrize("host", ["here.example", "elsewhere.example"])
def test_every_answer_carries_the_policy(client, host):
    headers = client.get("/closed/door", headers={"host": host}).headers
    assert {name: headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize("path", ["/here/closed/door", "/here/here/closed/door", "/closed/door"])
def test_the_path_of_a_proxy_hides_nothing_that_is_closed(path):
    app = FastAPI(middleware=make_guard(["*"], 1_000, closed=["/closed/"], root_path="/here"))
    app.get("/closed/door")(lambda: "open")
    app.get("/open/door")(lambda: "open")
    client = TestClient(app)
    assert client.get(path).status_code == 404
    assert client.get(path.replace("closed", "open")).json() == "open"
