"""All four pages behind the guard, each as its command starts it; what is sent to them comes from outside."""

import asyncio
import http.client
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest

os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1")
pytest.importorskip("gradio")

import gradio as gr

from soulchat.rate.page import make_page as make_rating_page
from soulchat.review.page import make_page as make_review_page
from soulchat.talk.page import make_page as make_chat_page
from soulchat.web.launch import BODY_BYTES, Page, QuietBlocks, launch_page
from soulchat.web.policy import HEADERS
from soulchatcorpus.files import write_lines
from soulchatcorpus.making.review import ReviewStore
from tests.soulchat.rate.rating_parts import make_study

ASKED = 400 << 20  # bytes
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def chat_page(scripted, tmp_path) -> Page:
    return make_chat_page(scripted("好。")[0])


@pytest.fixture
def rating_page(tmp_path) -> Page:
    return make_rating_page(make_study(tmp_path)[0])


@pytest.fixture
def review_page(tmp_path) -> Page:
    messages = [{"role": "user", "content": "在吗"}, {"role": "assistant", "content": "在"}]
    source = tmp_path / "conversations.jsonl"
    write_lines(source, [{"id": "1", "topic": None, "messages": messages, "provenance": {}}])
    return make_review_page(ReviewStore(tmp_path / "out" / "review.sqlite"), source, tmp_path / "out")


@pytest.fixture
def metric_page(monkeypatch) -> Page:
    # As a Space the page loads its folder as the package anew.
    monkeypatch.setitem(sys.modules, "soulchat_metrics", sys.modules.get("soulchat_metrics"))
    import gradio

    from soulchat_metrics.app import LABELS, build_page

    return Page(build_page(gradio.I18n(**LABELS)))


@pytest.fixture
def launch() -> Iterator[Callable[..., str]]:
    pages = []

    def start(page: Page, **settings) -> str:
        pages.append(page)
        return launch_page(page, **settings)

    yield start
    for page in pages:
        page.blocks.close(verbose=False)


@pytest.fixture(params=["chat_page", "rating_page", "review_page", "metric_page"])
def address(request, launch) -> str:
    return launch(request.getfixturevalue(request.param))


def test_only_this_machine_s_names_are_answered(address):
    assert address.startswith("http://127.0.0.1:")
    assert httpx.get(address, headers={"host": "elsewhere.example"}).status_code == 400
    assert httpx.get(address, headers={"host": "localhost:1"}).status_code == 200


def test_the_policy_is_on_the_page_and_on_what_it_loads(address):
    for path in ("/", "/config", "/theme.css", "/gradio_api/info"):
        headers = httpx.get(address + path).headers
        assert {name: headers[name] for name in HEADERS} == HEADERS


def test_the_page_itself_names_no_other_host(address):
    assert set(re.findall(r"fonts\.\w+\.com", httpx.get(address).text)) == set()


def test_nothing_is_there_for_programs(address):
    assert httpx.get(address + "/gradio_api/info").json() == {"named_endpoints": {}, "unnamed_endpoints": {}}
    for way in ("call/show", "call/v2/show", "api/show", "upload"):
        assert httpx.post(f"{address}/gradio_api/{way}", json={"data": ["r1"]}).status_code == 404
    for path in ("/gradio_api/openapi.json", "/openapi.json", "/docs", "/gradio_api/proxy=http://elsewhere.example"):
        assert httpx.get(address + path).status_code == 404
    functions = httpx.get(address + "/config").json()["dependencies"]
    assert {(function["api_name"], function["api_visibility"]) for function in functions} == {(None, "private")}
    queued = next(function["id"] for function in functions if function["queue"] is not False)
    direct = httpx.post(address + "/gradio_api/run/predict", json={"data": [], "fn_index": queued})
    assert (direct.status_code, "join the queue" in direct.text) == (404, True)


def peak_memory() -> int:
    """Bytes, of this process, in which the page runs."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def post_slowly(address: str, path: str, told: bool) -> int:
    """Sends up to `ASKED` bytes of one piece again and again until it is refused; the status, 0 for a closed line."""
    piece = b"x" * (1 << 20)
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    connection.putrequest("POST", path)
    connection.putheader("Content-Type", FORM if path == "/login" else "application/json")
    connection.putheader(*(("Content-Length", str(ASKED)) if told else ("Transfer-Encoding", "chunked")))
    connection.endheaders()
    try:
        for _ in range(ASKED // len(piece)):
            connection.send(piece if told else b"%x\r\n%s\r\n" % (len(piece), piece))
    except OSError:
        pass  # it was refused before it was sent
    try:
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


@pytest.mark.parametrize("told", [True, False], ids=["length told", "in pieces"])
@pytest.mark.parametrize("path", ["/gradio_api/queue/join", "/login", "/gradio_api/upload"])
def test_400_mb_are_refused_without_being_kept(review_page, launch, path, told):
    address = launch(review_page, password="a long password")
    httpx.get(address)
    before = peak_memory()
    # 400: Starlette itself ends a form's value of more than a megabyte.
    assert post_slowly(address, path, told) in (413, 404, 0, 400)
    assert peak_memory() - before < 8 * BODY_BYTES
    assert httpx.get(address).status_code == 200


def test_a_wrong_password_costs_time(review_page, launch):
    address = launch(review_page, password="a long password")
    right = {"username": "soulchat", "password": "a long password"}
    assert httpx.get(address + "/config").status_code == 401
    assert httpx.post(address + "/login", data=right | {"password": "wrong"}).status_code == 400
    assert httpx.post(address + "/login", data=right).status_code == 429
    time.sleep(1.05)
    entered = httpx.post(address + "/login", data=right)
    assert entered.json() == {"success": True}
    assert httpx.get(address + "/config", cookies=entered.cookies).status_code == 200


def test_a_password_of_any_characters_opens(review_page, launch):
    address = launch(review_page, password="密码 ünd 🙂")
    entered = httpx.post(address + "/login", data={"username": "soulchat", "password": "密码 ünd 🙂"})
    assert entered.json() == {"success": True}


@pytest.mark.parametrize(("settings", "named"), [({"host": "0.0.0.0"}, "host is 0.0.0.0"), ({"share": True}, "share")])
def test_others_are_not_let_in_without_a_password(review_page, settings, named):
    with pytest.raises(ValueError, match=named):
        launch_page(review_page, **settings)
    with pytest.raises(ValueError, match="SOULCHAT_PASSWORD is 6 characters long; allowed"):
        launch_page(review_page, password="secret", **settings)


def test_what_is_no_port(review_page):
    with pytest.raises(ValueError, match=r"port is 80000; allowed: 0 \(any free one\) to 65535"):
        launch_page(review_page, port=80_000)


@pytest.mark.parametrize(
    ("fault", "told"),
    [(ValueError("the word is missing"), "the word is missing"), (KeyError("somebody's words"), "KeyError")],
)
def test_refusals_are_told_and_faults_are_logged_by_their_kind(fault, told, caplog):
    def fail() -> None:
        raise fault

    with QuietBlocks() as blocks:
        gr.Button().click(fail)
    with pytest.raises(gr.Error) as error:
        asyncio.run(blocks.process_api(next(iter(blocks.fns.values())), []))
    assert (error.value.message, error.value.print_exception) == (told, False)
    assert "somebody's words" not in caplog.text
    assert ("the page failed: KeyError" in caplog.text) == isinstance(fault, KeyError)
