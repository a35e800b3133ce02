"""Questions with answers into conversations, by a model behind an endpoint (the paper, section 2.1).

`DIR/ledger.sqlite` is the only state. The run sends what the ledger lacks; the files beside it are written from it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from ..schema import Conversation
from .costs import EXPECTED_REPLY_TOKENS, RESERVED_REPLY_TOKENS, Models, estimate_tokens
from .endpoint import MAX_ATTEMPTS, Completion, Endpoint, EndpointError, Failure, Pace, delay
from .ledger import Entry, Ledger, now
from .parse import MIN_ROUNDS, PROMPT_ROUNDS, Parsed, parse_reply
from .privacy import mask_private
from .prompts import Prompt
from .records import LinesWriter, Record, find_file, kind_of, read_pipeline_records, to_record, write_json

HASTY_ATTEMPTS = 3  # an endpoint that has never answered is given up after so many attempts


@dataclass(slots=True)
class RewriteOptions:
    """How a rewriting is done; the command line has the same names."""

    base_url: str
    models: Models
    prompt: Prompt
    concurrency: int = 16
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    timeout: float = 120.0
    max_tokens: int | None = None
    max_cost: float | None = None
    min_rounds: int = MIN_ROUNDS
    send_unmasked: bool = False
    retry_rejected: bool = False
    unknown_topics: str = "refuse"

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError(f"--concurrency {self.concurrency}: at least 1 is wanted")
        if self.max_cost is not None and self.models.without_price:
            names = ", ".join(self.models.without_price)
            raise ValueError(f"--max-cost needs the price of {names}: give --price NAME=IN,OUT")


@dataclass(slots=True)
class Progress:
    """Where a run stands; handed to the caller after every record."""

    total: int
    done: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    cost: float = 0.0
    stopped: bool = False  # for the cost


@dataclass(slots=True, frozen=True)
class Estimate:
    """What a run would take."""

    records: int
    characters: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


def read_questions(path: Path, unknown_topics: str) -> Iterator[Record]:
    """The question records of a file or folder; conversations are refused."""
    file = find_file(path)
    if kind_of(file) != "questions":
        raise ValueError(f"{file} holds conversations; rewriting takes questions with answers")
    return read_pipeline_records(file, unknown_topics)


def estimate(source: Path, options: RewriteOptions) -> Estimate:
    """Tokens and cost of rewriting all records, without sending anything. Reads, and so checks, the whole file."""
    records = characters = tokens = 0
    cost = 0.0
    for record in read_questions(source, options.unknown_topics):
        content = options.prompt.render(record["question"], record["answer"])
        prompt_tokens = estimate_tokens(content)
        records, characters, tokens = records + 1, characters + len(content), tokens + prompt_tokens
        cost += options.models.cost(options.models.choose(record["id"]), prompt_tokens, EXPECTED_REPLY_TOKENS)
    return Estimate(records, characters, tokens, records * EXPECTED_REPLY_TOKENS, cost)


def rewrite(
    source: Path, out: Path, options: RewriteOptions, on_progress: Callable[[Progress], None] = lambda progress: None
) -> dict:
    """Rewrite what the ledger in `out` lacks, then write conversations.jsonl, rejected.jsonl and report.json from it.

    Returns the report. Stops before `max_cost` is passed.

    Raises:
        EndpointError: the endpoint is down, refuses the key or knows no such model. What was answered before is kept.
        ValueError: a broken source file (found before anything is sent), or a ledger of another version.
    """
    total = sum(1 for _ in read_questions(source, options.unknown_topics))
    ledger = Ledger(out / "ledger.sqlite")
    try:
        _rejudge(ledger, options)
        if options.retry_rejected:
            ledger.reopen_rejected()
        run = _Run(ledger, options, Progress(total), on_progress)
        try:
            asyncio.run(run.all(read_questions(source, options.unknown_topics)))
        finally:
            report = _export(source, out, options, ledger)
        return report
    finally:
        ledger.close()


class _Run:
    """One run: as many workers as requests may be under way, each taking the next record that the ledger lacks."""

    def __init__(
        self, ledger: Ledger, options: RewriteOptions, progress: Progress, on_progress: Callable[[Progress], None]
    ) -> None:
        self.ledger, self.options, self.progress, self.on_progress = ledger, options, progress, on_progress
        progress.cost = ledger.totals()["cost"]
        self._pace = Pace(options.requests_per_minute, options.tokens_per_minute)
        self._reserved = 0.0
        self._answers = 0

    async def all(self, records: Iterator[Record]) -> None:
        options = self.options
        async with Endpoint(options.base_url, options.timeout, options.max_tokens) as endpoint:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(options.concurrency):
                        group.create_task(self._work(endpoint, records))
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from None

    async def _work(self, endpoint: Endpoint, records: Iterator[Record]) -> None:
        for record in records:
            content = content_hash(record, self.options.prompt)
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
        texts = [record["question"], record["answer"]]
        message = options.prompt.render(*(texts if options.send_unmasked else map(mask_private, texts)))
        tokens = estimate_tokens(message)
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
            entry = Entry(record["id"], content, options.prompt.version, model, "error", started=started)
            entry.seconds = now() - started
            if isinstance(outcome, Completion):
                self._take(outcome, entry)
                return entry
            entry.reason = outcome.reason
            if not outcome.again or attempt == MAX_ATTEMPTS:
                self._give_up(outcome, answers)
                entry.status = "rejected"
                self.ledger.add(entry)
                return entry
            self.ledger.add(entry)
            if not self._answers and outcome.reason in ("connection", "timeout") and attempt >= HASTY_ATTEMPTS:
                raise EndpointError(f"cannot reach {options.base_url}; nothing is lost, run again when it is up")
            await asyncio.sleep(delay(attempt, outcome))
        raise AssertionError("the last attempt returns")

    def _take(self, completion: Completion, entry: Entry) -> None:
        self._answers += 1
        entry.prompt_tokens, entry.completion_tokens = completion.prompt_tokens, completion.completion_tokens
        entry.cost = self.options.models.cost(entry.model, entry.prompt_tokens, entry.completion_tokens)
        entry.finish_reason, entry.reply = completion.finish_reason, completion.text
        entry.status, entry.reason = _verdict(entry, self.options.min_rounds)
        self.ledger.add(entry)
        self.progress.cost += entry.cost

    def _give_up(self, failure: Failure, answers_before: int) -> None:
        """Stop everything where the endpoint has answered nobody since the last attempt began."""
        if failure.again and self._answers == answers_before:
            raise EndpointError(
                f"{self.options.base_url} fails ({failure.reason}) and answers no other request either; "
                "nothing is lost, run again when it is up"
            )


def content_hash(record: Record, prompt: Prompt) -> str:
    """What tells a question asked before from a changed one of the same id."""
    text = "\x1f".join((prompt.version, record["question"], record["answer"]))
    return blake2b(text.encode(), digest_size=12).hexdigest()


def _verdict(entry: Entry, min_rounds: int) -> tuple[str, str | None]:
    parsed = parse_reply(entry.reply or "", entry.finish_reason or "stop", min_rounds)
    return ("accepted", None) if isinstance(parsed, Parsed) else ("rejected", parsed.reason)


def _rejudge(ledger: Ledger, options: RewriteOptions) -> None:
    """Bring the verdicts on stored replies in line with `min_rounds`, which may differ from the last run's."""
    rules = str(options.min_rounds)
    if ledger.get_meta("min_rounds") not in (None, rules):
        for number, entry in ledger.replies():
            ledger.judge(number, *_verdict(entry, options.min_rounds))
    ledger.set_meta("min_rounds", rules)


