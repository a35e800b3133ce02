"""The rules of the cleaning, and the datatrove `PipelineStep`s around them, over documents that carry a record.

A rule looks at `Document.text`, the passages of the record joined by newlines. What is dropped flows on, marked, so
that the last step writes kept and dropped records and the counts of every reason in one place.
"""

import re
import tomllib
import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import orjson
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from ..care.crisis import find_crisis_in_each
from ..care.privacy import PrivateSpan, find_private, find_private_in_each, mask_spans
from ..clients import FACTS
from ..files import replacing, to_line, write_json
from ..sieve import RuleIndex
from .options import CleanOptions
from .records import Record, passages, read_pipeline_records, set_passages
from .topics import find_topics_by_words

PHRASES = ("refusal", "advertisement", "special")
COPIED_MESSAGES = 0.3  # share of a record's messages that are copies of earlier ones
COMPRESSED = 0.12  # of the bytes; ordinary dialogues stay above 0.3
LEAST_BYTES = 600
TAIL, VARIED = 300, 60  # an end of so many characters, more of them different, is not one phrase over and over
AT_ONCE = 64  # documents that are looked at together
_OTHER_SCRIPT = re.compile("[{scripts}][{scripts}]{{2}}".format(scripts=r"ぁ-ヺ가-힣а-яА-Я\u0e00-\u0e7f\u0600-\u06ff"))


@dataclass(slots=True, frozen=True)
class Finding:
    """What a rule found: by its name in the options, why, and where in the document's text (start = end = 0: all)."""

    step: str
    reason: str
    start: int = 0
    end: int = 0


Rule = Callable[[Document, CleanOptions], Iterable[Finding]]
# The same for many documents at once: what it finds in each.
BatchRule = Callable[[Sequence[Document], CleanOptions], Iterable[Iterable[Finding]]]


def find_length(document: Document, options: CleanOptions) -> Iterator[Finding]:
    """Too few or too many characters."""
    if len(document.text) < options.min_characters:
        yield Finding("length", "too_short")
    elif len(document.text) > options.max_characters:
        yield Finding("length", "too_long")


def find_language(document: Document, options: CleanOptions) -> Iterator[Finding]:
    """Another language than the corpus's, told by its script."""
    if options.language == "any":
        return
    # A Chinese character has three bytes in UTF-8 and a Latin letter one, so bytes tell the share of each.
    text = document.text
    wide = (len(text.encode(errors="replace")) - len(text)) / (2 * max(1, len(text)))
    wanted = wide >= 0.5 if options.language == "zh" else wide < 0.1
    if not wanted or _OTHER_SCRIPT.search(text):
        yield Finding("language", f"not_{options.language}")


def find_repetition(document: Document, options: CleanOptions) -> Iterator[Finding]:
    """Messages said again and again, or a text that is one phrase over and over."""
    texts = [text for _, text in passages(document.metadata["record"])]
    if len(texts) > 3 and 1 - len(set(texts)) / len(texts) > COPIED_MESSAGES:
        yield Finding("repetition", "same_messages")
    elif len(set(document.text[-TAIL:])) <= VARIED:
        data = document.text.encode(errors="replace")
        if len(data) >= LEAST_BYTES and len(zlib.compress(data, 1)) < COMPRESSED * len(data):
            yield Finding("repetition", "same_phrases")


