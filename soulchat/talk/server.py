"""An OpenAI-compatible server: `/v1/chat/completions`, `/v1/models`, `/health` over the one generation path.

Every answer carries one field more than OpenAI's, `soulchat`: `notice` (the reply comes from an AI and is for
reference only) and `care` (help lines that are due, as text and as data; empty otherwise). In a stream it is in
the first chunk, and again where the reply itself speaks of self-harm; there the help lines are also in the content,
before those words, because not every client knows the field. Nothing that users write is logged.
"""

import asyncio
import json
import socket
import time
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException as StarletteHTTPException

from soulchat_trainer.generation import Decoding

from ..web.guard import client_address, make_guard
from ..web.password import Door
from .care import CareNotice
from .limits import OverLimit
from .schema import CompletionRequest
from .service import Done, Event, ReplyService, Text, Thought
from .wording import NOTICE, language_of

BODY_BYTES = 1 << 20


def make_app(
    service: ReplyService, model_name: str, decoding: Decoding, hosts: list[str], password: str | None = None
) -> FastAPI:
    """The application.

    Args:
        service: makes the replies.
        model_name: what `/v1/models` calls the model; requests must name it.
        decoding: what a request does not say.
        hosts: Host headers that are answered ("*": all).
        password: the key that clients send as `Authorization: Bearer …`, or None for everybody.
    """
    # Those pages load scripts from elsewhere.
    app = FastAPI(title="SoulChat", docs_url=None, redoc_url=None, middleware=make_guard(hosts, BODY_BYTES))
    guard = [Depends(_require(Door(password)))] if password else []
    model = {"id": model_name, "object": "model", "created": int(time.time()), "owned_by": "soulchat"}

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {"status": "ok", "model": model_name, "replies_open": service.open_replies}

    @app.get("/v1/models", dependencies=guard)
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [model]}

    @app.get("/v1/models/{name:path}", dependencies=guard)
    def one_model(name: str) -> dict[str, Any]:
        _check_model(name, model_name)
        return model

    @app.post("/v1/chat/completions", dependencies=guard)
    async def complete(body: CompletionRequest, request: Request) -> Response:
        _check_model(body.model, model_name)
        key = None if body.seed is None else "seeded"  # with a seed, the same talk gets the same reply
        talk = service.astream(body.talk(), body.decoding(decoding), client_address.get(), key)
        events = _while_connected(talk, request)
        first = await anext(events, None)  # what is refused is refused here, before a stream begins
        answer = Answer(model_name, NOTICE[language_of(body.talk()[-1]["content"])])
        if body.stream:
            usage = body.stream_options is not None and body.stream_options.include_usage
            return StreamingResponse(answer.stream(first, events, usage), media_type="text/event-stream")
        return JSONResponse(await answer.whole(first, events))

    app.exception_handler(RequestValidationError)(_refuse_body)
    app.exception_handler(StarletteHTTPException)(_refuse_http)
    app.exception_handler(ValueError)(_refuse_value)
    app.exception_handler(RuntimeError)(_tell_failure)
    return app


