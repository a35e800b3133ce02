"""The one way from a message to a reply for terminal, page and server: checked, limited, batched, streamed.

A thread of its own steps the engine; every talk that waits for a reply is a row of its batch. What a surface gets is a
stream of events: help lines where they are due, pieces of text, then the end.
"""

import asyncio
import logging
import math
import queue
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from soulchat_trainer.generation.engine import Decoding, Delta, Request
from soulchatcorpus import Message
from soulchatcorpus.care.replies import HeldStream
from soulchatcorpus.clients import Client
from soulchatcorpus.dialogue import keep_roles_apart

from .care import Care, CareNotice
from .limits import TALK_CHARACTERS, Limits, OverLimit, RateLimiter, drop_oldest_turns

logger = logging.getLogger(__name__)


class Engine(Protocol):
    """What the service needs of `generation.ReplyEngine`."""

    @property
    def busy(self) -> bool: ...
    def submit(
        self,
        messages: Sequence[Message],
        decoding: Decoding,
        key: str,
        stream: bool = False,
        *,
        stop: Sequence[str] = (),
    ) -> Request: ...
    def cancel(self, request: Request) -> None: ...
    def step(self) -> list[Delta]: ...


@dataclass(frozen=True, slots=True)
class Text:
    """The next piece of a reply."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """The next piece of what a model thinks before its reply, where it is to: no part of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a reply: "stop" (the model ended it) or "length"; tokens of prompt and reply."""

    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Failed:
    """No reply: `error` is a ValueError for what cannot be answered, a RuntimeError for a fault of the model."""

    error: ValueError | RuntimeError


Event = CareNotice | Thought | Text | Done | Failed


class Ticket:
    """One reply on its way; `tell` is called with each event, from the service's thread."""

    def __init__(
        self,
        messages: list[Message],
        decoding: Decoding,
        key: str,
        tell: Callable[[Event], None],
        stop: Sequence[str],
    ) -> None:
        self.messages, self.decoding, self.key, self.tell, self.stop = messages, decoding, key, tell, stop
        self.cancelled = False
        self.held: HeldStream | None = None


