import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from soulchat.web.policy import HEADERS, PagePolicy


@pytest.fixture
def client():
    app = FastAPI()
    app.get("/here")(lambda: {"a": 1})
    return TestClient(PagePolicy(app))


@pytest.mark.parametrize("path", ["/here", "/not-here"])
def test_every_answer_carries_the_headers(client, path):
    headers = client.get(path).headers
    assert {name: headers[name] for name in HEADERS} == HEADERS


def test_no_source_is_another_server():
    """What may be loaded comes from the page itself, from here, or from nowhere."""
    for rule in HEADERS["content-security-policy"].split("; "):
        assert set(rule.split()[1:]) <= {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}
