"""The proofreading's web page: one record at a time, flagged spans marked, keep / edit / remove by button or key."""

from collections.abc import Callable
from html import escape
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import gradio as gr

from soulchatcorpus.care.crisis import find_crisis
from soulchatcorpus.care.help_lines import Language
from soulchatcorpus.clients import describe_client
from soulchatcorpus.dialogue import parse, render_line
from soulchatcorpus.making.records import Record, passages, set_passages
from soulchatcorpus.making.review import Decision, Item, ReviewStore
from soulchatcorpus.schema import Message

from ..web.language import FIRST, follow_reader, reader_language
from ..web.launch import Page, QuietBlocks, refusal
from .page_words import LABELS, REASONS, TEXTS, name_finding

# The next record is shown from its top, and the keys decide: they would go into a field that has the focus.
NEXT = "() => { document.activeElement?.blur(); document.querySelector('#standing').scrollIntoView(); }"


def render_record(record: Record, language: Language = "zh") -> str:
    """A record as HTML: what is stated of the client, the system text, each passage under its role.

    Flagged spans are in <mark> with their reason.

    All text is escaped.
    """
    spans: dict[int, list[dict]] = {}
    for flag in record.get("flags") or []:
        if "passage" in flag:
            spans.setdefault(flag["passage"], []).append(flag)
    whole = [_name(flag, language) for flag in record.get("flags") or [] if "passage" not in flag]
    whole += [name_finding(language, name, value) for name, value in (record.get("labels") or {}).items()]
    told = [f"<b>{escape(record['id'])}</b>"]
    told += map(escape, filter(None, [*whole, record.get("topic"), record.get("counsellor")]))
    parts = [f"<p>{' · '.join(told)}</p>"]
    if "client" in record:
        parts.append(_passage("client", escape(describe_client(record["client"], language)), language))
    for message in record.get("messages", []):
        if message["role"] == "system":
            parts.append(_passage("system", escape(message["content"]), language))
    for number, (role, text) in enumerate(passages(record)):
        parts.append(_passage(role, _mark(text, spans.get(number, []), language), language))
    return "".join(parts)


def _passage(role: str, body: str, language: Language) -> str:
    colon = "：" if language == "zh" else ": "
    return f'<div class="passage {role}"><b>{TEXTS[language][role]}{colon}</b>{body}</div>'


def _name(flag: dict, language: Language) -> str:
    return name_finding(language, flag["step"], flag["reason"])


