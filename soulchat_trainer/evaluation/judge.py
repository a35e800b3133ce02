"""A language model judges replies, talks or pairs by a rubric: behind an endpoint, or a model of transformers here.

`DIR/ledger.sqlite` has every request, as in rewriting: what is in it is not asked, nor paid, again. judged.jsonl and
judged.json beside it are written from it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from soulchat_metrics import krippendorff_alpha
from soulchatcorpus.care.privacy import mask_private
from soulchatcorpus.files import working_in, write_json, write_lines
from soulchatcorpus.making.costs import Estimate, estimate_prompts
from soulchatcorpus.making.ledger import Entry, Ledger, now
from soulchatcorpus.making.options import RequestOptions
from soulchatcorpus.making.requests import Progress, hash_content, send_all
from soulchatcorpus.schema import Message

from ..generation.engine import iterate_replies
from ..generation.sampling import Decoding
from ..loading import load_model
from .correction import wilson_interval
from .items import Item, read_items
from .rubric import NOTHING, Aspect, Rubric, read_rubric
from .verdict import read_verdict

LEDGER_FILE, JUDGED_FILE, REPORT_FILE = "ledger.sqlite", "judged.jsonl", "judged.json"
EXPECTED_TOKENS = 120  # of an answer: a sentence and a number for each aspect
LOCAL_TOKENS = 512  # most of an answer of a model here, where `max_tokens` is not given
NOT_VALIDATED = "not validated on people"
ORDERS = {"reply": (0,), "talk": (0,), "pair": (0, 1)}

OnProgress = Callable[[Progress], None]


class JudgeOptions(RequestOptions):
    """How a model judges."""

    base_url: str = Field(
        default="", description="An OpenAI-compatible endpoint; without one, --model is a model of transformers, here."
    )
    model: str = Field(description="NAME[=WEIGHT],… at the endpoint; or a folder, or a repository of the Hub.")
    rubric: str = Field(default="cehs", description="cehs, cpsycoun, pair, or a YAML file.")
    samples: int | None = Field(default=None, ge=1, description="Judge so many dialogues; by default all.")
    seed: int = Field(default=0, description="Of the sample, and of a local model's draws.")
    repeats: int = Field(
        default=1, ge=1, description="Ask so often for each, to see whether the judge agrees with itself."
    )
    temperature: float | None = Field(
        default=None, ge=0, description="Of the judge; left to the endpoint where not given, a local model takes 0."
    )
    device: str = Field(default="auto", description="Of a local model: auto, cpu, cuda, …")
    retry: Literal["rejected"] | None = Field(default=None, description="Ask again where there were no scores.")

    @property
    def is_local(self) -> bool:
        """Whether the judge is a model of transformers on this machine."""
        return not self.base_url

    @model_validator(mode="after")
    def _check_endpoint(self) -> Self:
        return self if self.is_local else self.check_requests()


class Asked(BaseModel):
    """A line of judged.jsonl: one answer of the judge.

    Attributes:
        order: of a pair, 1 where the second was shown first; scores are as if the first had been.
        outcome: scored, or why there are no scores.
        text: hash of what was judged, by which a study tells that it is the same.
    """

    id: str
    talk: str
    systems: list[str]
    order: int
    repeat: int
    outcome: str
    scores: dict[str, int] | None
    model: str
    text: str


class JudgeTask:
    """Asks for the scores of an item."""

    def __init__(self, rubric: Rubric, options: JudgeOptions) -> None:
        self._rubric, self._options = rubric, options
        self.version = f"{rubric.name}@{rubric.fingerprint}"
        form = {"name": rubric.name, "strict": True, "schema": rubric.answer_schema()}
        temperature = {} if options.temperature is None else {"temperature": options.temperature}
        self.settings: Mapping[str, Any] = {
            "response_format": {"type": "json_schema", "json_schema": form},
            **temperature,
        }

    def records(self, items: Sequence[Item]) -> Iterator[dict[str, Any]]:
        """What is asked: each item so often, pairs in both orders. No record has a system's name in its texts."""
        for item in items:
            for order in ORDERS[self._rubric.judged]:
                for repeat in range(self._options.repeats):
                    id_ = "/".join([*item.systems, item.id, str(order), str(repeat)])
                    texts = item.texts[::-1] if order else item.texts
                    yield {"id": id_, "item": item, "order": order, "repeat": repeat, "texts": texts}

    def render(self, record: dict[str, Any]) -> str:
        masked = (lambda text: text) if self._options.send_unmasked else mask_private
        nothing = NOTHING[self._rubric.language]
        history, *texts = (
            masked(text) if text.strip() else nothing for text in (record["item"].history, *record["texts"])
        )
        places = ("first", "second") if self._rubric.judged == "pair" else (self._rubric.judged,)
        return self._rubric.render_prompt(history=history, **dict(zip(places, texts, strict=True)))

    def content_hash(self, record: dict[str, Any]) -> str:
        judge = f"{self._options.model} {self._options.temperature}"
        return hash_content(self.version, judge, record["item"].history, *record["texts"])

    def judge(self, entry: Entry) -> tuple[str, str | None]:
        verdict = self.verdict(entry)
        return ("accepted", None) if isinstance(verdict, dict) else ("rejected", verdict)

    def verdict(self, entry: Entry) -> dict[str, int] | str:
        """The scores of an entry, or why there are none."""
        if entry.reply is None or entry.reason == "malformed":
            return entry.reason or "unparsable"
        return read_verdict(entry.reply, entry.finish_reason or "stop", self._rubric)