class ExactDuplicates:
    """A text that another record had before."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def __call__(self, document: Document, options: CleanOptions) -> Iterator[Finding]:
        digest = _digest(document.text)
        if digest in self._seen:
            yield Finding("exact_duplicate", "same_text")
        self._seen.add(digest)


def find_private_details(documents: Sequence[Document], options: CleanOptions) -> Iterator[list[Finding]]:
    """Private details, masked where the options say so; none reaches over the end of a passage."""
    found = find_private_in_each([document.text for document in documents], options.recogniser)
    for document, spans in zip(documents, found, strict=True):
        yield _mask(document, spans, options)


def _mask(document: Document, spans: list[PrivateSpan], options: CleanOptions) -> list[Finding]:
    findings = [Finding("privacy", span.kind, span.start, span.end) for span in spans]
    if spans and options.action("privacy") == "mask":
        record = document.metadata["record"]
        masked, start = [], 0
        for _, text in passages(record):
            inside = [span for span in spans if start <= span.start < start + len(text)]
            masked.append(mask_spans(text, [span.shifted(-start) for span in inside]))
            start += len(text) + 1
        set_passages(record, masked)
        document.text = "\n".join(masked)
    return [*findings, *_find_private_in_client(document.metadata["record"], options)]


def _find_private_in_client(record: Record, options: CleanOptions) -> Iterator[Finding]:
    """The same in what is stated of the client in words."""
    client = record.get("client", {})
    for name in (*FACTS, "about"):
        spans = find_private(client[name], options.recogniser) if name in client else []
        yield from (Finding("privacy", span.kind) for span in spans)
        if spans and options.action("privacy") == "mask":
            client[name] = mask_spans(client[name], spans)


def find_phrases(documents: Sequence[Document], options: CleanOptions) -> Iterator[Iterator[Finding]]:
    """The paper's special strings, advertisement, and a model speaking as a model: the phrases of phrases.toml."""
    steps = tuple(step for step in PHRASES if options.action(step) != "off")
    in_each = _load_phrases(steps).find_in_each([document.text for document in documents])
    for document, found in zip(documents, in_each, strict=True):
        yield _phrases(document.metadata["record"], ((steps[number], match) for number, match in found))


def _phrases(record: Record, found: Iterable[tuple[str, re.Match[str]]]) -> Iterator[Finding]:
    for step, match in found:
        # A refusal is the counsellor's: a user may well say that he cannot answer a question.
        if step == "refusal" and passages(record)[_find_passage(record, match.start())[0]][0] == "user":
            continue
        yield Finding(step, match[0], *match.span())


@cache
def _load_phrases(steps: tuple[str, ...]) -> RuleIndex:
    data = tomllib.loads(files("soulchatcorpus.making").joinpath("phrases.toml").read_text(encoding="utf-8"))
    return RuleIndex([data[step] for step in steps])


def find_crisis_content(documents: Sequence[Document], options: CleanOptions) -> Iterator[list[Finding]]:
    """What `soulchatcorpus.care.crisis` finds: in any case a label that a deployer can filter on."""
    in_each = find_crisis_in_each([document.text for document in documents])
    for document, found in zip(documents, in_each, strict=True):
        if not found:
            yield []
            continue
        document.metadata["record"].setdefault("labels", {})["crisis"] = found.category
        spans = found.spans if options.action("crisis") == "flag" else [(0, 0)]
        yield [Finding("crisis", found.category, *span) for span in spans]


def _one_by_one(rule: Rule) -> BatchRule:
    return lambda documents, options: (rule(document, options) for document in documents)


class ApplyRules(PipelineStep):
    """Finds what is not off and does with it what the options say; what is dropped is looked at no more."""

    type, name = "CLEAN", "rules"

    def __init__(self, options: CleanOptions) -> None:
        super().__init__()
        self.options = options
        rules: list[tuple[BatchRule, tuple[str, ...]]] = [
            (_one_by_one(find_length), ("length",)),
            (_one_by_one(find_language), ("language",)),
            (_one_by_one(find_repetition), ("repetition",)),
            (_one_by_one(ExactDuplicates()), ("exact_duplicate",)),
            (find_private_details, ("privacy",)),
            (find_phrases, PHRASES),
            (find_crisis_content, ("crisis",)),
        ]
        self.rules = [rule for rule, steps in rules if any(options.action(step) != "off" for step in steps)]

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        for batch in _batches(data):
            for rule in self.rules:
                going_on = [document for document in batch if "dropped" not in document.metadata]
                for document, findings in zip(going_on, rule(going_on, self.options), strict=True):
                    for finding in findings:
                        self._act(document, finding)
            yield from batch

    def _act(self, document: Document, finding: Finding) -> None:
        action = self.options.action(finding.step)
        document.metadata["counts"].append((finding.step, finding.reason, action))
        record = document.metadata["record"]
        if action == "drop":
            document.metadata.setdefault("dropped", (finding.step, finding.reason))
        elif action == "label":
            record.setdefault("labels", {})[finding.step] = finding.reason
        elif action == "flag":
            flag: dict[str, Any] = {"step": finding.step, "reason": finding.reason}
            if finding.end:
                passage, start = _find_passage(record, finding.start)
                flag |= {"passage": passage, "start": start, "end": start + finding.end - finding.start}
            record.setdefault("flags", []).append(flag)


