"""What two corpora share, and what does not belong into one: counts, and the ids to look at.

SMILECHAT, the SoulChat release and other corpora stem from the same questions (PsyQA), so a model that was trained on
one may have seen the test items of another. Compared are openings (the first message), questions (all that the user
says) and whole dialogues: exactly, white space aside, and nearly (`sketch.find_near`). In each corpus by itself are
counted system texts, another speaker's line inside a message, and what a rewriting left behind.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from ..files import show, working_in, write_json, write_lines, write_text
from ..load import check_dataset_name, load_splits
from ..reading.corpus import Report, read_tables
from ..reading.json_stream import CorpusError
from ..reading.roles import COUNSELLOR_NAMES, USER_NAMES
from ..sketch import NEAR, find_near, sketch, squeeze
from ..tables import CONVERSATION_SCHEMA, Messages

# What of a conversation is compared -> one in how many runs of it is looked at.
PARTS = {"opening": 1, "question": 1, "dialogue": 8}
READ_ROWS = 2000
EMBEDDED = "soulchatcorpus"

_CHINESE_NAMES = "|".join(name for name in (*USER_NAMES, *COUNSELLOR_NAMES) if not name.isascii())
# Kind -> a message of this form (RE2, which Arrow matches with). Names of speakers as `reading.roles` lists them.
FINDINGS = {
    "speaker_inside": rf"(?:{_CHINESE_NAMES})\s*[:：]|(?:^|\n)\s*(?i:human|user|assistant|client|counsell?or)\s*[:：]",
    "note": r"温馨提[示醒]|【注】|(?:^|\n)\s*(?:[（(]?(?:注|备注|说明)[:：]|以上(?:是|就是|为)?(?:对话|改写|内容))",
    "end_mark": r"[(（【\[]\s*(?:全文)?(?:完|结束|对话完|对话结束|剧终|(?i:end))\s*[)）】\]]\s*$",
    "control_token": r"<\|[a-z_]{1,20}\|>|</s>|\[/?INST\]|</?think>",
    "json_punctuation": r'^\s*[\[{]\s*"|"\s*[,}\]]+\s*$|^\s*"?(?:role|content)"?\s*:',
}


@dataclass(slots=True)
class Corpus:
    """A corpus as it is compared.

    Attributes:
        name: the file, or the name for `load_dataset`.
        rejected: how many records could not be read.
        ids: of the conversations [C].
        digests: part -> uint64 [C], equal where the texts are.
        sketches: part -> uint32 [C, HASHES].
        system_texts: how many conversations begin with one; and how many texts those are.
        findings: kind -> the ids of the conversations that have it.
    """

    name: str
    rejected: int = 0
    ids: list[str] = field(default_factory=list)
    digests: dict[str, np.ndarray] = field(default_factory=dict)
    sketches: dict[str, np.ndarray] = field(default_factory=dict)
    system_texts: tuple[int, int] = (0, 0)
    findings: dict[str, list[str]] = field(default_factory=dict)


def audit(
    sources: Sequence[str],
    test: str | None = None,
    out: Path | None = None,
    show_progress: Callable[[str, int], None] = lambda name, read: None,
    render: Callable[[dict[str, Any]], str] | None = None,
) -> dict[str, Any]:
    """Audit corpora by themselves and in pairs; counts, and the ids by kind.

    Args:
        sources: files or folders in any known format, or names for `load_dataset`, of which all splits are taken.
        test: a benchmark, of which the split `test` is taken (all of it where it has no such split): its items are
            looked for in every source.
        out: where audit.json and a JSON lines file of ids for each pair go.
        show_progress: is given the corpus's name and how many conversations of it were read.
        render: makes audit.md, in `out`, of what is returned.

    Raises:
        ValueError: a source is no corpus, or there is none.
        OSError: there is no such file; another run is at work in `out`.
    """
    if not sources:
        raise ValueError("the sources are none; allowed: one corpus or more")
    with working_in(out, "soulchat corpus audit") if out else nullcontext():
        found, shared = _audit(sources, test, show_progress)
        if out is not None:
            for earlier in out.glob("shared-*.jsonl"):
                earlier.unlink()
            for number, rows in enumerate(shared, start=1):
                write_lines(out / f"shared-{number}.jsonl", rows)
            write_json(out / "audit.json", found)
            if render is not None:
                write_text(out / "audit.md", render(found))
    return found


def _audit(
    sources: Sequence[str], test: str | None, show_progress: Callable[[str, int], None]
) -> tuple[dict[str, Any], list[list[dict[str, Any]]]]:
    """What is found, and the rows that each pair shares."""
    corpora = [_collect(name, show_progress) for name in sources]
    items = None if test is None else _collect(test, show_progress, only="test")
    pairs = [(corpora[i], corpora[j]) for i in range(len(corpora)) for j in range(i + 1, len(corpora))]
    pairs += [] if items is None else [(items, corpus) for corpus in corpora]
    compared = [_compare(one, other) for one, other in pairs]
    found: dict[str, Any] = {
        "corpora": [_describe(corpus) for corpus in [*corpora, *([] if items is None else [items])]],
        "pairs": [{name: value for name, value in pair.items() if name != "rows"} for pair in compared],
        "near": NEAR,
    }
    return found, [pair["rows"] for pair in compared]


# What is looked at of a conversation; other people's corpora have no more.
_COMPARED = pa.schema([CONVERSATION_SCHEMA.field(name) for name in ("id", "messages")])


def _read(name: str, report: Report, only: str | None) -> Iterator[pa.Table]:
    """Tables of config `conversations`. Our own name is the embedded sample's, even where a folder is so called."""
    if Path(name).exists() and name != EMBEDDED:
        if only is not None and Path(name).is_dir() and (Path(name) / f"{only}.jsonl").is_file():
            name = str(Path(name) / f"{only}.jsonl")
        yield from read_tables(name, None, "skip", report)
        return
    check_dataset_name(name)
    splits = load_splits(name, "conversations")
    chosen = [only] if only in splits else list(splits)
    for split in chosen:
        for table in splits[split].with_format("arrow").iter(batch_size=READ_ROWS):
            yield table.select(_COMPARED.names).cast(_COMPARED)


