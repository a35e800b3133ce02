"""A small trained-like model's folder, and an endpoint that answers like OpenAI's."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from soulchat_trainer.chatglm import ChatGLMTokenizer
from tests.soulchat_trainer import training_parts


@pytest.fixture(scope="session")
def model_folder(chatglm_tokenizer: ChatGLMTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ChatGLM with random weights whose replies differ."""
    folder = tmp_path_factory.mktemp("models") / "small"
    training_parts.make_chatglm(chatglm_tokenizer, initializer_range=0.3).save_pretrained(folder)
    chatglm_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def corpus_file(tmp_path: Path) -> Path:
    """A file of 200 conversations, which is split by opening."""
    path = tmp_path / "corpus.jsonl"
    rows = training_parts.make_rows(200, seed=3)
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


class Endpoint(ThreadingHTTPServer):
    """Answers each chat with the last user message, reversed; after `dies_after` requests it says `last_words`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), EndpointHandler)
        self.requests: list[dict] = []
        self.dies_after: int | None = None
        self.status = 500
        self.last_words = b'{"error": {"message": "dead"}}'
        self.text: str | None = None
        self.refuses: str | None = None  # a field of the request
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class EndpointHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append(request)
            dead = self.server.dies_after is not None and len(self.server.requests) > self.server.dies_after
        text = self.server.text if self.server.text is not None else request["messages"][-1]["content"][::-1]
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        answer = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": request["model"],
            "choices": [choice],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        }
        body = self.server.last_words if dead else json.dumps(answer).encode()
        status = self.server.status if dead else 200
        if self.server.refuses in request:
            status, body = 400, b'{"error": {"message": "Unrecognized request argument supplied"}}'
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