class ReplyService:
    """Answers many talks at once from one engine. Use it as a context manager, or call `close`.

    Args:
        make_engine: makes the engine; called again after a fault, so that one bad batch does not end the service.
            What it raises the first time is raised here.
        care: what is checked.
        limits: how much may be asked for.
        clock: seconds.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        care: Care = Care(),
        limits: Limits = Limits(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.care, self.limits, self._clock = care, limits, clock
        care.get_ready()
        self._make_engine = make_engine
        self._rates = RateLimiter(limits.messages_per_minute)
        self._open: set[Ticket] = set()
        self._lock = threading.Lock()
        self._inbox: queue.SimpleQueue[Ticket | None] = queue.SimpleQueue()
        self._ended = False
        self._at_work_since: float | None = None  # when the step under way began; None while there is nothing to do
        self._thread = threading.Thread(target=self._run, args=[make_engine()], name="replies", daemon=True)
        self._thread.start()

    def __enter__(self) -> "ReplyService":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the thread; replies on their way fail."""
        self._inbox.put(None)
        self._thread.join()

    @property
    def open_replies(self) -> int:
        """How many replies are being made or waited for."""
        return len(self._open)

    @property
    def silent_for(self) -> float:
        """Seconds since the thread that makes replies began what it is at; infinite where it has ended."""
        since = self._at_work_since
        return math.inf if self._ended else 0.0 if since is None else self._clock() - since

    def stream(
        self, messages: Sequence[Message], decoding: Decoding, client: str = "local", key: str | None = None
    ) -> Generator[Event]:
        """The events of a reply; closing the iterator stops the generation. Raises as `astream` does."""
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        if notice := self.care.check_message(words_since_reply(messages)):
            yield notice
        ticket = self._admit(messages, decoding, client, key, events.put)
        try:
            while not isinstance(event := _unless_failed(events.get()), Done):
                yield event
            yield event
        finally:
            self._cancel(ticket)

    async def astream(
        self,
        messages: Sequence[Message],
        decoding: Decoding,
        client: str = "local",
        key: str | None = None,
        stop: Sequence[str] = (),
        notice: CareNotice | None = None,
        is_judged: bool = False,
    ) -> AsyncGenerator[Event]:
        """The events of a reply; closing the iterator stops the generation.

        Help lines for what the user wrote come first, also where the talk is then refused or the model fails.

        Args:
            messages: the talk, ending with the user's words; a system text may come first.
            decoding: how to draw.
            client: who asks, for the rate limit.
            key: with the same key, seed and talk the reply is the same; by default every reply is drawn anew.
            stop: texts before the first of which the reply ends.
            notice: help lines that the user's words call for, where `is_judged` says that they were judged before, as
                they are once for several replies.

        Raises:
            ValueError: the talk is refused by `Limits.check_talk` (`OverLimit`: too many at once, or too fast).
            RuntimeError: the model failed.
        """
        events: asyncio.Queue[Event] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(event: Event) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(events.put_nowait, event)

        if not is_judged:
            notice = self.judge(messages)
        if notice:
            yield notice
        ticket = self._admit(messages, decoding, client, key, tell, stop)
        try:
            while not isinstance(event := _unless_failed(await events.get()), Done):
                yield event
            yield event
        finally:
            self._cancel(ticket)

    def judge(self, messages: Sequence[Message], stated: Client | None = None) -> CareNotice | None:
        """Help lines that the user's last words call for, or what they state of themselves."""
        notice = self.care.check_message(words_since_reply(messages))
        return notice or (self.care.check_message("\n".join(stated.values())) if stated else None)

    def _admit(
        self,
        messages: Sequence[Message],
        decoding: Decoding,
        client: str,
        key: str | None,
        tell: Callable[[Event], None],
        stop: Sequence[str] = (),
    ) -> Ticket:
        self.limits.check_talk(messages)
        self._rates.take(client)
        ticket = Ticket(say_apart(drop_oldest_turns(messages)), decoding, key or uuid.uuid4().hex, tell, stop)
        if self.care.enabled:
            ticket.held = HeldStream()
        with self._lock:
            if self._ended:
                raise RuntimeError("the service is closed")
            if len(self._open) >= self.limits.replies_at_once:
                raise OverLimit(
                    f"{len(self._open)} replies are being made; allowed: {self.limits.replies_at_once} at once"
                )
            self._open.add(ticket)
        self._inbox.put(ticket)
        return ticket

    def _cancel(self, ticket: Ticket) -> None:
        ticket.cancelled = True
        with self._lock:
            self._open.discard(ticket)

    def _run(self, engine: Engine) -> None:
        try:
            self._make_replies(engine)
            end = RuntimeError("the service is closed")
        except Exception as error:  # an engine that cannot be made again, for one
            end = _fault(error)
        with self._lock:
            self._ended, left = True, list(self._open)
        self._fail(left, end)

    def _make_replies(self, engine: Engine) -> None:
        running: dict[Request, Ticket] = {}
        while True:
            self._at_work_since = self._clock() if engine.busy else None
            if not self._take_new(engine, running, wait=not engine.busy):
                return
            for request, ticket in list(running.items()):
                if ticket.cancelled:
                    engine.cancel(request)
                    del running[request]
            try:
                deltas = engine.step()
            except Exception as error:  # whatever the model broke on, the other surfaces and talks must live on
                self._fail(list(running.values()), _fault(error))
                engine, running = self._make_engine(), {}
                continue
            for delta in deltas:
                if delta.request in running:
                    self._pass_on(delta, running[delta.request])
                    if delta.request.finish_reason:
                        del running[delta.request]

    def _take_new(self, engine: Engine, running: dict[Request, Ticket], wait: bool) -> bool:
        """Submit what has come in (waiting for something if there is nothing to do); False once closed."""
        while True:
            try:
                ticket = self._inbox.get(block=wait)
            except queue.Empty:
                return True
            if ticket is None:
                return False
            wait, self._at_work_since = False, self._at_work_since or self._clock()
            if ticket.cancelled:
                continue
            try:
                request = engine.submit(ticket.messages, ticket.decoding, ticket.key, stream=True, stop=ticket.stop)
            except ValueError as error:
                self._fail([ticket], error)
            except Exception as error:  # a chat template, for one, raises what it likes
                self._fail([ticket], _fault(error))
            else:
                running[request] = ticket

    def _pass_on(self, delta: Delta, ticket: Ticket) -> None:
        request, held, text = delta.request, ticket.held, delta.text
        if delta.thoughts and ticket.decoding.thinking == "keep":
            ticket.tell(Thought(delta.thoughts))
        if held is not None:
            known_before = held.speaks_of_self_harm
            text = held.feed(text) + (held.finish() if request.finish_reason else "")
            if held.speaks_of_self_harm and not known_before:
                ticket.tell(self.care.notice_for_reply(ticket.messages[-1]["content"]))
        if text:
            ticket.tell(Text(text))
        if request.finish_reason:
            ticket.tell(Done(request.finish_reason, len(request.prompt_ids), len(request.token_ids)))

    def _fail(self, tickets: list[Ticket], error: ValueError | RuntimeError) -> None:
        for ticket in tickets:
            ticket.tell(Failed(error))


def words_since_reply(messages: Sequence[Message]) -> str:
    """What the user has said since the last reply, which is judged before it is refused for its length.

    A program may send several messages in a row, or begin the reply to them, which is refused. Of very much both ends
    are taken: judging must not hold up others.
    """
    said = list[str]()
    for message in reversed(messages):
        if message["role"] == "user":
            said.append(message["content"])
        elif message["role"] == "assistant" and said:
            break
    words = "\n".join(reversed(said))
    if len(words) <= TALK_CHARACTERS:
        return words
    return words[: TALK_CHARACTERS // 2] + "\n" + words[-TALK_CHARACTERS // 2 :]


def say_apart(messages: list[Message]) -> list[Message]:
    """The messages with a space for each line break that would let a typed role prefix start a line."""
    return [message | {"content": keep_roles_apart(message["content"])} for message in messages]


def _unless_failed(event: Event) -> Event:
    if isinstance(event, Failed):
        raise event.error
    return event


def _fault(error: Exception) -> RuntimeError:
    """What is reported and logged about a fault: its type, not its message, which could quote a user."""
    logger.error("the model failed: %s", type(error).__name__)
    return RuntimeError(f"the model failed ({type(error).__name__})")
