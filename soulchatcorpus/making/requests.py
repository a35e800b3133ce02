"""Sends records to an endpoint, a given number at once, until each has an outcome in the ledger."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

from .costs import EXPECTED_REPLY_TOKENS, RESERVED_REPLY_TOKENS, estimate_tokens
from .endpoint import MAX_ATTEMPTS, Completion, Endpoint, EndpointError, Failure, Pace, delay
from .ledger import Entry, Ledger, now
from .options import RequestOptions
from .records import Record

HASTY_ATTEMPTS = 3  # an endpoint that has never answered is given up after so many attempts
MALFORMED_ATTEMPTS = 3  # such an answer is mostly paid for
HASTY_MALFORMED = 20  # records; an endpoint that has answered nothing else is given up


class Task(Protocol):
    """What is asked of each record, and when its reply will do."""

    version: str

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
    asyncio.run(_Run(ledger, task, options, Progress(total), on_progress).all(records))


class _Run:
    """One run: as many workers as requests may be under way, each taking the next record that the ledger lacks."""

    def __init__(
        self,
        ledger: Ledger,
        task: Task,
        options: RequestOptions,
        progress: Progress,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.ledger, self.task, self.options = ledger, task, options
        self.progress, self.on_progress = progress, on_progress
        progress.cost = ledger.totals()["cost"]
        self._pace = Pace(options.requests_per_minute, options.tokens_per_minute)
        self._reserved = 0.0
        self._answers = 0
        self._malformed = 0  # records

    async def all(self, records: Iterator[Record]) -> None:
        options = self.options
        self.on_progress(self.progress)
        async with Endpoint(options.base_url, options.timeout, options.max_tokens) as endpoint:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(options.concurrency):
                        group.create_task(self._work(endpoint, records))
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from None

    async def _work(self, endpoint: Endpoint, records: Iterator[Record]) -> None:
        for record in records:
            content = self.task.content_hash(record)
            final = self.ledger.find_final(record["id"], content)
            if final is None:
                final = await self._finish(endpoint, record, content)
            if final is None:
                return
            self.progress.done += 1
            self.progress.counts[final.reason or final.status] += 1
            self.on_progress(self.progress)

    async def _finish(self, endpoint: Endpoint, record: Record, content: str) -> Entry | None:
        """Ask until there is an outcome; None where the next request could pass the cost allowed."""
        options = self.options
        model = options.models.choose(record["id"])
        message = self.task.render(record)
        tokens = estimate_tokens(message)
        malformed = 0
        for attempt in range(1, MAX_ATTEMPTS + 1):
            reserve = options.models.cost(model, tokens, options.max_tokens or RESERVED_REPLY_TOKENS)
            if options.max_cost is not None and self.progress.cost + self._reserved + reserve > options.max_cost:
                self.progress.stopped = True
                return None
            await self._pace.wait(tokens + (options.max_tokens or EXPECTED_REPLY_TOKENS))
            answers, started = self._answers, now()
            self._reserved += reserve
            try:
                outcome = await endpoint.complete(message, model)
            finally:
                self._reserved -= reserve
            entry = Entry(record["id"], content, self.task.version, model, "error", started=started)
            entry.seconds = now() - started
            if isinstance(outcome, Completion):
                self._take(outcome, entry)
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

    def _take(self, completion: Completion, entry: Entry) -> None:
        self._answers += 1
        self._pay(entry, completion.prompt_tokens, completion.completion_tokens)
        entry.finish_reason, entry.reply = completion.finish_reason, completion.text
        entry.status, entry.reason = self.task.judge(entry)
        self.ledger.add(entry)

    def _pay(self, entry: Entry, prompt_tokens: int, completion_tokens: int) -> None:
        """Count what an answer has cost."""
        entry.prompt_tokens, entry.completion_tokens = prompt_tokens, completion_tokens
        entry.cost = self.options.models.cost(entry.model, prompt_tokens, completion_tokens)
        self.progress.cost += entry.cost

    def _give_up(self, failure: Failure, answers_before: int) -> None:
        """Stop everything where the endpoint has answered nobody since the last attempt began."""
        if failure.again and self._answers == answers_before:
            raise EndpointError(
                f"{self.options.base_url} fails ({failure.reason}) and answers no other request either; "
                "nothing is lost, run again when it is up"
            )
