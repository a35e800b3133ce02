"""The chat as a web page (Gradio): streaming, retry, undo, edit, stop, decoding controls, in Chinese and English.

Replies and messages are shown as plain text (`make_entry`), so nothing in them can run or load anything; the policy
(`web.policy`) keeps the browser from any other host. Talks live in memory until the page is closed.
"""

import logging
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import fields
from importlib.resources import files
from typing import Any

import gradio as gr

from soulchat_trainer.generation import Decoding
from soulchatcorpus import Message
from soulchatcorpus.care.help_lines import Language
from soulchatcorpus.clients import Client, read_client
from soulchatcorpus.thoughts import Thinking

from ..web.help_box import render_help_box
from ..web.language import FIRST, follow_reader, reader_country, reader_language
from ..web.launch import Page, QuietBlocks
from ..web.listening import is_loopback
from .care import CareNotice
from .page_words import LABELS, SAVE_TALK, explain
from .service import ReplyService, Text, Thought
from .session import with_client, with_system
from .wording import NO_REPLY, THINKS, language_of

logger = logging.getLogger(__name__)

Entries = list[dict[str, Any]]  # the messages of a talk as gr.Chatbot has them

# Marks what the page itself says in the talk, so that it is not taken for words of the model.
HELP_LINES: dict[Language, dict[str, str]] = {"zh": {"id": "help-lines-zh"}, "en": {"id": "help-lines-en"}}
NO_WORDS, THOUGHTS = {"id": "no-words"}, {"id": "thoughts"}
_OWN_WORDS = {mark["id"] for mark in (*HELP_LINES.values(), NO_WORDS, THOUGHTS)}
ZERO_WIDTH_SPACE = "\u200b"
_MARKUP = re.compile(r"[<&]")
_DISARMED = re.compile(f"([<&]){ZERO_WIDTH_SPACE}")
DEFAULTS = {field.name: field.default for field in fields(Decoding)}


