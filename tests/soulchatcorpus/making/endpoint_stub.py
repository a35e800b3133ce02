"""A local OpenAI-compatible endpoint for tests: answers from a function, or goes wrong in every way that endpoints do.

Faults are drawn by a hash of the question and of how often it was asked, so a run is the same every time.
"""

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b

from aiohttp import web

# Shares of a hundred; what is left is answered well.
FAULTS = {"http_429": 10, "http_500": 5, "timeout": 5, "connection": 5, "malformed": 5, "refusal": 5}
REFUSAL = "很抱歉，作为一个人工智能语言模型，我无法完成这个请求。"


def dialogue(rounds: int = 8, topic: str = "失眠") -> str:
    """A reply in the paper's form."""
    lines = []
    for number in range(rounds):
        lines.append(f"用户：我最近总是{topic}，这是第{number + 1}次提起。")
        lines.append(f"心理咨询师：听起来{topic}让你很辛苦，我愿意听你慢慢说，第{number + 1}次也一样。")
    return "\n".join(lines)


class StubEndpoint:
    """Serves /v1/chat/completions on a free loopback port from a thread of its own."""

    def __init__(self, answer: Callable[[str, str], str] = lambda content, model: dialogue(), key: str | None = None):
        self.answer, self.key = answer, key
        self.faults: dict[str, int] = {}
        self.asked: Counter[str] = Counter()  # by record, found as 记录N in the question
        self.answered: Counter[str] = Counter()  # well or with a refusal, that is: paid
        self.models: Counter[str] = Counter()
        self.contents: list[str] = []
        self.requests: list[dict] = []
        self.refuses: set[str] = set()  # fields of a request that it does not know
        self.aside: str | None = None  # what stands in reasoning_content, with no content beside it
        self.status: int | None = None  # answer everything with this, and with the message
        self.message = "no"
        self.finish_reason = "stop"

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def _fault(self, record: str, attempt: int) -> str | None:
        point = int.from_bytes(blake2b(f"{record}/{attempt}".encode(), digest_size=8).digest(), "big") % 100
        for fault, share in self.faults.items():
            point -= share
            if point < 0:
                return fault
        return None

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        content = "\n".join(message["content"] for message in body["messages"])
        found = re.search(r"记录(\d+)", content)
        record = found[1] if found else content
        self.asked[record] += 1
        self.models[body["model"]] += 1
        self.contents.append(content)
        self.requests.append(body)
        if unknown := self.refuses & set(body):
            return web.json_response({"error": {"message": f"unknown field {min(unknown)}"}}, status=400)
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            message = f"Incorrect API key provided: {request.headers.get('Authorization')}"
            return web.json_response({"error": {"message": message}}, status=401)
        if self.status:
            return web.json_response({"error": {"message": self.message}}, status=self.status)
        fault = self._fault(record, self.asked[record])
        if fault == "http_429":
            return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "0.02"})
        if fault == "http_500":
            return web.json_response({"error": {"message": "oops"}}, status=500)
        if fault == "timeout":
            await asyncio.sleep(60)
        if fault == "connection":
            request.transport.abort()
            return web.Response()
        if fault == "malformed":
            return web.Response(text='{"choices": [{"mess', content_type="application/json")
        self.answered[record] += 1
        text = REFUSAL if fault == "refusal" else self.answer(content, body["model"])
        return web.json_response(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": body["model"],
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": text}
                        if self.aside is None
                        else {"role": "assistant", "content": None, "reasoning_content": self.aside},
                        "finish_reason": self.finish_reason,
                    }
                ],
                "usage": {"prompt_tokens": 100, "completion_tokens": 200, "total_tokens": 300},
            }
        )

    async def _serve(self, ready: threading.Event) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        ready.set()
        await self._stop.wait()
        await runner.cleanup()

    @contextmanager
    def running(self) -> Iterator["StubEndpoint"]:
        ready = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        thread.start()
        assert ready.wait(10)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(10)
