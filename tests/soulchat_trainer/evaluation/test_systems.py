"""What stands after --model; that whole benchmarks run on them is in test_benchmark."""

import contextlib
import shutil
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from soulchat_trainer.evaluation.seen import OPENINGS_FILE, find_openings
from soulchat_trainer.evaluation.systems import EndpointSystem, ModelSystem, RetrievalSystem, read_answer
from soulchat_trainer.generation import Decoding
from soulchat_trainer.generation.engine import Reply
from soulchatcorpus.thoughts import Thinking
from soulchatcorpus.turns import Turn
from tests.soulchat_trainer.evaluation.conftest import Endpoint, EndpointHandler

TURNS = [
    Turn("1", 1, [{"role": "user", "content": "我睡不着"}], "多久了？"),
    Turn("2", 1, [{"role": "user", "content": "工作压力大"}], "能说说吗？"),
]


def test_a_model_s_name_tells_no_folder_of_this_machine(model_folder: Path) -> None:
    system = ModelSystem(str(model_folder), None, "cpu", "float32", seed=0)
    assert (system.name, system.kind, system.dtype) == ("small", "model", "float32")
    assert system.loss(TURNS).loss > 0
    answers = dict(system.answer(TURNS, Decoding(max_new_tokens=3), 2))
    assert set(answers) == {"1-1", "2-1"}


def test_untrained_is_the_same_architecture_with_other_weights(model_folder: Path) -> None:
    trained, untrained = (
        ModelSystem(f"{prefix}{model_folder}", None, "cpu", "float32", seed=1) for prefix in ("", "untrained:")
    )
    assert untrained.name == "untrained:small"
    assert untrained.model.config.to_dict() == trained.model.config.to_dict()
    assert not torch.equal(untrained.model.lm_head.weight, trained.model.lm_head.weight)
    again = ModelSystem(f"untrained:{model_folder}", None, "cpu", "float32", seed=1)
    assert torch.equal(untrained.model.lm_head.weight, again.model.lm_head.weight)