def make_page(service: ReplyService, thinking: Thinking = "off", system: str = "") -> Page:
    """The page. A talk is kept in its browser alone and comes along with every event.

    What users state of themselves is kept there, too, goes to the model only while they want it to, and is cleared
    with the talk.

    Args:
        thinking: keep: what the model thinks before a reply stands above it, folded away.
        system: the system text that stands in its field when the page is opened.
    """
    labels = LABELS[FIRST]

    def country_of(request: gr.Request) -> str | None:
        return service.care.country or reader_country(request)

    def add_message(
        text: str, talk: Entries, replying: bool, request: gr.Request
    ) -> tuple[gr.Textbox, Entries, bool, gr.Row, gr.HTML]:
        _one_reply_at_a_time(replying)
        try:
            service.limits.check_message(text)
        except ValueError as error:
            tell(error, text, request)
            if notice := service.care.check_message(text):  # the words stay where they are, below the help lines
                entries = [make_help(notice.language, country_of(request))]
                return gr.skip(), [*talk, *entries], False, *pin_help(entries, country_of(request))
            raise _leave_as_it_is() from None
        return _busy(""), [*talk, make_entry("user", text)], True, gr.skip(), gr.skip()

    def retry(talk: Entries, replying: bool) -> tuple[gr.Textbox, Entries, bool, gr.Row, gr.HTML]:
        _one_reply_at_a_time(replying)
        return _busy(), talk[: last_words(talk) + 1], True, gr.skip(), gr.skip()

    def edit(
        talk: Entries, replying: bool, edited: gr.EditData, request: gr.Request
    ) -> tuple[gr.Textbox, Entries, bool, gr.Row, gr.HTML]:
        return add_message(edited.value, talk[: edited.index], replying, request)

    def undo(talk: Entries, replying: bool) -> tuple[str, Entries]:
        _one_reply_at_a_time(replying)
        return text_of(talk[last_words(talk)]), talk[: last_words(talk)]

    async def answer(
        talk: Entries,
        system: str,
        temperature: float,
        top_p: float,
        max_new_tokens: float,
        seed: float | None,
        tells: bool,
        age: str,
        gender: str,
        occupation: str,
        about: str,
        request: gr.Request,
    ) -> AsyncGenerator[tuple[Entries, Any, Any, Any]]:
        yield talk, *[gr.skip()] * 3  # where nothing comes, as with a fault, Gradio would empty the talk
        if not talk or talk[-1]["role"] != "user":
            return
        entries: Entries = []
        country = country_of(request)
        try:
            decoding = Decoding(
                float(top_p), float(temperature), int(max_new_tokens), seed=int(seed or 0), thinking=thinking
            )
            stated = {"age": age, "gender": gender, "occupation": occupation, "about": about} if tells else None
            told = read_client(stated)
            messages = with_system(system.strip(), read_talk(talk))
            messages = with_client(told, messages, language_of(messages[-1]["content"]))
            judged = None if any(map(_is_help, talk)) else told  # it is said with every message, help lines are not
            asked = messages, decoding, _client(request), country, judged
            async with aclosing(show_reply(service, *asked)) as states:
                async for entries in states:
                    yield [*talk, *entries], gr.skip(), *pin_help(entries, country)
        except ValueError as error:  # the talk is as it was, and the words are where they can be changed or sent again
            tell(error, text_of(talk[-1]), request)
            yield [*talk[:-1], *filter(_is_help, entries)], text_of(talk[-1]), *pin_help(entries, country)
        except RuntimeError as error:
            tell(error, text_of(talk[-1]), request)
        except Exception as error:  # the talk goes on
            logger.error("the page failed: %s", type(error).__name__)
            tell(error, text_of(talk[-1]), request)

    def tell(error: Exception, text: str, request: gr.Request) -> None:
        gr.Warning(explain(error, text, service.limits, reader_language(request)), duration=None)

    with QuietBlocks(title="SoulChat", analytics_enabled=False, fill_height=True) as blocks:
        gr.Markdown(elem_id="notice", **labels["notice"])
        chatbot = gr.Chatbot(
            elem_id="talk",
            **labels["talk"],
            show_label=False,
            buttons=["copy"],
            editable="user",
            render_markdown=False,
            latex_delimiters=[],
            allow_file_downloads=False,
            feedback_options=None,
            group_consecutive_messages=False,
            scale=1,
        )
        with gr.Row(visible=False, elem_id="help") as help_row:
            help_lines = gr.HTML(elem_id="help-lines", padding=False)
            close = gr.Button(elem_id="close", **labels["close"], size="sm", scale=0)
        message = gr.Textbox(
            elem_id="message", **labels["message"], max_lines=8, show_label=False, submit_btn=True, autofocus=True
        )
        with gr.Accordion(elem_id="controls", **labels["controls"], open=False):
            controls = _controls(labels, system)
        with gr.Accordion(elem_id="about-me", **labels["about-me"], open=False):
            tells, fields, stated = _about_me(labels)
        save = gr.Button(elem_id="save", **labels["save"], size="sm")
        replying = gr.State(False)

        replies = []
        for begin, listener, inputs in (
            (add_message, message.submit, [message, chatbot, replying]),
            (retry, chatbot.retry, [chatbot, replying]),
            (edit, chatbot.edit, [chatbot, replying]),
        ):
            # Without its progress display: that would cover the talk after a refusal.
            begun = listener(begin, inputs, [message, chatbot, replying, help_row, help_lines], show_progress="hidden")
            settings = {"outputs": [chatbot, message, help_row, help_lines], "show_progress_on": chatbot}
            replies.append(begun.success(answer, [chatbot, *controls, tells, *stated], **settings))
            replies[-1].then(_ready, None, [message, replying], queue=False)
        message.stop(_ready, None, [message, replying], cancels=replies, queue=False)
        stopped = chatbot.clear(_ready, None, [message, replying], cancels=replies, queue=False)
        # Once more: a last piece of the reply may have come.
        nothing = [[], gr.Row(visible=False), False, gr.Column(visible=False), *[""] * len(stated)]
        stopped.then(lambda: nothing, None, [chatbot, help_row, tells, fields, *stated], queue=False)
        tells.input(_show_fields, tells, [fields, *stated], show_progress="hidden", queue=False)
        close.click(lambda: gr.Row(visible=False), None, help_row, queue=False)
        chatbot.undo(undo, [chatbot, replying], [message, chatbot], show_progress="hidden", queue=False)
        chatbot.example_select(_example, None, message, queue=False)
        save.click(None, chatbot, None, js=SAVE_TALK)
        follow_reader(blocks, LABELS)
    css = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    return Page(blocks, css=css)


async def show_reply(
    service: ReplyService,
    messages: Sequence[Message],
    decoding: Decoding,
    client: str,
    country: str | None = None,
    stated: Client | None = None,
) -> AsyncGenerator[Entries]:
    """What is shown below the user's words, each time the reply grows: help lines where due, and the reply.

    Args:
        country: whose help lines come first; by default the language of the talk decides.
        stated: what the user states of themselves, which may call for help lines, too.
    """
    shown: Entries = []
    reply = thoughts = ""
    notice = service.judge(messages, stated)
    async with aclosing(service.astream(messages, decoding, client, notice=notice, is_judged=True)) as events:
        async for event in events:
            if isinstance(event, CareNotice):
                shown.append(make_help(event.language, country))
                reply = ""
            elif isinstance(event, Thought):
                title = THINKS[language_of(messages[-1]["content"])]
                entry = make_entry("assistant", thoughts + event.text, THOUGHTS | {"title": title, "status": "done"})
                shown = [*shown[: len(shown) - bool(thoughts)], entry]
                thoughts += event.text
            elif isinstance(event, Text):
                shown = [*shown[: len(shown) - bool(reply)], make_entry("assistant", reply + event.text)]
                reply += event.text
            if shown:
                yield list(shown)
    if not reply:
        yield [*shown, make_entry("assistant", NO_REPLY[language_of(messages[-1]["content"])], NO_WORDS)]


