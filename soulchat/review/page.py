"""The proofreading's web page: one record at a time, flagged spans marked, keep / edit / remove by button or key."""

from html import escape
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import gradio as gr

from soulchatcorpus.care.crisis import find_crisis
from soulchatcorpus.dialogue import parse, render_line
from soulchatcorpus.making.records import Record, passages, set_passages
from soulchatcorpus.making.review import Decision, Item, ReviewStore
from soulchatcorpus.schema import Message

from ..web.launch import Page, QuietBlocks

REASONS = (
    "private detail",
    "harmful",
    "not a dialogue",
    "wrong or unsafe advice",
    "advertisement",
    "poor language",
    "other",
)
_ROLES = {"user": "用户", "assistant": "心理咨询师"}


def render_record(record: Record) -> str:
    """A record as HTML: each passage under its role, flagged spans in <mark> with their reason; all text escaped."""
    spans: dict[int, list[dict]] = {}
    for flag in record.get("flags") or []:
        if "passage" in flag:
            spans.setdefault(flag["passage"], []).append(flag)
    whole = [f"{flag['step']}: {flag['reason']}" for flag in record.get("flags") or [] if "passage" not in flag]
    whole += [f"{name}: {value}" for name, value in (record.get("labels") or {}).items()]
    parts = [f"<p><b>{escape(record['id'])}</b> {escape('; '.join(whole))} {escape(record.get('topic') or '')}</p>"]
    for number, (role, text) in enumerate(passages(record)):
        body = _mark(text, spans.get(number, []))
        parts.append(f'<div class="passage {role}"><b>{_ROLES[role]}：</b>{body}</div>')
    return "".join(parts)


def _mark(text: str, flags: list[dict]) -> str:
    """`text` escaped, with every flagged stretch in one <mark> that names all of its reasons."""
    cuts = sorted({0, len(text), *(flag[edge] for flag in flags for edge in ("start", "end"))})
    parts = []
    for start, end in pairwise(cuts):
        piece = escape(text[start:end])
        reasons = {f"{f['step']}: {f['reason']}" for f in flags if f["start"] <= start and end <= f["end"]}
        parts.append(f'<mark title="{escape("; ".join(sorted(reasons)))}">{piece}</mark>' if reasons else piece)
    return "".join(parts)


def edit_text(record: Record) -> str:
    """A record as the text that a reviewer edits: a line for each passage, beginning with its role."""
    return "\n".join(render_line(Message(role=role, content=text)) for role, text in passages(record))


def apply_edit(record: Record, text: str) -> Record:
    """The record with the edited text in it; flags of the old text are gone, and the crisis label is found anew.

    Raises:
        ValueError: a line without a role, or not one question and one answer where the record is these.
    """
    messages = parse(text.strip())
    if any(not message["content"].strip() for message in messages):
        raise ValueError("a line is empty after its role; allowed: lines with text")
    edited = {key: value for key, value in record.items() if key not in ("flags", "labels")}
    if "messages" in record:
        edited["messages"] = [message for message in record["messages"] if message["role"] == "system"] + messages
    elif [message["role"] for message in messages] == ["user", "assistant"]:
        set_passages(edited, [message["content"] for message in messages])
    else:
        raise ValueError(
            "the edit is no question with an answer; allowed: one line 用户：… and one line 心理咨询师：…"
        )
    if crisis := find_crisis("\n".join(message["content"] for message in messages)):
        edited["labels"] = {"crisis": crisis.category}
    return edited


def make_page(store: ReviewStore, source: Path, out: Path) -> Page:
    """The page over a filled store. Reviewers give their id, never a name; nothing leaves the machine."""
    with QuietBlocks(title="Proofreading", analytics_enabled=False) as blocks:
        item = gr.State(None)
        gr.Markdown("## Proofreading\n**k** keep · **e** edit · **r** remove · **u** undo")
        with gr.Row():
            reviewer = gr.Textbox(label="Reviewer id (such as r1; no name)", elem_id="reviewer", max_lines=1)
            start = gr.Button("Start", elem_id="start")
        standing = gr.Markdown(elem_id="standing")
        shown = gr.HTML(elem_id="record")
        editor = gr.Textbox(label="Edit: one line for each message", lines=12, visible=False, elem_id="editor")
        with gr.Row():
            keep = gr.Button("Keep (k)", elem_id="keep", variant="primary")
            edit = gr.Button("Edit (e)", elem_id="edit")
            save = gr.Button("Save the edit", elem_id="save", visible=False)
            remove = gr.Button("Remove (r)", elem_id="remove", variant="stop")
            undo = gr.Button("Undo (u)", elem_id="undo")
        reason = gr.Dropdown(REASONS, value=REASONS[0], label="Reason", allow_custom_value=True, elem_id="reason")
        with gr.Row():
            export = gr.Button("Write the result so far", elem_id="export")
            exported = gr.Markdown(elem_id="exported")

        outputs = [item, shown, standing, editor, save]

        def show(name: str) -> tuple:
            found = store.claim(name)
            count = store.standing(name)
            line = f"{count.done} of {count.total} decisions made, {count.own} by {name}"
            html = render_record(found.record) if found else "<p>Nothing is left for you. Thank you.</p>"
            return found, html, line, gr.update(visible=False, value=""), gr.update(visible=False)

        def take(name: str, found: Item | None, decision: Decision, why: str = "", text: str = "") -> tuple:
            if found is None:
                raise ValueError("no record is open; allowed after Start: keep, edit, remove")
            edited = apply_edit(found.record, text) if decision == "edit" else None
            store.decide(name, found.id, decision, why, edited)
            return show(name)

        def open_editor(found: Item | None) -> tuple:
            if found is None:
                raise ValueError("no record is open; allowed after Start: keep, edit, remove")
            return gr.update(visible=True, value=edit_text(found.record)), gr.update(visible=True)

        def take_back(name: str) -> tuple:
            store.undo(name)
            return show(name)

        def write() -> str:
            report = store.export(source, out)
            made = f"{report['keep']} kept, {report['edit']} edited, {report['remove']} removed"
            return f"{made}; shared: {report['shared']}"

        start.click(show, reviewer, outputs)
        reviewer.submit(show, reviewer, outputs)
        keep.click(lambda name, found: take(name, found, "keep"), [reviewer, item], outputs)
        remove.click(lambda name, found, why: take(name, found, "remove", why), [reviewer, item, reason], outputs)
        edit.click(open_editor, item, [editor, save])
        save.click(
            lambda name, found, why, text: take(name, found, "edit", why, text),
            [reviewer, item, reason, editor],
            outputs,
        )
        undo.click(take_back, reviewer, outputs)
        export.click(write, None, exported)
    css, script = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "keys.js"))
    return Page(blocks, css=css, script=script)
