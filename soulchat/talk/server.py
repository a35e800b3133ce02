"""An OpenAI-compatible server: `/v1/chat/completions`, `/v1/models`, `/health` over the one generation path.

Every answer carries one field more than OpenAI's, `soulchat`: `notice` (the reply comes from an AI and is for
reference only) and `care` (help lines that are due, as text and as data; empty otherwise). In a stream it is in
the first chunk, and again where the reply itself speaks of self-harm; there the help lines are also in the content,
before those words, because not every client knows the field. With `care_in_content`, those for the user's message are
in the content, too. Where no reply comes (too long, too soon, too many, a wrong field, a fault), the help lines that
are due are in the field beside `error`, and in its message. Nothing that users write is logged.

Of OpenAI's fields and vLLM's, `schema` has those that are meant; `n` replies are `n` rows of the running batch.
"""

import asyncio
import json
import math
import time
import uuid
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, TypeGuard

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware import Middleware

from soulchat_trainer.generation import Decoding
from soulchatcorpus import Message
from soulchatcorpus.care.help_lines import render_help_lines

from ..web.connections import BACKLOG, BoundedConnection
from ..web.guard import client_address
from ..web.password import Door
from .care import CareNotice
from .limits import OverLimit
from .schema import CompletionRequest, describe_fault, read_loosely
from .service import Done, Event, ReplyService, Text, Thought
from .session import with_client, with_system
from .wording import NOTICE, language_of

BODY_BYTES = 1 << 20
# A pass over long prompts takes this long where a large model runs on a slow machine.
SILENT_SECONDS = 120.0
AFTER_HELP_LINES = "\n\n"  # in the content
BODY = "allowed: a JSON object in UTF-8, as the API reference of OpenAI has it"
PATHS = "POST /v1/chat/completions, GET /v1/models, GET /health"

Piece = tuple[int, Event]  # what comes of the reply of a number, from 0


def make_app(
    service: ReplyService,
    model_name: str,
    decoding: Decoding,
    guard: Sequence[Middleware],
    password: str | None = None,
    care_in_content: bool = False,
    system: str = "",
) -> FastAPI:
    """The application.

    Args:
        service: makes the replies.
        model_name: what `/v1/models` calls the model; requests must name it.
        decoding: what a request does not say.
        guard: what requests pass first (`guard.make_guard`).
        password: the key that clients send as `Authorization: Bearer …`, or None for everybody.
        care_in_content: also put help lines for a message into the content, before the reply.
        system: the system text of talks that bring none.
    """
    # Those pages load scripts from elsewhere.
    app = FastAPI(title="SoulChat", docs_url=None, redoc_url=None, middleware=guard)
    keys = [Depends(_require(Door(password)))] if password else []
    model = {"id": model_name, "object": "model", "created": int(time.time()), "owned_by": "soulchat"}

    @app.get("/health")
    def health() -> JSONResponse:
        silent_for = service.silent_for
        status = {"status": "ok", "model": model_name, "replies_open": service.open_replies}
        if silent_for < SILENT_SECONDS:
            return JSONResponse(status)
        error = "has ended" if silent_for == math.inf else f"has made no step for {silent_for:.0f} s"
        return JSONResponse(status | {"status": "stalled", "error": f"the thread that makes replies {error}"}, 503)

    @app.get("/v1/models", dependencies=keys)
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [model]}

    @app.get("/v1/models/{name:path}", dependencies=keys)
    def one_model(name: str) -> dict[str, Any]:
        _check_model(name, model_name)
        return model

    @app.post("/v1/chat/completions", dependencies=keys)
    async def complete(body: CompletionRequest, request: Request) -> Response:
        talk = without_help_lines(body.talk(), service.care.country)
        notice, most = service.judge(talk, body.client), service.limits.replies_at_once
        _check_model(body.model, model_name, notice)
        if body.n > most:
            raise Refused(400, f"n is {body.n}; allowed: at most {most}, the replies at once", notice=notice)
        if talk[0]["role"] != "system":
            talk = with_system(system, talk)
        talk = with_client(body.client, talk, language_of(talk[-1]["content"]))
        client, draws = client_address.get(), body.decoding(decoding)
        # With a seed, the same talk gets the same replies.
        seeds = [None if body.seed is None else f"seeded-{number}" if number else "seeded" for number in range(body.n)]
        replies = [service.astream(talk, draws, client, seed, body.stop, notice, is_judged=True) for seed in seeds]
        pieces = _while_connected(replies, request)
        # What is refused is refused here, before a stream begins, unless help lines come first.
        first = await anext(pieces, None)
        answer = Answer(model_name, NOTICE[language_of(talk[-1]["content"])], body.n, care_in_content)
        if body.stream:
            usage = body.stream_options is not None and body.stream_options.include_usage
            return StreamingResponse(answer.stream(first, pieces, usage), media_type="text/event-stream")
        care: list[CareNotice] = []
        try:
            return JSONResponse(await answer.whole(first, pieces, care))
        except (ValueError, RuntimeError) as error:
            return _refuse(error, answer.extra(care))

    app.exception_handler(RequestValidationError)(partial(_refuse_body, service))
    app.exception_handler(StarletteHTTPException)(partial(_refuse_http, service))
    app.exception_handler(ValueError)(_refuse_value)
    app.exception_handler(RuntimeError)(_tell_failure)
    return app