def _collect(name: str, show_progress: Callable[[str, int], None], only: str | None = None) -> Corpus:
    report = Report()
    corpus = Corpus(show(name) + (f" ({only})" if only else ""), findings={kind: [] for kind in FINDINGS})
    digests: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    sketches: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    texts_of_system: set[int] = set()
    with_system = 0
    for table in _read(name, report, only):
        for start in range(0, len(table), READ_ROWS):
            rows = table.slice(start, READ_ROWS)
            ids = rows["id"].to_pylist()
            messages = Messages.of(rows["messages"].combine_chunks())
            for kind, pattern in FINDINGS.items():
                corpus.findings[kind] += [ids[place] for place in _find(messages, pattern)]
            system = messages.content.take(pa.array(messages.offsets[:-1][messages.has_system])).to_pylist()
            with_system += len(system)
            texts_of_system.update(map(xxhash.xxh3_64_intdigest, system))
            for part, texts in _parts(messages).items():
                digests[part].append(np.array(list(map(_digest, texts)), np.uint64))
                sketches[part].append(sketch(texts, PARTS[part]))
            corpus.ids += ids
            show_progress(corpus.name, len(corpus.ids))
    if not corpus.ids:
        raise CorpusError(f"{corpus.name} has no conversation; allowed: a corpus with at least one")
    corpus.digests = {part: np.concatenate(found) for part, found in digests.items()}
    corpus.sketches = {part: np.concatenate(found) for part, found in sketches.items()}
    corpus.rejected = report.rejected
    corpus.system_texts = (with_system, len(texts_of_system))
    return corpus


def _find(messages: Messages, pattern: str) -> np.ndarray:
    """The numbers of the conversations in which a message has the form."""
    matches = pc.match_substring_regex(messages.content, pattern).to_numpy(zero_copy_only=False)
    places = np.flatnonzero(matches & (messages.is_user | messages.is_counsellor))
    return np.unique(np.searchsorted(messages.offsets, places, side="right") - 1)


def _parts(messages: Messages) -> dict[str, list[str]]:
    """Opening, question and dialogue of each conversation, without white space."""
    said = list(map(squeeze, messages.content.to_pylist()))
    starts, ends = messages.openings.tolist(), messages.offsets[1:].tolist()
    is_user = messages.is_user.tolist()
    return {
        "opening": [said[start] if start < end else "" for start, end in zip(starts, ends, strict=True)],
        "question": [
            "".join(said[place] for place in range(start, end) if is_user[place])
            for start, end in zip(starts, ends, strict=True)
        ],
        "dialogue": ["".join(said[start:end]) for start, end in zip(starts, ends, strict=True)],
    }


def _digest(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode(errors="surrogatepass"))


def _describe(corpus: Corpus) -> dict[str, Any]:
    """The counts of one corpus, and the ids of what was found."""
    with_system, texts = corpus.system_texts
    return {
        "name": corpus.name,
        "conversations": len(corpus.ids),
        "rejected": corpus.rejected,
        "system_texts": {"conversations": with_system, "different": texts},
        "repeated": {part: len(corpus.ids) - len(np.unique(digests)) for part, digests in corpus.digests.items()},
        "findings": {kind: {"conversations": len(ids), "ids": ids} for kind, ids in corpus.findings.items()},
    }


def _compare(one: Corpus, other: Corpus) -> dict[str, Any]:
    """How many of `one`'s parts `other` has, and a row for each; a whole dialogue counts as its opening, too."""
    rows: list[dict[str, Any]] = []
    counts: dict[str, dict[str, int]] = {}
    for part in PARTS:
        place_of = dict(zip(other.digests[part].tolist(), range(len(other.ids)), strict=True))
        exact = np.array([place_of.get(digest, -1) for digest in one.digests[part].tolist()], np.int64)
        open_ones = np.flatnonzero(exact < 0)
        near, share = find_near(one.sketches[part][open_ones], other.sketches[part])
        counts[part] = {"exact": int((exact >= 0).sum()), "near": int((near >= 0).sum())}
        rows += [_row(part, one, int(i), other, int(exact[i]), 1.0) for i in np.flatnonzero(exact >= 0)]
        rows += [
            _row(part, one, int(open_ones[i]), other, int(near[i]), float(share[i])) for i in np.flatnonzero(near >= 0)
        ]
    return {"one": one.name, "other": other.name, "conversations": len(one.ids), "shared": counts, "rows": rows}


def _row(part: str, one: Corpus, i: int, other: Corpus, j: int, share: float) -> dict[str, Any]:
    return {"part": part, "one": one.ids[i], "other": other.ids[j], "similarity": round(share, 3)}