def _mark(text: str, flags: list[dict], language: Language) -> str:
    """`text` escaped, with every flagged stretch in one <mark> that names all of its reasons."""
    cuts = sorted({0, len(text), *(flag[edge] for flag in flags for edge in ("start", "end"))})
    parts = []
    for start, end in pairwise(cuts):
        piece = escape(text[start:end])
        reasons = {_name(flag, language) for flag in flags if flag["start"] <= start and end <= flag["end"]}
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
    labels = LABELS[FIRST]
    with QuietBlocks(title="Proofreading", analytics_enabled=False) as blocks:
        item = gr.State(None)
        gr.Markdown(elem_id="title", **labels["title"])
        with gr.Row():
            reviewer = gr.Textbox(elem_id="reviewer", **labels["reviewer"], max_lines=1, autofocus=True)
            start = gr.Button(elem_id="start", **labels["start"])
        standing = gr.Markdown(elem_id="standing")
        shown = gr.HTML(elem_id="record")
        editor = gr.Textbox(elem_id="editor", **labels["editor"], lines=12, visible=False, autofocus=True)
        with gr.Column(elem_id="actions"):
            with gr.Column(visible=False, elem_id="reasons") as reasons:
                gr.Markdown(elem_id="why", **labels["why"])
                with gr.Row():
                    choices = [
                        gr.Button(elem_id=f"reason-{number}", **labels[f"reason-{number}"], size="sm", min_width=130)
                        for number in range(1, len(REASONS) + 1)
                    ]
                other = gr.Textbox(elem_id="other", **labels["other"], max_lines=1)
                cancel = gr.Button(elem_id="cancel", **labels["cancel"], size="sm")
            with gr.Row():
                keep = gr.Button(elem_id="keep", **labels["keep"], variant="primary", size="md", min_width=75)
                edit = gr.Button(elem_id="edit", **labels["edit"], size="md", min_width=75)
                save = gr.Button(elem_id="save", **labels["save"], visible=False, size="md", min_width=75)
                remove = gr.Button(elem_id="remove", **labels["remove"], variant="stop", size="md", min_width=75)
                undo = gr.Button(elem_id="undo", **labels["undo"], size="md", min_width=75)
        with gr.Row():
            export = gr.Button(elem_id="export", **labels["export"])
            exported = gr.Markdown(elem_id="exported")

        outputs = [item, shown, standing, editor, save, reasons, other]

        def show(name: str, request: gr.Request) -> tuple:
            language = reader_language(request)
            texts = TEXTS[language]
            try:
                found = store.claim(name)
            except ValueError:
                raise refusal(texts["no_id"]) from None
            count = store.standing(name)
            line = texts["standing"].format(done=count.done, total=count.total, own=count.own, name=name)
            html = render_record(found.record, language) if found else f"<p>{texts['nothing']}</p>"
            return found, html, line, gr.Textbox("", visible=False), gr.Button(visible=False), _hidden(), ""

        def take(
            name: str, found: Item | None, decision: Decision, request: gr.Request, why: str = "", text: str = ""
        ) -> tuple:
            texts = TEXTS[reader_language(request)]
            if found is None:
                raise refusal(texts["not_open"])
            try:
                edited = apply_edit(found.record, text) if decision == "edit" else None
            except ValueError:
                raise refusal(texts["form"]) from None
            try:
                store.decide(name, found.id, decision, why, edited)
            except ValueError:
                raise refusal(texts["lost"]) from None
            return show(name, request)

        def keep_it(name: str, found: Item | None, request: gr.Request) -> tuple:
            return take(name, found, "keep", request)

        def save_edit(name: str, found: Item | None, text: str, request: gr.Request) -> tuple:
            return take(name, found, "edit", request, text=text)

        def remove_it(name: str, found: Item | None, why: str, request: gr.Request) -> tuple:
            if not why.strip():
                raise refusal(TEXTS[reader_language(request)]["no_reason"])
            return take(name, found, "remove", request, why=why)

        def removal(why: str) -> Callable[[str, Item | None, gr.Request], tuple]:
            def remove(name: str, found: Item | None, request: gr.Request) -> tuple:
                return take(name, found, "remove", request, why=why)

            return remove

        def open_editor(found: Item | None, request: gr.Request) -> tuple[gr.Textbox, gr.Button, gr.Column]:
            if found is None:
                raise refusal(TEXTS[reader_language(request)]["not_open"])
            return gr.Textbox(edit_text(found.record), visible=True), gr.Button(visible=True), _hidden()

        def ask_why(found: Item | None, request: gr.Request) -> gr.Column:
            if found is None:
                raise refusal(TEXTS[reader_language(request)]["not_open"])
            return gr.Column(visible=True)

        def take_back(name: str, request: gr.Request) -> tuple:
            store.undo(name)
            return show(name, request)

        def write(request: gr.Request) -> str:
            texts, report = TEXTS[reader_language(request)], store.export(source, out)
            made = texts["written"].format(**report)
            return f"{made}; {texts['shared'].format(**report['shared'])}" if report["shared"]["items"] else made

        remove.click(ask_why, item, reasons)
        cancel.click(_hidden, None, reasons)
        edit.click(open_editor, item, [editor, save, reasons])
        for event, act, inputs in (
            (start.click, show, [reviewer]),
            (reviewer.submit, show, [reviewer]),
            (keep.click, keep_it, [reviewer, item]),
            (save.click, save_edit, [reviewer, item, editor]),
            (other.submit, remove_it, [reviewer, item, other]),
            (undo.click, take_back, [reviewer]),
            *(
                (choice.click, removal(reason), [reviewer, item])
                for choice, reason in zip(choices, REASONS, strict=True)
            ),
        ):
            event(act, inputs, outputs).success(None, js=NEXT)
        export.click(write, None, exported)
        follow_reader(blocks, LABELS)
    css, script = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "keys.js"))
    return Page(blocks, css=css, script=script)


def _hidden() -> gr.Column:
    return gr.Column(visible=False)