def pin_help(entries: Entries, country: str | None) -> tuple[Any, Any]:
    """Changes of the row of help lines: those of `entries`, if there are any, in short; it is hidden elsewhere."""
    for language, mark in HELP_LINES.items():
        if any((entry.get("metadata") or {}).get("id") == mark["id"] for entry in entries):
            return gr.Row(visible=True), gr.HTML(render_help_box(language, country, brief=True))
    return gr.skip(), gr.skip()


def make_help(language: Language, country: str | None) -> dict[str, Any]:
    """Help lines as an entry of the talk."""
    return {"role": "assistant", "content": render_help_box(language, country), "metadata": HELP_LINES[language]}


def make_entry(role: str, text: str, metadata: dict[str, str] | None = None) -> dict[str, Any]:
    """A message for the chatbot, which takes it for HTML: a zero-width space after "<" and "&" keeps it text."""
    return {"role": role, "content": _MARKUP.sub(f"\\g<0>{ZERO_WIDTH_SPACE}", text), "metadata": metadata}


def text_of(entry: dict[str, Any]) -> str:
    """The text of a message that the chatbot shows."""
    content = entry["content"]
    text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    return _DISARMED.sub(r"\1", text)


def last_words(talk: Entries) -> int:
    """The index of the user's last message."""
    return max((index for index, entry in enumerate(talk) if entry["role"] == "user"), default=0)


def read_talk(talk: Entries) -> list[Message]:
    """The talk as messages, without what the page itself says; neighbours of one speaker are one message."""
    messages: list[Message] = []
    for entry in talk:
        if (entry.get("metadata") or {}).get("id") in _OWN_WORDS:
            continue
        if messages and messages[-1]["role"] == entry["role"]:
            # Help lines part a reply anywhere; what a user sent twice are lines of their own.
            between = "\n" if entry["role"] == "user" else ""
            messages[-1] = {"role": entry["role"], "content": messages[-1]["content"] + between + text_of(entry)}
        else:
            messages.append({"role": entry["role"], "content": text_of(entry)})
    return messages


def _is_help(entry: dict[str, Any]) -> bool:
    return (entry.get("metadata") or {}).get("id") in [mark["id"] for mark in HELP_LINES.values()]


def _example(chosen: gr.SelectData) -> str:
    return chosen.value["text"]


def _leave_as_it_is() -> gr.Error:
    return gr.Error("", visible=False, print_exception=False)


def _one_reply_at_a_time(replying: bool) -> None:
    """Enter sends also while a reply comes, which would write over the new words: they stay where they were typed."""
    if replying:
        raise _leave_as_it_is()


def _busy(text: str | None = None) -> gr.Textbox:
    """While a reply comes: with a button that stops it."""
    words = {} if text is None else {"value": text}
    return gr.Textbox(**words, submit_btn=False, stop_btn=True)


def _ready() -> tuple[gr.Textbox, bool]:
    return gr.Textbox(submit_btn=True, stop_btn=False), False


def _about_me(labels: Mapping[str, Mapping[str, Any]]) -> tuple[gr.Checkbox, gr.Column, list[gr.Textbox]]:
    """Whether to tell the model, and what: age, gender, occupation, anything else."""
    gr.Markdown(elem_id="about-note", **labels["about-note"])
    tells = gr.Checkbox(False, elem_id="tells", **labels["tells"])
    with gr.Column(visible=False) as fields:
        names = ("age", "gender", "occupation")
        stated = [gr.Textbox("", elem_id=name, **labels[name], max_lines=1, max_length=40) for name in names]
        stated.append(gr.Textbox("", elem_id="about", **labels["about"], lines=2, max_length=300))
    return tells, fields, stated


def _show_fields(tells: bool) -> list[Any]:
    """The fields, or without them nothing of what stood in them."""
    return [gr.Column(visible=tells), *[gr.skip() if tells else ""] * 4]


def _controls(labels: Mapping[str, Mapping[str, Any]], system: str) -> list[gr.components.Component]:
    return [
        gr.Textbox(system, elem_id="system", **labels["system"], lines=2, max_length=max(2_000, len(system))),
        gr.Slider(0.05, 2, DEFAULTS["temperature"], step=0.05, elem_id="temperature", **labels["temperature"]),
        gr.Slider(0.05, 1, DEFAULTS["top_p"], step=0.05, elem_id="top-p", **labels["top-p"]),
        gr.Slider(1, 1024, DEFAULTS["max_new_tokens"], step=1, elem_id="max-new-tokens", **labels["max-new-tokens"]),
        gr.Number(DEFAULTS["seed"], elem_id="seed", **labels["seed"], precision=0),
    ]


def _client(request: gr.Request) -> str:
    """Whom the rate limit counts: an address; behind loopback (one person, or a relay of many) a browser's session."""
    host = request.client.host
    return f"session {request.session_hash}" if is_loopback(host) else host