def _batches(data: DocumentsPipeline) -> Iterator[list[Document]]:
    documents = iter(data)
    while batch := list(islice(documents, AT_ONCE)):
        yield batch


def _find_passage(record: Record, position: int) -> tuple[int, int]:
    """The number of the passage at a position of the document's text, and the position in that passage."""
    starts = list(accumulate((len(text) + 1 for _, text in passages(record)), initial=0))
    passage = bisect_right(starts, position) - 1
    return passage, position - starts[passage]


class ReadSource(PipelineStep):
    """Documents of a record file. With several tasks, equal texts always go to the same one."""

    type, name = "READ", "records"

    def __init__(self, path: Path, unknown_topics: str) -> None:
        super().__init__()
        self.path, self.unknown_topics = path, unknown_topics

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        for record in read_pipeline_records(self.path, self.unknown_topics):
            document = _document(record)
            if world_size == 1 or int.from_bytes(_digest(document.text), "big") % world_size == rank:
                yield document


class ReadParts(PipelineStep):
    """The documents that an earlier pipeline kept, part by part."""

    type, name = "READ", "parts"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        with (self.folder / f"kept-{rank:05d}.jsonl").open("rb") as lines:
            for line in lines:
                yield _document(orjson.loads(line))


def _document(record: Record) -> Document:
    text = "\n".join(text for _, text in passages(record))
    return Document(text=text, id=record["id"], metadata={"record": record, "counts": []})


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


class WriteParts(PipelineStep):
    """Kept and dropped records and the counts of one task."""

    type, name = "WRITE", "parts"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        counts: Counter[tuple[str, str, str]] = Counter()
        with (
            replacing(self.folder / f"kept-{rank:05d}.jsonl") as kept,
            replacing(self.folder / f"dropped-{rank:05d}.jsonl") as dropped,
        ):
            for document in data:
                counts.update(document.metadata["counts"])
                record = document.metadata["record"]
                if "dropped" in document.metadata:
                    step, reason = document.metadata["dropped"]
                    told = {"id": record["id"], "step": step, "reason": reason, "record": record}
                    dropped.write(to_line(told))
                else:
                    kept.write(to_line(record))
                yield document
        write_json(self.folder / f"counts-{rank:05d}.json", [[*key, number] for key, number in counts.items()])


class Topic(PipelineStep):
    """A topic for records without one: the model's answer where there is one, else by words."""

    type, name = "LABEL", "topic"

    def __init__(self, asked: Mapping[str, str]) -> None:
        super().__init__()
        self.asked = dict(asked)

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        for batch in _batches(data):
            open_ones = [document for document in batch if not document.metadata["record"].get("topic")]
            by_words = find_topics_by_words([document.metadata["record"] for document in open_ones])
            for document, of_words in zip(open_ones, by_words, strict=True):
                record = document.metadata["record"]
                record["topic"] = self.asked.get(record["id"]) or of_words
                source = "model" if record["id"] in self.asked else "words"
                document.metadata["counts"].append(("topic", record["topic"] or "none", source))
            yield from batch
