"""The steps of the cleaning, each a datatrove `PipelineStep` over documents that carry a record.

A step looks at `Document.text`, the passages of the record joined by newlines. What is dropped flows on, marked, so
that the last step writes kept and dropped records and the counts of every reason in one place.
"""

import re
import tomllib
import zlib
from abc import abstractmethod
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from itertools import accumulate
from pathlib import Path
from typing import Any

import orjson
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from ..care.crisis import find_crisis
from ..care.privacy import find_private, mask_spans
from ..files import replacing, to_line, write_json
from ..patterns import first_character_index
from .options import CleanOptions
from .records import Record, passages, read_pipeline_records, set_passages
from .topics import find_topic_by_words


@dataclass(slots=True, frozen=True)
class Finding:
    """What a step found: which step, why, and where in the document's text (start = end = 0: all of it)."""

    step: str
    reason: str
    start: int = 0
    end: int = 0


class CleaningStep(PipelineStep):
    """A step that finds things in a document and does with them what the options say.

    Attributes:
        steps: by what names the options know it.
        actions: what is done with what each of these finds; those that are off are not in it.
    """

    type = "CLEAN"
    steps: tuple[str, ...]

    def __init__(self, options: CleanOptions) -> None:
        super().__init__()
        self.options = options
        self.actions = {step: options.action(step) for step in self.steps if options.action(step) != "off"}

    @abstractmethod
    def find(self, document: Document) -> list[Finding]:
        """Everything found in a document that is not dropped."""

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        """Pass every document on, with what was found written into it."""
        for document in data:
            if "dropped" not in document.metadata:
                for finding in self.find(document):
                    self._act(document, finding)
            yield document

    def _act(self, document: Document, finding: Finding) -> None:
        action = self.actions[finding.step]
        document.metadata["counts"].append((finding.step, finding.reason, action))
        record = document.metadata["record"]
        if action == "drop":
            document.metadata.setdefault("dropped", (finding.step, finding.reason))
        elif action == "label":
            record.setdefault("labels", {})[finding.step] = finding.reason
        elif action == "flag":
            record.setdefault("flags", []).append(_flag(record, finding))


def _flag(record: Record, finding: Finding) -> dict[str, Any]:
    """A finding as it stands in a record: the passage it is in, and its place there."""
    flag: dict[str, Any] = {"step": finding.step, "reason": finding.reason}
    if finding.end:
        starts = list(accumulate((len(text) + 1 for _, text in passages(record)), initial=0))
        passage = bisect_right(starts, finding.start) - 1
        flag |= {"passage": passage, "start": finding.start - starts[passage], "end": finding.end - starts[passage]}
    return flag


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


class Length(CleaningStep):
    """Records of too few or too many characters."""

    name = "length"
    steps = ("length",)

    def find(self, document: Document) -> list[Finding]:
        if len(document.text) < self.options.min_characters:
            return [Finding("length", "too_short")]
        return [Finding("length", "too_long")] if len(document.text) > self.options.max_characters else []


class Language(CleaningStep):
    """Records of another language than the corpus's, told by their scripts."""

    name = "language"
    steps = ("language",)
    _other = re.compile("[{scripts}][{scripts}]{{2}}".format(scripts=r"ぁ-ヺ가-힣а-яА-Я\u0e00-\u0e7f\u0600-\u06ff"))

    def find(self, document: Document) -> list[Finding]:
        if self.options.language == "any":
            return []
        # A Chinese character has three bytes in UTF-8 and a Latin letter one, so bytes tell the share of each.
        text = document.text
        wide = (len(text.encode(errors="replace")) - len(text)) / (2 * max(1, len(text)))
        wanted = wide >= 0.5 if self.options.language == "zh" else wide < 0.1
        return [] if wanted and not self._other.search(text) else [Finding("language", f"not_{self.options.language}")]


