"""A style card out of some of a counsellor's cases, by a model; a person reads and edits it.

    soulchat corpus style cases.jsonl --out style.yaml --base-url http://127.0.0.1:8000/v1 --model NAME

The idea of a counsellor's digital twin is that of PsyDT (ACL 2025); its prompts are not published, these are our own.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from ..care.privacy import mask_private
from ..dialogue import render_line
from ..files import check_new, working_in
from .ledger import Entry, Ledger
from .options import StyleOptions
from .records import Record, find_file, kind_of, read_pipeline_records, said
from .requests import Progress, hash_content, send_all
from .style_card import StyleCard, write_style

MOST_CASES = 20
WORK = "soulchat corpus style"


def read_cases(path: Path) -> list[Record]:
    """The cases of a counsellor, 1 to `MOST_CASES`: conversation records with `consent: true`.

    Raises:
        OSError: the file is not there.
        ValueError: too many, no conversations, or a case without consent.
    """
    file = find_file(path)
    if kind_of(file) != "conversations":
        raise ValueError(f"{file} holds questions with answers; allowed: cases, that is conversations")
    cases = list(read_pipeline_records(file))
    if len(cases) > MOST_CASES:
        raise ValueError(f"{file} holds {len(cases)} cases; allowed: 1 to {MOST_CASES}")
    for case in cases:
        if case.get("consent") is not True:
            raise ValueError(
                f"{file}: consent of case {case['id']!r} is {case.get('consent')!r}; allowed: true, said by both "
                "counsellor and client, since their words are read by a model and their manner is imitated"
            )
    return cases


def render_case(case: Record, unmasked: bool = False) -> str:
    """A case as a dialogue, private details masked, unless they are to be sent as they are."""
    text = "\n".join(map(render_line, said(case)))
    return text if unmasked else mask_private(text)


def make_style(
    source: Path,
    out: Path,
    options: StyleOptions,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> StyleCard | None:
    """Ask a model for the style in the cases of `source`, and write it to `out`; None where `max_cost` stopped it.

    The requests stand in a ledger beside `out`; run again, what was answered is not asked, nor paid, again.

    Raises:
        ValueError: bad cases; an endpoint elsewhere without `yes`; an answer that is no style card.
        OSError: `out` is there: a person may have edited it.
    """
    cases = read_cases(source)
    options.check_consent("cases of a counsellor")
    task = _StyleTask(cases, options.counsellor or out.stem, options.send_unmasked)
    folder = out.with_name(f"{out.name}.requests")
    with working_in(folder, WORK):
        check_new(out, "a new file, since a card is edited by people")
        ledger = Ledger(folder / "ledger.sqlite")
        try:
            ledger.reopen_rejected()  # who runs it again wants another answer
            send_all(iter([task.record]), 1, ledger, task, options, on_progress)
            entry = ledger.find_final(task.record["id"], task.content_hash(task.record))
        finally:
            ledger.close()
    if entry is None:
        return None
    card = task.read(entry.reply or "")
    write_style(out, card)
    return card


class _StyleTask:
    """Asks for the style in some cases; lengths are measured and not asked for."""

    def __init__(self, cases: Sequence[Record], counsellor: str, unmasked: bool) -> None:
        self._text = files("soulchatcorpus.making").joinpath("prompts/style.txt").read_text(encoding="utf-8").strip()
        self._cases = "\n\n".join(
            f"【案例 {number}】\n{render_case(case, unmasked)}" for number, case in enumerate(cases, 1)
        )
        replies = [m["content"] for case in cases for m in case["messages"] if m["role"] == "assistant"]
        if not replies:
            raise ValueError("the cases hold no words of the counsellor; allowed: conversations with replies")
        self._measured = {"counsellor": counsellor, "characters": max(1, round(sum(map(len, replies)) / len(replies)))}
        self.record: Record = {"id": counsellor}
        self.settings: Mapping[str, Any] = {}
        self.version = f"style@{sha256(self._text.encode()).hexdigest()[:8]}"

    def render(self, record: Record) -> str:
        return self._text.replace("{cases}", self._cases)

    def content_hash(self, record: Record) -> str:
        return hash_content(self.version, self._cases)

    def judge(self, entry: Entry) -> tuple[str, str | None]:
        try:
            self.read(entry.reply or "")
        except ValueError:
            return "rejected", "no_style_card"
        return "accepted", None

    def read(self, reply: str) -> StyleCard:
        """The card in a reply. Raises ValueError where there is none."""
        start, end = reply.find("{"), reply.rfind("}")
        try:
            fields = orjson.loads(reply[start : end + 1]) if start >= 0 else None
        except orjson.JSONDecodeError:
            fields = None
        if not isinstance(fields, dict):
            raise ValueError("the model's answer holds no JSON object; allowed: one with the parts of a style card")
        try:
            return StyleCard(**{str(key): value for key, value in fields.items()} | self._measured)
        except ValueError as error:
            raise ValueError(f"the model's answer is no style card: {error}") from None
