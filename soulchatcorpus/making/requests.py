"""Asks an endpoint until each question has an outcome in the ledger: `Sender` one of any kind, `send_all` all records
with a given number at once.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Protocol

from ..schema import Message
from ..thoughts import all_written
from .costs import EXPECTED_REPLY_TOKENS, RESERVED_REPLY_TOKENS, estimate_tokens
from .endpoint import MAX_ATTEMPTS, Completion, Endpoint, EndpointError, Failure, Pace, delay, switch_of
from .ledger import Entry, Ledger, now
from .options import RequestOptions
from .records import Record

HASTY_ATTEMPTS = 3  # an endpoint that has never answered is given up after so many attempts
MALFORMED_ATTEMPTS = 3  # such an answer is mostly paid for
HASTY_MALFORMED = 20  # records; an endpoint that has answered nothing else is given up


class Task(Protocol):
    """What is asked of each record, and when its reply will do."""

    version: str
    settings: Mapping[str, Any]  # more fields of the request

    def render(self, record: Record) -> str:
        """The message to send."""

    def content_hash(self, record: Record) -> str:
        """What tells a record asked before from a changed one of the same id."""

    def judge(self, entry: Entry) -> tuple[str, str | None]:
        """ "accepted" or "rejected", and the reason, of an entry with a reply."""


@dataclass(slots=True)
class Progress:
    """Where a run stands; handed to the caller at the start and after every record."""

    total: int
    done: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    cost: float = 0.0
    stopped: bool = False  # for the cost


@dataclass(slots=True)
class Spending:
    """US dollars of a run: paid so far, and reserved for requests on their way. Senders of one run share it."""

    cost: float = 0.0
    reserved: float = 0.0
    stopped: bool = False  # since the next request could have passed what is allowed


Verdict = Callable[[Entry], tuple[str, str | None]]


@dataclass(slots=True, frozen=True)
class Question:
    """One thing to ask.

    Attributes:
        id: whose outcome it is, in the ledger.
        content: hash of what decides the reply; a changed one is asked anew.
        version: of the prompt.
        messages: to send.
        judge: "accepted" or "rejected", and the reason, of an entry with a reply.
        settings: more fields of the request, such as temperature and seed.
    """

    id: str
    content: str
    version: str
    messages: Sequence[Message]
    judge: Verdict
    settings: Mapping[str, Any] = field(default_factory=dict)


def hash_content(*parts: str) -> str:
    """A hash of texts, for `Task.content_hash`."""
    return blake2b("\x1f".join(parts).encode(), digest_size=12).hexdigest()


def send_all(
    records: Iterator[Record],
    total: int,
    ledger: Ledger,
    task: Task,
    options: RequestOptions,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Ask for every record that the ledger lacks. Stops before `max_cost` is passed.

    Raises:
        EndpointError: the endpoint is down, refuses the key or knows no such model.
    """
    asyncio.run(_send_all(records, Progress(total), ledger, task, options, on_progress))


async def _send_all(
    records: Iterator[Record],
    progress: Progress,
    ledger: Ledger,
    task: Task,
    options: RequestOptions,
    on_progress: Callable[[Progress], None],
) -> None:
    """As many workers as requests may be under way, each taking the next record."""
    spending = Spending(ledger.totals()["cost"])

    def tell() -> None:
        progress.cost, progress.stopped = spending.cost, spending.stopped
        on_progress(progress)

    async def work(sender: Sender) -> None:
        for record in records:
            content = task.content_hash(record)
            final = ledger.find_final(record["id"], content)
            if final is None:
                message = Message(role="user", content=task.render(record))
                final = await sender.ask(
                    Question(record["id"], content, task.version, [message], task.judge, task.settings)
                )
            if final is None:
                progress.stopped = True
                return
            progress.done += 1
            progress.counts[final.reason or final.status] += 1
            tell()

    tell()
    async with Sender(ledger, options, spending) as sender:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(options.concurrency):
                    group.create_task(work(sender))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None