class Repetition(CleaningStep):
    """Messages said again and again, or a text that is one phrase over and over."""

    name = "repetition"
    steps = ("repetition",)
    SHARE = 0.3  # of the messages being copies of earlier ones
    COMPRESSED = 0.12  # of the bytes; ordinary dialogues stay above 0.3
    LEAST_BYTES = 600
    TAIL, VARIED = 300, 60  # an end of so many characters, more of them different, is not one phrase over and over

    def find(self, document: Document) -> list[Finding]:
        texts = [text for _, text in passages(document.metadata["record"])]
        if len(texts) > 3 and 1 - len(set(texts)) / len(texts) > self.SHARE:
            return [Finding("repetition", "same_messages")]
        if len(set(document.text[-self.TAIL :])) > self.VARIED:
            return []
        data = document.text.encode(errors="replace")
        if len(data) >= self.LEAST_BYTES and len(zlib.compress(data, 1)) < self.COMPRESSED * len(data):
            return [Finding("repetition", "same_phrases")]
        return []


class Phrases(CleaningStep):
    """The paper's special strings, advertisement, and a model speaking as a model: the phrases of phrases.toml."""

    name = "phrases"
    steps = ("refusal", "advertisement", "special")

    def find(self, document: Document) -> list[Finding]:
        pattern, groups = _load_phrases(tuple(self.actions))
        return [
            Finding(groups[(match.lastindex or 0) - 1], match[0], *match.span())
            for match in pattern.finditer(document.text)
        ]

    def _act(self, document: Document, finding: Finding) -> None:
        # A refusal is the counsellor's: a user may well say that he cannot answer a question.
        if finding.step == "refusal":
            flag = _flag(document.metadata["record"], finding)
            if passages(document.metadata["record"])[flag["passage"]][0] == "user":
                return
        super()._act(document, finding)


@cache
def _load_phrases(steps: tuple[str, ...]) -> tuple[re.Pattern[str], list[str]]:
    data = tomllib.loads(files("soulchatcorpus.making").joinpath("phrases.toml").read_text(encoding="utf-8"))
    pattern, index = first_character_index([data[step] for step in steps])
    return pattern, [steps[number] for number in index]


class Privacy(CleaningStep):
    """Private details: masked, or flagged for a person."""

    name = "privacy"
    steps = ("privacy",)

    def find(self, document: Document) -> list[Finding]:
        """Looks at each passage by itself: what a rule reaches over stays with who said it."""
        findings, masked, start = [], [], 0
        record = document.metadata["record"]
        for _, text in passages(record):
            spans = find_private(text, self.options.recogniser)
            findings += [Finding("privacy", span.kind, start + span.start, start + span.end) for span in spans]
            masked.append(mask_spans(text, spans))
            start += len(text) + 1
        if findings and self.actions["privacy"] == "mask":
            set_passages(record, masked)
            document.text = "\n".join(masked)
        return findings


class Crisis(CleaningStep):
    """What `soulchatcorpus.care.crisis` finds: by default a label that a deployer can filter on."""

    name = "crisis"
    steps = ("crisis",)

    def find(self, document: Document) -> list[Finding]:
        found = find_crisis(document.text)
        if found is None:
            return []
        spans = found.spans if self.actions["crisis"] == "flag" else [(0, 0)]
        document.metadata["record"].setdefault("labels", {})["crisis"] = found.category
        return [Finding("crisis", found.category, *span) for span in spans]


class ExactDuplicates(CleaningStep):
    """Records whose text another had before."""

    name = "exact_duplicate"
    steps = ("exact_duplicate",)

    def __init__(self, options: CleanOptions) -> None:
        super().__init__(options)
        self._seen: set[bytes] = set()

    def find(self, document: Document) -> list[Finding]:
        digest = _digest(document.text)
        if digest in self._seen:
            return [Finding("exact_duplicate", "same_text")]
        self._seen.add(digest)
        return []


class Topic(PipelineStep):
    """A topic for records without one: the model's answer where there is one, else by words."""

    type, name = "LABEL", "topic"

    def __init__(self, asked: Mapping[str, str]) -> None:
        super().__init__()
        self.asked = dict(asked)

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        for document in data:
            record = document.metadata["record"]
            if not record.get("topic"):
                topic = self.asked.get(record["id"]) or find_topic_by_words(record)
                source = "model" if record["id"] in self.asked else "words"
                record["topic"] = topic
                document.metadata["counts"].append(("topic", topic or "none", source))
            yield document


CLEANING_STEPS = (Length, Language, Repetition, ExactDuplicates, Privacy, Phrases, Crisis)  # in this order