def run_server(app: FastAPI, listener: socket.socket) -> None:
    """Serve until interrupted; access is not logged."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=5
    )
    uvicorn.Server(config).run(sockets=[listener])


class Answer:
    """One answer in the forms of OpenAI's API, made from the events of a reply."""

    def __init__(self, model_name: str, notice: str) -> None:
        self.head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model_name}
        self.notice = notice

    async def whole(self, first: Event | None, events: AsyncGenerator[Event]) -> dict[str, Any]:
        """A `chat.completion`."""
        text, thoughts, care, done = "", "", [], None
        async for event in _chain(first, events):
            text += content_of(event)
            if isinstance(event, CareNotice):
                care.append(event)
            elif isinstance(event, Thought):
                thoughts += event.text
            elif isinstance(event, Done):
                done = event
        message = {"role": "assistant", "content": text, "refusal": None}
        message |= {"reasoning_content": thoughts} if thoughts else {}
        choice = {"index": 0, "message": message, "finish_reason": done and done.finish_reason, "logprobs": None}
        return {
            **self.head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": _usage(done),
            "soulchat": self._extra(care),
        }

    async def stream(self, first: Event | None, events: AsyncGenerator[Event], usage: bool) -> AsyncGenerator[str]:
        """Server-sent events: `chat.completion.chunk`s, then `[DONE]`. A fault under way is an `error` event."""
        care = [first] if isinstance(first, CareNotice) else []
        yield self._chunk({"role": "assistant", "content": ""}, care=care, extra=True)
        try:
            async for event in _chain(first, events):
                if isinstance(event, Text):
                    yield self._chunk({"content": event.text})
                elif isinstance(event, Thought):
                    yield self._chunk({"reasoning_content": event.text})
                elif isinstance(event, CareNotice) and event.cause == "reply":
                    yield self._chunk({"content": content_of(event)}, care=[event], extra=True)
                elif isinstance(event, Done):
                    yield self._chunk({}, event.finish_reason)
                    if usage:
                        yield _event({**self._chunk_head(), "choices": [], "usage": _usage(event)})
        except (ValueError, RuntimeError) as error:
            yield _event(
                _error_body(str(error), "invalid_request_error" if isinstance(error, ValueError) else "server_error")
            )
        yield "data: [DONE]\n\n"

    def _chunk(
        self,
        delta: dict[str, str],
        finish_reason: str | None = None,
        care: list[CareNotice] | None = None,
        extra: bool = False,
    ) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return _event(
            {**self._chunk_head(), "choices": [choice]} | ({"soulchat": self._extra(care or [])} if extra else {})
        )

    def _chunk_head(self) -> dict[str, Any]:
        return {**self.head, "object": "chat.completion.chunk"}

    def _extra(self, care: list[CareNotice]) -> dict[str, Any]:
        return {"notice": self.notice, "care": [notice.as_dict() for notice in care]}


def content_of(event: Event) -> str:
    """What an event adds to the content of the answer."""
    if isinstance(event, Text):
        return event.text
    return event.text + "\n\n" if isinstance(event, CareNotice) and event.cause == "reply" else ""


async def _while_connected(events: AsyncGenerator[Event], request: Request) -> AsyncGenerator[Event]:
    """The events until the client hangs up; then the generation is stopped."""

    async def hung_up() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    gone = asyncio.ensure_future(hung_up())
    async with aclosing(events):
        try:
            while True:
                event: asyncio.Future[Event | None] = asyncio.ensure_future(anext(events, None))
                both: set[asyncio.Future[Any]] = {event, gone}
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                if not event.done():
                    event.cancel()
                    await asyncio.gather(event, return_exceptions=True)
                    return
                found = event.result()
                if found is None:
                    return
                yield found
        finally:
            gone.cancel()


async def _chain(first: Event | None, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
    async with aclosing(events):
        if first is not None:
            yield first
        async for event in events:
            yield event


def _require(door: Door) -> Any:
    bearer = HTTPBearer(auto_error=False)

    # Async, since `Door` is only to be called from the event loop.
    async def check(credentials: HTTPAuthorizationCredentials | None = Depends(bearer)) -> None:
        if not credentials or not door.opens(client_address.get(), credentials.credentials):
            raise HTTPException(
                401, "the key is missing or wrong; allowed: Authorization: Bearer <password of the server>"
            )

    return check


def _check_model(asked: str, model_name: str) -> None:
    if asked != model_name:
        raise HTTPException(404, f"model is unknown; allowed: {model_name}")


def _usage(done: Done | None) -> dict[str, int] | None:
    if done is None:
        return None
    total = done.prompt_tokens + done.completion_tokens
    return {
        "prompt_tokens": done.prompt_tokens,
        "completion_tokens": done.completion_tokens,
        "total_tokens": total,
    }


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _error_body(message: str, kind: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def _refuse(
    status: int, message: str, kind: str = "invalid_request_error", headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(_error_body(message, kind), status, headers)


async def _refuse_body(request: Request, error: RequestValidationError) -> JSONResponse:
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"][1:])
    return _refuse(400, f"{where}: {fault['msg']}" if where else fault["msg"])


async def _refuse_http(request: Request, error: StarletteHTTPException) -> JSONResponse:
    return _refuse(error.status_code, str(error.detail), headers=error.headers)


async def _refuse_value(request: Request, error: ValueError) -> JSONResponse:
    if isinstance(error, OverLimit):
        return _refuse(429, str(error), "rate_limit_error", {"Retry-After": "1"})
    return _refuse(400, str(error))


async def _tell_failure(request: Request, error: RuntimeError) -> JSONResponse:
    return _refuse(500, str(error), "server_error")
