"""Questions with answers into conversations, by a model behind an endpoint (the paper, section 2.1).

`DIR/ledger.sqlite` is the only state. The run sends what the ledger lacks; the files beside it are written from it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..care.privacy import mask_private
from ..files import replacing, to_line, working_in, write_json
from ..schema import Conversation
from .costs import EXPECTED_REPLY_TOKENS, Estimate, estimate_prompts
from .ledger import Entry, Ledger
from .options import RewriteOptions
from .parse import PROMPT_ROUNDS, Parsed, parse_reply
from .records import (
    Record,
    find_file,
    kind_of,
    read_pipeline_records,
    to_record,
)
from .requests import Progress, hash_content, send_all
from .slots import Slots

# What a conversation does not carry over from its question; the rest stands in its provenance under `source`.
_REWRITTEN = ("id", "question", "answer", "topic", "flags", "client", "counsellor")


def read_questions(path: Path, unknown_topics: str) -> Iterator[Record]:
    """The question records of a file or folder; conversations are refused."""
    file = find_file(path)
    if kind_of(file) != "questions":
        raise ValueError(f"{file} holds conversations; rewriting takes questions with answers")
    return read_pipeline_records(file, unknown_topics)


def estimate(source: Path, options: RewriteOptions) -> Estimate:
    """Tokens and cost of rewriting all records, without sending anything. Reads, and so checks, the whole file."""
    task = _RewriteTask(options)
    prompts = ((record["id"], task.render(record)) for record in read_questions(source, options.unknown_topics))
    return estimate_prompts(prompts, options.models, EXPECTED_REPLY_TOKENS)


def rewrite(
    source: Path, out: Path, options: RewriteOptions, on_progress: Callable[[Progress], None] = lambda progress: None
) -> dict:
    """Rewrite what the ledger in `out` lacks, then write conversations.jsonl, rejected.jsonl and report.json from it.

    Returns the report. Stops before `max_cost` is passed.

    Raises:
        EndpointError: the endpoint is down, refuses the key or knows no such model. What was answered before is kept.
        ValueError: a broken source file (found before anything is sent), an endpoint elsewhere without `yes`, or a
            ledger of another version.
        OSError: another run is at work in `out`.
    """
    options.check_consent("questions with answers")
    total = sum(1 for _ in read_questions(source, options.unknown_topics))
    with working_in(out, "soulchat corpus rewrite"):
        return _rewrite(source, total, out, options, on_progress)


def _rewrite(
    source: Path, total: int, out: Path, options: RewriteOptions, on_progress: Callable[[Progress], None]
) -> dict:
    task = _RewriteTask(options)
    ledger = Ledger(out / "ledger.sqlite")
    try:
        _rejudge(ledger, task, options)
        if options.retry:
            ledger.reopen_rejected()
        try:
            send_all(read_questions(source, options.unknown_topics), total, ledger, task, options, on_progress)
        except BaseException:
            with suppress(OSError):  # on a full disk: what filled it is what the user is to hear of
                _export(source, out, options, ledger, task)
            raise
        return _export(source, out, options, ledger, task)
    finally:
        ledger.close()


class _RewriteTask:
    """Asks for a conversation made of a question and its answer."""

    def __init__(self, options: RewriteOptions) -> None:
        self._options = options
        self.version = options.template.version
        self.settings: Mapping[str, Any] = {}
        self.slots = Slots(options)

    def render(self, record: Record) -> str:
        question, answer = record["question"], record["answer"]
        if not self._options.send_unmasked:
            question, answer = mask_private(question), mask_private(answer)
        return self._options.template.render(question, answer, self.slots.fill(record))

    def content_hash(self, record: Record) -> str:
        return hash_content(self.version, record["question"], record["answer"], *self.slots.fill(record).values())

    def judge(self, entry: Entry) -> tuple[str, str | None]:
        parsed = parse_reply(entry.reply or "", entry.finish_reason or "stop", self._options.min_rounds)
        return ("accepted", None) if isinstance(parsed, Parsed) else ("rejected", parsed.reason)


def _rejudge(ledger: Ledger, task: _RewriteTask, options: RewriteOptions) -> None:
    """Bring the verdicts on stored replies in line with `min_rounds`, which may differ from the last run's."""
    rules = str(options.min_rounds)
    if ledger.get_meta("min_rounds") not in (None, rules):
        for number, entry in ledger.replies():
            ledger.judge(number, *task.judge(entry))
    ledger.set_meta("min_rounds", rules)


def _export(source: Path, out: Path, options: RewriteOptions, ledger: Ledger, task: _RewriteTask) -> dict:
    """The files beside the ledger, in the order of the source."""
    reasons: Counter[str] = Counter()
    models: Counter[str] = Counter()
    counts = Counter({"accepted": 0, "rejected": 0, "open": 0, "outside_prompt_rounds": 0})
    with replacing(out / "conversations.jsonl") as accepted, replacing(out / "rejected.jsonl") as rejected:
        for record in read_questions(source, options.unknown_topics):
            entry = ledger.find_final(record["id"], task.content_hash(record))
            counts[entry.status if entry else "open"] += 1
            if entry is None:
                continue
            if entry.status == "rejected":
                reasons[entry.reason or ""] += 1
                told = {"reason": entry.reason, "detail": entry.detail, "model": entry.model, "reply": entry.reply}
                rejected.write(to_line({"id": record["id"], **told}))
                continue
            parsed = parse_reply(entry.reply or "", entry.finish_reason or "stop", options.min_rounds)
            assert isinstance(parsed, Parsed)
            counts["outside_prompt_rounds"] += parsed.rounds not in PROMPT_ROUNDS
            models[entry.model] += 1
            accepted.write(to_line(to_record(_conversation(record, entry, parsed, task.slots))))
    report = {
        **counts,
        "reasons": dict(reasons.most_common()),
        "models": dict(models),
        "prompt": options.template.version,
        "min_rounds": options.min_rounds,
        **ledger.totals(),
    }
    write_json(out / "report.json", report)
    return report


def _conversation(record: Record, entry: Entry, parsed: Parsed, slots: Slots) -> Conversation:
    provenance = {
        "source_id": record["id"],
        "prompt_version": entry.prompt,
        "model": entry.model,
        "rounds": parsed.rounds,
        **slots.provenance(record),
    }
    carried = {key: value for key, value in record.items() if key not in _REWRITTEN}
    if carried:
        provenance["source"] = carried
    return Conversation(
        record["id"],
        slots.with_system(parsed.messages),
        record.get("topic"),
        provenance,
        slots.client(record),
        slots.counsellor(record),
    )