def hash_texts(texts: Sequence[str]) -> str:
    """What tells that two replies, talks or pairs are the same."""
    return hash_content(*texts)


def estimate(sources: Sequence[Path], options: JudgeOptions) -> Estimate:
    """Requests, tokens and cost of judging everything, without sending anything. Reads, and so checks, all sources."""
    rubric = read_rubric(options.rubric)
    task = JudgeTask(rubric, options)
    records = task.records(read_items(sources, rubric.judged, options.samples, options.seed))
    prompts = ((record["id"], task.render(record)) for record in records)
    return estimate_prompts(prompts, options.models, EXPECTED_TOKENS)


def judge(
    sources: Sequence[Path], out: Path, options: JudgeOptions, on_progress: OnProgress = lambda progress: None
) -> dict[str, Any]:
    """Judge what the ledger in `out` lacks, then write judged.jsonl and judged.json from it; returns the latter.

    Raises:
        EndpointError: the endpoint is down, refuses the key or knows no such model. What was answered before is kept.
        ValueError: a broken source or rubric (found before anything is sent), an endpoint elsewhere without `yes`, or
            a ledger of another version.
        OSError: another run is at work in `out`; a source or the local model is not there.
    """
    rubric = read_rubric(options.rubric)
    if not options.is_local:
        options.check_consent("what is judged")
    items = read_items(sources, rubric.judged, options.samples, options.seed)
    with working_in(out, "soulchat judge run"):
        ledger = Ledger(out / LEDGER_FILE)
        try:
            if options.retry:
                ledger.reopen_rejected()
            task = JudgeTask(rubric, options)
            records = list(task.records(items))
            ask = _ask_here if options.is_local else send_all
            try:
                ask(iter(records), len(records), ledger, task, options, on_progress)
            except BaseException:
                with suppress(OSError):  # on a full disk: what filled it is what the user is to hear of
                    _export(out, rubric, options, ledger, task, records)
                raise
            return _export(out, rubric, options, ledger, task, records)
        finally:
            ledger.close()


def _ask_here(
    records: Iterator[dict[str, Any]],
    total: int,
    ledger: Ledger,
    task: JudgeTask,
    options: JudgeOptions,
    on_progress: OnProgress,
) -> None:
    """`send_all` for a model of transformers on this machine, `concurrency` answers in one batch."""
    progress, missing = Progress(total), []
    for record in records:
        final = ledger.find_final(record["id"], task.content_hash(record))
        if final is None:
            missing.append(record)
        else:
            progress.done += 1
            progress.counts[final.reason or final.status] += 1
    on_progress(progress)
    if not missing:
        return
    model, tokenizer = load_model(options.model, options.device)
    temperature = options.temperature or 0.0
    decoding = Decoding(
        top_p=1.0,
        temperature=temperature or 1.0,
        max_new_tokens=options.max_tokens or LOCAL_TOKENS,
        do_sample=temperature > 0,
        seed=options.seed,
    )
    talks = [[Message(role="user", content=task.render(record))] for record in missing]
    ids = [record["id"] for record in missing]
    started = now()
    for index, reply in iterate_replies(model, tokenizer, talks, ids, decoding, options.concurrency):
        entry = Entry(
            ids[index], task.content_hash(missing[index]), task.version, options.model, "error", started=started
        )
        entry.seconds, entry.completion_tokens = now() - started, reply.num_tokens
        entry.finish_reason, entry.reply = "stop" if reply.finished else "length", reply.text
        entry.status, entry.reason = task.judge(entry)
        ledger.add(entry)
        progress.done += 1
        progress.counts[entry.reason or entry.status] += 1
        on_progress(progress)