def _export(source: Path, out: Path, options: RewriteOptions, ledger: Ledger) -> dict:
    """The files beside the ledger, in the order of the source."""
    reasons: Counter[str] = Counter()
    models: Counter[str] = Counter()
    counts = Counter({"accepted": 0, "rejected": 0, "open": 0, "outside_prompt_rounds": 0})
    with LinesWriter(out / "conversations.jsonl") as accepted, LinesWriter(out / "rejected.jsonl") as rejected:
        for record in read_questions(source, options.unknown_topics):
            entry = ledger.find_final(record["id"], content_hash(record, options.prompt))
            counts[entry.status if entry else "open"] += 1
            if entry is None:
                continue
            if entry.status == "rejected":
                reasons[entry.reason or ""] += 1
                line = {"id": record["id"], "reason": entry.reason, "model": entry.model, "reply": entry.reply}
                rejected.write(line)
                continue
            parsed = parse_reply(entry.reply or "", entry.finish_reason or "stop", options.min_rounds)
            assert isinstance(parsed, Parsed)
            counts["outside_prompt_rounds"] += parsed.rounds not in PROMPT_ROUNDS
            models[entry.model] += 1
            accepted.write(to_record(_conversation(record, entry, parsed)))
    report = {
        **counts,
        "reasons": dict(reasons.most_common()),
        "models": dict(models),
        "prompt": options.prompt.version,
        "min_rounds": options.min_rounds,
        **ledger.totals(),
    }
    write_json(out / "report.json", report)
    return report


def _conversation(record: Record, entry: Entry, parsed: Parsed) -> Conversation:
    provenance = {
        "source_id": record["id"],
        "prompt_version": entry.prompt,
        "model": entry.model,
        "rounds": parsed.rounds,
    }
    carried = {key: value for key, value in record.items() if key not in ("id", "question", "answer", "topic")}
    if carried:
        provenance["source"] = carried
    return Conversation(record["id"], parsed.messages, record.get("topic"), provenance)