class Sender:
    """Asks one endpoint, within its limits and the cost allowed; use as an asynchronous context manager.

    Args:
        ledger: of every request. Look there for an outcome before you ask.
        spending: shared by the senders of one run.
    """

    def __init__(self, ledger: Ledger, options: RequestOptions, spending: Spending) -> None:
        self.ledger, self.options, self.spending = ledger, options, spending
        self._endpoint = Endpoint(options.base_url, options.timeout, options.max_tokens)
        self._switch = switch_of(options.base_url, options.thinking)
        self._pace = Pace(options.requests_per_minute, options.tokens_per_minute)
        self._answers = 0
        self._malformed = 0  # questions

    async def __aenter__(self) -> "Sender":
        await self._endpoint.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._endpoint.__aexit__(*error)

    async def ask(self, question: Question) -> Entry | None:
        """Ask until there is an outcome, and write every attempt; None where the next could pass the cost allowed.

        Raises:
            EndpointError: the endpoint is down, refuses the key or knows no such model.
        """
        options, spending = self.options, self.spending
        model = options.models.choose(question.id)
        tokens = estimate_tokens("".join(message["content"] for message in question.messages))
        malformed = 0
        for attempt in range(1, MAX_ATTEMPTS + 1):
            reserve = options.models.cost(model, tokens, options.max_tokens or RESERVED_REPLY_TOKENS)
            if options.max_cost is not None and spending.cost + spending.reserved + reserve > options.max_cost:
                spending.stopped = True
                return None
            await self._pace.wait(tokens + (options.max_tokens or EXPECTED_REPLY_TOKENS))
            answers, started = self._answers, now()
            spending.reserved += reserve
            try:
                outcome = await self._endpoint.complete(
                    question.messages, model, self._switch | dict(question.settings)
                )
            finally:
                spending.reserved -= reserve
            entry = Entry(question.id, question.content, question.version, model, "error", started=started)
            entry.seconds = now() - started
            if isinstance(outcome, Completion):
                self._answers += 1
                self._pay(entry, outcome.prompt_tokens, outcome.completion_tokens)
                is_done = outcome.finish_reason == "stop"
                entry.finish_reason = outcome.finish_reason
                entry.reply = all_written(outcome.text, outcome.aside, is_done, options.thinking)
                entry.status, entry.reason = question.judge(entry)
                self.ledger.add(entry)
                return entry
            entry.reason, entry.detail = outcome.reason, outcome.detail
            is_malformed = outcome.raw is not None
            if is_malformed:
                malformed += 1
                self._pay(entry, tokens, estimate_tokens(outcome.raw or ""))
                entry.reply = outcome.raw
            if not outcome.again or attempt == MAX_ATTEMPTS or malformed == MALFORMED_ATTEMPTS:
                if not is_malformed:
                    self._give_up(outcome, answers)
                entry.status = "rejected"
                self.ledger.add(entry)
                self._malformed += is_malformed
                if not self._answers and self._malformed >= HASTY_MALFORMED:
                    raise EndpointError(
                        f"{options.base_url} has answered with nothing but what is no completion ({outcome.detail}); "
                        "allowed: an OpenAI-compatible endpoint, run again with `retry` rejected"
                    )
                return entry
            self.ledger.add(entry)
            if not self._answers and outcome.reason in ("connection", "timeout") and attempt >= HASTY_ATTEMPTS:
                raise EndpointError(f"cannot reach {options.base_url}; nothing is lost, run again when it is up")
            await asyncio.sleep(delay(attempt, outcome))
        raise AssertionError("the last attempt returns")

    def _pay(self, entry: Entry, prompt_tokens: int, completion_tokens: int) -> None:
        """Count what an answer has cost."""
        entry.prompt_tokens, entry.completion_tokens = prompt_tokens, completion_tokens
        entry.cost = self.options.models.cost(entry.model, prompt_tokens, completion_tokens)
        self.spending.cost += entry.cost

    def _give_up(self, failure: Failure, answers_before: int) -> None:
        """Stop everything where the endpoint has answered nobody since the last attempt began."""
        if failure.again and self._answers == answers_before:
            raise EndpointError(
                f"{self.options.base_url} fails ({failure.reason}) and answers no other request either; "
                "nothing is lost, run again when it is up"
            )