def _export(
    out: Path,
    rubric: Rubric,
    options: JudgeOptions,
    ledger: Ledger,
    task: JudgeTask,
    records: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """The files beside the ledger, in the order of the sources."""
    asked, still_open = [], 0
    for record in records:
        entry = ledger.find_final(record["id"], task.content_hash(record))
        if entry is None:
            still_open += 1
            continue
        verdict, item = task.verdict(entry), record["item"]
        scores = verdict if isinstance(verdict, dict) else None
        if scores is not None and record["order"]:
            scores = rubric.turn_round(scores)
        asked.append(
            Asked(
                id=item.id,
                talk=item.talk,
                systems=list(item.systems),
                order=record["order"],
                repeat=record["repeat"],
                outcome="scored" if isinstance(verdict, dict) else verdict,
                scores=scores,
                model=entry.model,
                text=hash_texts(item.texts),
            )
        )
    write_lines(out / JUDGED_FILE, (row.model_dump() for row in asked))
    report = {
        "note": NOT_VALIDATED,
        "rubric": rubric.model_dump(mode="json"),
        "judge": {"model": options.model, "temperature": options.temperature, "is_local": options.is_local},
        "items": len({(*record["item"].systems, record["item"].id) for record in records}),
        "asked": len(records),
        "open": still_open,
        "outcomes": dict(Counter(row.outcome for row in asked).most_common()),
        "repeats": _describe_repeats(asked, rubric),
        "orders": _describe_orders(asked, rubric),
        **ledger.totals(),
    }
    write_json(out / REPORT_FILE, report)
    return report


def _describe_repeats(asked: Sequence[Asked], rubric: Rubric) -> dict[str, Any]:
    """How far the judge agrees with itself, by aspect: over items that got two or more scores in the same order."""
    groups: dict[tuple, list[dict[str, int]]] = {}
    for row in asked:
        if row.scores is not None:
            groups.setdefault((*row.systems, row.id, row.order), []).append(row.scores)
    several = [scores for scores in groups.values() if len(scores) > 1]
    if not several:
        return {}
    told = {}
    for aspect in rubric.aspects:
        points = [[score[aspect.name] for score in scores] for scores in several]
        pairs = [one == other for scores in points for one, other in combinations(scores, 2)]
        counts = [[scores.count(point) for point in aspect.values] for scores in points]
        alpha = krippendorff_alpha(np.array(counts))
        told[aspect.name] = {
            "items": len(several),
            "same": sum(pairs) / len(pairs),
            "alpha": None if np.isnan(alpha) else alpha,
        }
    return told


def _describe_orders(asked: Sequence[Asked], rubric: Rubric) -> dict[str, Any]:
    """Of pairs judged in both orders: how many decisions follow the order, that is, favour the same place twice."""
    scores = {(*row.systems, row.id, row.repeat, row.order): row.scores for row in asked if row.scores is not None}
    both = [(one, scores[*key[:-1], 1]) for key, one in scores.items() if key[-1] == 0 and (*key[:-1], 1) in scores]
    compared = partial(_describe_order, both)
    return {aspect.name: compared(aspect) for aspect in rubric.aspects if both and rubric.is_comparison(aspect)}


def _describe_order(both: Sequence[tuple[dict[str, int], dict[str, int]]], aspect: Aspect) -> dict[str, Any]:
    # Scores are told as if the first had always been shown first: another sign is the same place.
    products = [one[aspect.name] * other[aspect.name] for one, other in both]
    follows = sum(product < 0 for product in products)
    interval = wilson_interval(np.array(follows), np.array(len(both)))
    return {
        "pairs": len(both),
        "follows_order": follows / len(both),
        "interval": [float(interval.low), float(interval.high)],
        "decided_alike": sum(product > 0 for product in products) / len(both),
    }