def test_openings_are_those_of_the_folder_and_none_for_untrained(model_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(model_folder, tmp_path / "m")
    assert find_openings(str(tmp_path / "m")) is None
    (tmp_path / "m" / OPENINGS_FILE).write_text("")
    assert find_openings(str(tmp_path / "m")) == tmp_path / "m" / OPENINGS_FILE
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text(f'{{"base_model_name_or_path": "{tmp_path / "m"}"}}')
    assert find_openings(str(tmp_path / "adapter")) == tmp_path / "m" / OPENINGS_FILE
    assert ModelSystem(f"untrained:{tmp_path / 'm'}", None, "cpu", "float32", seed=0).openings_file is None


def test_an_endpoint_gets_the_talk_and_the_decoding(endpoint: Endpoint) -> None:
    system = EndpointSystem("openai:gpt-x", None, endpoint.url)
    answers = dict(system.answer(TURNS[:1], Decoding(top_p=0.5, temperature=0.7, max_new_tokens=9, seed=3), 2))
    assert answers["1-1"].text == "着不睡我"
    [request] = endpoint.requests
    assert request["messages"] == [{"role": "user", "content": "我睡不着"}]
    wanted = {"model": "gpt-x", "top_p": 0.5, "temperature": 0.7, "max_tokens": 9}
    assert wanted.items() <= request.items()
    assert (system.name, system.loss(TURNS)) == ("gpt-x", None)


def test_an_endpoint_gets_a_seed_of_its_own_for_each_turn(endpoint: Endpoint) -> None:
    system = EndpointSystem("openai:gpt-x", None, endpoint.url)
    for seed in (3, 3, 4):
        list(system.answer(TURNS, Decoding(seed=seed), 1))
    seeds = [request["seed"] for request in endpoint.requests]
    assert seeds[:2] == seeds[2:4]
    assert len(set(seeds)) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize(("thinking", "asked"), [("off", False), ("keep", True)])
def test_an_endpoint_is_told_whether_to_think(endpoint: Endpoint, thinking: Thinking, asked: bool) -> None:
    """As vLLM has it; other names of the same switch are not read."""
    list(EndpointSystem("openai:gpt-x", None, endpoint.url).answer(TURNS[:1], Decoding(thinking=thinking), 1))
    assert endpoint.requests[0]["chat_template_kwargs"] == {"enable_thinking": asked, "thinking": asked}


def test_an_endpoint_that_knows_no_switch_is_asked_without_it(endpoint: Endpoint) -> None:
    endpoint.refuses = "chat_template_kwargs"
    system = EndpointSystem("openai:gpt-x", None, endpoint.url)
    for _ in range(2):
        answers = dict(system.answer(TURNS[:1], Decoding(), 1))
        assert answers["1-1"].text == "着不睡我"
    assert ["chat_template_kwargs" in request for request in endpoint.requests] == [True, False, False]


def test_what_an_endpoint_refuses_for_another_reason_is_told(endpoint: Endpoint) -> None:
    endpoint.refuses = "messages"
    system = EndpointSystem("openai:gpt-x", None, endpoint.url)
    with pytest.raises(ConnectionError, match=r"refuses: .*Unrecognized request argument"):
        list(system.answer(TURNS[:1], Decoding(), 1))
    assert system.takes_switch


def test_a_redirect_to_elsewhere_takes_no_talk_along(endpoint: Endpoint) -> None:
    class Redirecting(EndpointHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(307)
            self.send_header("Location", f"{endpoint.url}/chat/completions")
            self.send_header("Content-Length", "0")
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        system = EndpointSystem("openai:gpt-x", None, f"http://127.0.0.1:{server.server_port}/v1")
        with pytest.raises(ConnectionError, match="redirects to http"):
            list(system.answer(TURNS[:1], Decoding(), 1))
        server.shutdown()
    assert not endpoint.requests


def test_a_request_ends_at_its_limit_whatever_trickles_in(monkeypatch: pytest.MonkeyPatch) -> None:
    class Trickling(EndpointHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b" ")
                    time.sleep(0.05)

    monkeypatch.setattr("soulchat_trainer.evaluation.systems.TIMEOUT", 0.5)
    monkeypatch.setattr(EndpointSystem, "attempts", 1)
    with ThreadingHTTPServer(("127.0.0.1", 0), Trickling) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        system = EndpointSystem("openai:gpt-x", None, f"http://127.0.0.1:{server.server_port}/v1")
        started = time.monotonic()
        with pytest.raises(ConnectionError, match=r"does not answer \(timeout\)"):
            list(system.answer(TURNS[:1], Decoding(), 1))
        assert time.monotonic() - started < 3
        server.shutdown()


def test_what_is_for_this_machine_goes_through_no_proxy(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setattr(EndpointSystem, "attempts", 1)
    answers = dict(EndpointSystem("openai:gpt-x", None, endpoint.url).answer(TURNS[:1], Decoding(), 1))
    assert answers["1-1"].text == "着不睡我"


def test_openai_itself_is_not_asked_what_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    systems = [EndpointSystem("openai:gpt-x", None, url) for url in (None, "http://127.0.0.1:9/v1")]
    assert [system.takes_switch for system in systems] == [False, True]


def test_an_endpoint_elsewhere_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ValueError, match="no endpoint for openai:gpt-x: "):
        EndpointSystem("openai:gpt-x", None, "https://api.example.com/v1")
    EndpointSystem("openai:gpt-x", None, "http://127.0.0.1:9/v1")


def test_retrieval_gives_the_nearest_training_reply() -> None:
    turn = Turn("9", 1, [{"role": "user", "content": "我总是睡不着"}], "?")
    [(id, reply)] = RetrievalSystem(TURNS).answer([turn], Decoding(), 1)
    assert (id, reply.text, reply.finished) == ("9-1", "多久了？", True)


@pytest.mark.parametrize(
    ("text", "aside", "finish_reason", "thinking", "reply"),
    [
        ("愿意", "", "stop", "off", Reply("愿意", True, 7)),
        ("<think>想</think>\n\n愿意", "", "stop", "keep", Reply("愿意", True, 7, "想")),
        ("想\n</think>\n\n愿意", "", "stop", "off", Reply("愿意", True, 7, "想")),
        ("愿意", "想", "stop", "keep", Reply("愿意", True, 7, "想")),
        ("<think>想不完", "", "length", "keep", Reply("", False, 7, "想不完")),
        ("", "想不完", "length", "off", Reply("", False, 7, "想不完")),
        ("", "想完了", "stop", "keep", Reply("", False, 7, "想完了")),
        ("", "愿意", "stop", "off", Reply("愿意", True, 7)),
    ],
)
def test_thoughts_of_endpoints(text: str, aside: str, finish_reason: str, thinking: Thinking, reply: Reply) -> None:
    """In the content with both marks or one, or in reasoning_content with or without a content."""
    assert read_answer(text, aside, finish_reason, 7, thinking) == reply