def make_server(app: FastAPI, proxy: str | None = None) -> uvicorn.Server:
    """The server of the application; access is not logged.

    Args:
        app: the application.
        proxy: the address of a proxy that is believed when it says for whom it asks (X-Forwarded-For); None: nobody.
    """
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=BoundedConnection,
            ws="none",
            backlog=BACKLOG,
            proxy_headers=proxy is not None,
            forwarded_allow_ips=proxy or "",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
    )


class Answer:
    """One answer in the forms of OpenAI's API, made from the events of its `n` replies."""

    def __init__(self, model_name: str, notice: str, n: int, care_in_content: bool = False) -> None:
        self.head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model_name}
        self.notice, self.n, self.care_in_content = notice, n, care_in_content

    async def whole(
        self, first: Piece | None, pieces: AsyncGenerator[Piece], care: list[CareNotice]
    ) -> dict[str, Any]:
        """A `chat.completion`. Help lines that are due are added to `care`, also where it ends in an error."""
        texts, thoughts, done = [""] * self.n, [""] * self.n, dict[int, Done]()
        async for number, event in _chain(first, pieces):
            texts[number] += self._content_of(event)
            if is_due(event, number):
                care.append(event)
            elif isinstance(event, Thought):
                thoughts[number] += event.text
            elif isinstance(event, Done):
                done[number] = event
        choices = [
            {
                "index": number,
                "message": {"role": "assistant", "content": text, "refusal": None}
                | ({"reasoning_content": thoughts[number]} if thoughts[number] else {}),
                "finish_reason": done[number].finish_reason if number in done else None,
                "logprobs": None,
            }
            for number, text in enumerate(texts)
        ]
        return {
            **self.head,
            "object": "chat.completion",
            "choices": choices,
            "usage": _usage(done.values()),
            "soulchat": self.extra(care),
        }

    async def stream(self, first: Piece | None, pieces: AsyncGenerator[Piece], usage: bool) -> AsyncGenerator[str]:
        """Server-sent events: `chat.completion.chunk`s, then `[DONE]`. A fault under way is an `error` event."""
        care = [first[1]] if first is not None and isinstance(first[1], CareNotice) else []
        for number in range(self.n):
            yield self._chunk(number, {"role": "assistant", "content": ""}, care=care, extra=not number)
        done = []
        try:
            async for number, event in _chain(first, pieces):
                if isinstance(event, Text):
                    yield self._chunk(number, {"content": event.text})
                elif isinstance(event, Thought):
                    yield self._chunk(number, {"reasoning_content": event.text})
                elif isinstance(event, CareNotice) and event.cause == "reply":
                    yield self._chunk(number, {"content": self._content_of(event)}, care=[event], extra=True)
                elif isinstance(event, CareNotice) and self.care_in_content:
                    yield self._chunk(number, {"content": self._content_of(event)})
                elif isinstance(event, Done):
                    yield self._chunk(number, {}, event.finish_reason)
                    done.append(event)
            if usage:
                yield _event({**self._chunk_head(), "choices": [], "usage": _usage(done)})
        except (ValueError, RuntimeError) as error:
            yield _event(_error_of_reply(error, self.extra(care))[0])
        yield "data: [DONE]\n\n"

    def _chunk(
        self,
        number: int,
        delta: dict[str, str],
        finish_reason: str | None = None,
        care: list[CareNotice] | None = None,
        extra: bool = False,
    ) -> str:
        choice = {"index": number, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return _event(
            {**self._chunk_head(), "choices": [choice]} | ({"soulchat": self.extra(care or [])} if extra else {})
        )

    def _content_of(self, event: Event) -> str:
        """What an event adds to the content of the answer."""
        if isinstance(event, Text):
            return event.text
        if isinstance(event, CareNotice) and (event.cause == "reply" or self.care_in_content):
            return event.text + AFTER_HELP_LINES
        return ""

    def _chunk_head(self) -> dict[str, Any]:
        return {**self.head, "object": "chat.completion.chunk"}

    def extra(self, care: list[CareNotice]) -> dict[str, Any]:
        """The field that only these answers have."""
        return {"notice": self.notice, "care": [notice.as_dict() for notice in care]}


def without_help_lines(talk: list[Message], country: str | None) -> list[Message]:
    """A talk as the model has said it: clients send back what stood in the content, help lines included."""
    shown = [render_help_lines(language, country) + AFTER_HELP_LINES for language in NOTICE]

    def said(message: Message) -> Message:
        content = message["content"]
        for lines in shown if message["role"] == "assistant" else ():
            content = content.replace(lines, "")
        return Message(role=message["role"], content=content)

    return [said(message) for message in talk]


def is_due(event: Event, number: int) -> TypeGuard[CareNotice]:
    """Whether an event of the reply of a number is help lines; those for the message come with every reply alike."""
    return isinstance(event, CareNotice) and (event.cause == "reply" or number == 0)


async def _while_connected(replies: Sequence[AsyncGenerator[Event]], request: Request) -> AsyncGenerator[Piece]:
    """The events of all replies as they come, until the client hangs up; then the generation is stopped."""

    async def hung_up() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    gone = asyncio.ensure_future(hung_up())
    waiting: dict[asyncio.Future[Event | None], int] = {
        asyncio.ensure_future(anext(reply, None)): number for number, reply in enumerate(replies)
    }
    try:
        while waiting and not gone.done():
            both: set[asyncio.Future[Any]] = {*waiting, gone}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            come = [(future, number) for future, number in waiting.items() if future.done()]
            events = [(number, future.result()) for future, number in come]  # first of all what is refused
            for future, _ in come:
                del waiting[future]
            for number, event in events:
                if event is not None:
                    yield number, event
                    waiting[asyncio.ensure_future(anext(replies[number], None))] = number
    finally:
        gone.cancel()
        for future in waiting:
            future.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for reply in replies:
            await reply.aclose()


async def _chain(first: Piece | None, pieces: AsyncGenerator[Piece]) -> AsyncGenerator[Piece]:
    async with aclosing(pieces):
        if first is not None:
            yield first
        async for piece in pieces:
            yield piece


class Refused(HTTPException):
    """A refusal that clients tell from others by OpenAI's `code`; `notice` where help lines come with it."""

    def __init__(self, status: int, message: str, code: str | None = None, notice: CareNotice | None = None) -> None:
        super().__init__(status, message)
        self.code, self.notice = code, notice


def _require(door: Door) -> Any:
    bearer = HTTPBearer(auto_error=False)

    # Async, since `Door` is only to be called from the event loop.
    async def check(credentials: HTTPAuthorizationCredentials | None = Depends(bearer)) -> None:
        if not credentials or not door.opens(client_address.get(), credentials.credentials):
            raise Refused(
                401,
                "the key is missing or wrong; allowed: Authorization: Bearer <password of the server>",
                "invalid_api_key",
            )

    return check


def _check_model(asked: str, model_name: str, notice: CareNotice | None = None) -> None:
    if asked != model_name:
        raise Refused(404, f"model is unknown; allowed: {model_name}", "model_not_found", notice)


def _usage(done: Collection[Done]) -> dict[str, int] | None:
    """The tokens of all replies, their common prompt counted once, as with OpenAI."""
    if not done:
        return None
    prompt, completion = next(iter(done)).prompt_tokens, sum(event.completion_tokens for event in done)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _extra_of(notice: CareNotice | None) -> dict[str, Any] | None:
    return {"notice": NOTICE[notice.language], "care": [notice.as_dict()]} if notice else None


def _error_body(
    message: str, kind: str, param: str | None = None, code: str | None = None, extra: dict[str, Any] | None = None
) -> dict[str, Any]:
    """An error as OpenAI's; with `extra`, the help lines are also in the message, which every client shows."""
    care = [notice["text"] for notice in extra["care"]] if extra else []
    error = {"message": "\n".join([message, *care]), "type": kind, "param": param, "code": code}
    return {"error": error} | ({"soulchat": extra} if extra else {})


def _error_of_reply(
    error: ValueError | RuntimeError, extra: dict[str, Any] | None = None
) -> tuple[dict[str, Any], int]:
    """The body and the status of an answer without a reply."""
    if isinstance(error, OverLimit):
        return _error_body(str(error), "rate_limit_error", code="rate_limit_exceeded", extra=extra), 429
    if isinstance(error, ValueError):
        return _error_body(str(error), "invalid_request_error", extra=extra), 400
    return _error_body(str(error), "server_error", extra=extra), 500


def _refuse(error: ValueError | RuntimeError, extra: dict[str, Any] | None = None) -> JSONResponse:
    body, status = _error_of_reply(error, extra)
    return JSONResponse(body, status, {"Retry-After": "1"} if status == 429 else None)


async def _refuse_body(service: ReplyService, request: Request, error: RequestValidationError) -> JSONResponse:
    extra = _extra_of(service.judge(read_loosely(error.body)))
    fault = error.errors()[0]
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    place = fault["loc"][1:]
    if kind != "application/json" and not kind.endswith("+json"):
        told = "is not JSON's" if kind else "is missing"
        message = f"the header Content-Type {told}; allowed: application/json"
    elif fault["type"] == "json_invalid":
        message, place = f"the body is not JSON (at character {place[0]}); {BODY}", ()
    elif fault["type"] in ("missing", "model_attributes_type") and not place:
        message = f"the body is {'empty' if fault['type'] == 'missing' else 'no JSON object'}; {BODY}"
    else:
        message = describe_fault(place, fault["msg"])
    param = str(place[0]) if place else None
    return JSONResponse(_error_body(message, "invalid_request_error", param, extra=extra), 400)


async def _refuse_http(service: ReplyService, request: Request, error: StarletteHTTPException) -> JSONResponse:
    message, code, notice = str(error.detail), None, None
    if isinstance(error, Refused):
        code, notice = error.code, error.notice
    elif error.status_code in (404, 405):
        message = f"{request.method} is no method of this path, or the path is none; allowed: {PATHS}"
        notice = service.judge(read_loosely(await request.body()))  # nobody has read it
    elif error.status_code == 400:  # FastAPI's, of a body that is no text or has no end
        message = f"the body cannot be read; {BODY}"
        if isinstance(error.__cause__, UnicodeDecodeError):
            notice = service.judge(read_loosely(error.__cause__.object))
    body = _error_body(message, "invalid_request_error", code=code, extra=_extra_of(notice))
    return JSONResponse(body, error.status_code, error.headers)


async def _refuse_value(request: Request, error: ValueError) -> JSONResponse:
    return _refuse(error)


async def _tell_failure(request: Request, error: RuntimeError) -> JSONResponse:
    return _refuse(error)
