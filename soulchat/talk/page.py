"""The chat as a web page (Gradio): streaming, retry, undo, edit, stop, decoding controls, in Chinese and English.

Replies and messages are shown as plain text (`make_entry`), so nothing in them can run or load anything; the policy
(`web.policy`) keeps the browser from any other host. Talks live in memory until the page is closed.
"""

import logging
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import fields
from importlib.resources import files
from typing import Any

import gradio as gr

from soulchat_trainer.generation import Decoding
from soulchatcorpus import Message
from soulchatcorpus.thoughts import Thinking

from ..web.launch import Page, QuietBlocks
from ..web.listening import is_loopback
from .care import CareNotice
from .limits import OverLimit
from .page_words import EXAMPLES, LABELS, NO_ANSWER, SAVE_TALK, TRY_LATER
from .service import ReplyService, Text, Thought
from .session import with_system
from .wording import NO_REPLY, THINKS, language_of

logger = logging.getLogger(__name__)

Entries = list[dict[str, Any]]  # the messages of a talk as gr.Chatbot has them

# Marks what the page itself says in the talk, so that it is not taken for words of the model.
HELP_LINES, NO_WORDS, THOUGHTS = {"id": "help-lines"}, {"id": "no-words"}, {"id": "thoughts"}
ZERO_WIDTH_SPACE = "\u200b"
_MARKUP = re.compile(r"[<&]")
_DISARMED = re.compile(f"([<&]){ZERO_WIDTH_SPACE}")
DEFAULTS = {field.name: field.default for field in fields(Decoding)}


def make_page(service: ReplyService, thinking: Thinking = "off") -> Page:
    """The page. A talk is kept in its browser alone and comes along with every event.

    Args:
        thinking: keep: what the model thinks before a reply stands above it, folded away.
    """
    words = gr.I18n(**LABELS)

    def add_message(text: str, talk: Entries, replying: bool) -> tuple[gr.Textbox, Entries, bool]:
        _one_reply_at_a_time(replying)
        try:
            service.limits.check_message(text)
        except ValueError as error:
            _tell(error)
            if notice := service.care.check_message(text):  # the words stay where they are, below the help lines
                return gr.skip(), [*talk, make_entry("assistant", notice.text, HELP_LINES)], False
            raise _leave_as_it_is() from None
        return gr.Textbox("", submit_btn=False, stop_btn=True), [*talk, make_entry("user", text)], True

    def retry(talk: Entries, replying: bool) -> tuple[gr.Textbox, Entries, bool]:
        _one_reply_at_a_time(replying)
        return gr.Textbox(submit_btn=False, stop_btn=True), talk[: last_words(talk) + 1], True

    def edit(talk: Entries, replying: bool, edited: gr.EditData) -> tuple[gr.Textbox, Entries, bool]:
        return add_message(edited.value, talk[: edited.index], replying)

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
        request: gr.Request,
    ) -> AsyncGenerator[tuple[Entries, Any]]:
        yield talk, gr.skip()  # where nothing comes, as with a fault, Gradio would empty the talk
        if not talk or talk[-1]["role"] != "user":
            return
        entries: Entries = []
        try:
            decoding = Decoding(
                float(top_p), float(temperature), int(max_new_tokens), seed=int(seed or 0), thinking=thinking
            )
            messages = with_system(system.strip(), read_talk(talk))
            async with aclosing(show_reply(service, messages, decoding, _client(request))) as states:
                async for entries in states:
                    yield [*talk, *entries], gr.skip()
        except ValueError as error:  # the talk is as it was, and the words are where they can be changed or sent again
            _tell(error)
            yield [*talk[:-1], *filter(_is_help, entries)], text_of(talk[-1])
        except RuntimeError as error:
            _tell(error)
        except Exception as error:  # the talk goes on
            logger.error("the page failed: %s", type(error).__name__)
            gr.Warning(f"{NO_ANSWER}: {type(error).__name__}", duration=None)

    with QuietBlocks(title="SoulChat", analytics_enabled=False, fill_height=True) as blocks:
        gr.Markdown(words("notice"), elem_id="notice")
        chatbot = gr.Chatbot(
            label="SoulChat",
            elem_id="talk",
            buttons=["copy"],
            editable="user",
            examples=[{"text": example} for example in EXAMPLES],
            render_markdown=False,
            latex_delimiters=[],
            allow_file_downloads=False,
            feedback_options=None,
            group_consecutive_messages=False,
            scale=1,
        )
        message = gr.Textbox(
            placeholder=words("placeholder"),
            max_lines=8,
            elem_id="message",
            show_label=False,
            submit_btn=True,
            autofocus=True,
        )
        with gr.Accordion(words("controls"), open=False, elem_id="controls"):
            controls = _controls(words)
        with gr.Row(visible=False, elem_id="help") as help_row:
            help_lines = gr.Textbox(show_label=False, container=False, interactive=False, max_lines=12, scale=9)
            close = gr.Button(words("close"), size="sm", scale=1)
        closed = gr.State(0)
        save = gr.Button(words("save"), size="sm", elem_id="save")
        replying = gr.State(False)

        replies = []
        for begin, listener, inputs in (
            (add_message, message.submit, [message, chatbot, replying]),
            (retry, chatbot.retry, [chatbot, replying]),
            (edit, chatbot.edit, [chatbot, replying]),
        ):
            # Without its progress display: that would cover the talk after a refusal.
            begun = listener(begin, inputs, [message, chatbot, replying], show_progress="hidden")
            settings = {"outputs": [chatbot, message], "show_progress_on": chatbot}
            replies.append(begun.success(answer, [chatbot, *controls], **settings))
            replies[-1].then(_ready, None, [message, replying], queue=False).then(
                pin_help, [chatbot, closed], [help_row, help_lines], queue=False
            )
        paused = message.stop(_ready, None, [message, replying], cancels=replies, queue=False)
        paused.then(pin_help, [chatbot, closed], [help_row, help_lines], queue=False)
        stopped = chatbot.clear(_ready, None, [message, replying], cancels=replies, queue=False)
        stopped.then(list, None, chatbot, queue=False)  # once more: a last piece of the reply may have come
        stopped.then(lambda: (gr.Row(visible=False), 0), None, [help_row, closed], queue=False)
        close.click(close_help, chatbot, [help_row, closed], queue=False)
        chatbot.undo(undo, [chatbot, replying], [message, chatbot], show_progress="hidden", queue=False)
        chatbot.example_select(_example, None, message, queue=False)
        save.click(None, chatbot, None, js=SAVE_TALK)
    css = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    return Page(blocks, css=css, words=words)


async def show_reply(
    service: ReplyService, messages: Sequence[Message], decoding: Decoding, client: str
) -> AsyncGenerator[Entries]:
    """What is shown below the user's words, each time the reply grows: help lines where due, and the reply."""
    shown: Entries = []
    reply = thoughts = ""
    async with aclosing(service.astream(messages, decoding, client)) as events:
        async for event in events:
            if isinstance(event, CareNotice):
                shown.append(make_entry("assistant", event.text, HELP_LINES))
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


def pin_help(talk: Entries, closed: int) -> tuple[gr.Row, str]:
    """The talk's last help lines in their own row, unless the user closed that row since (`closed` of them)."""
    lines = [text_of(entry) for entry in talk if _is_help(entry)]
    return gr.Row(visible=len(lines) > closed), lines[-1] if lines else ""


def close_help(talk: Entries) -> tuple[gr.Row, int]:
    """The row hidden, and how many help lines the talk has by now."""
    return gr.Row(visible=False), sum(map(_is_help, talk))


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
        if (entry.get("metadata") or {}).get("id") in (HELP_LINES["id"], NO_WORDS["id"], THOUGHTS["id"]):
            continue
        if messages and messages[-1]["role"] == entry["role"]:
            # Help lines part a reply anywhere; what a user sent twice are lines of their own.
            between = "\n" if entry["role"] == "user" else ""
            messages[-1] = {"role": entry["role"], "content": messages[-1]["content"] + between + text_of(entry)}
        else:
            messages.append({"role": entry["role"], "content": text_of(entry)})
    return messages


def _is_help(entry: dict[str, Any]) -> bool:
    return (entry.get("metadata") or {}).get("id") == HELP_LINES["id"]


def _example(chosen: gr.SelectData) -> str:
    return chosen.value["text"]


def _tell(error: Exception) -> None:
    gr.Warning(f"{TRY_LATER if isinstance(error, OverLimit) else NO_ANSWER}: {error}", duration=None)


def _leave_as_it_is() -> gr.Error:
    return gr.Error("", visible=False, print_exception=False)


def _one_reply_at_a_time(replying: bool) -> None:
    """Enter sends also while a reply comes, which would write over the new words: they stay where they were typed."""
    if replying:
        raise _leave_as_it_is()


def _ready() -> tuple[gr.Textbox, bool]:
    return gr.Textbox(submit_btn=True, stop_btn=False), False


def _controls(words: gr.I18n) -> list[gr.components.Component]:
    return [
        gr.Textbox("", label=words("system"), lines=2, max_length=2_000),
        gr.Slider(0.05, 2, DEFAULTS["temperature"], step=0.05, label=words("temperature")),
        gr.Slider(0.05, 1, DEFAULTS["top_p"], step=0.05, label=words("top_p")),
        gr.Slider(1, 1024, DEFAULTS["max_new_tokens"], step=1, label=words("max_new_tokens")),
        gr.Number(DEFAULTS["seed"], label=words("seed"), precision=0),
    ]


def _client(request: gr.Request) -> str:
    """Whom the rate limit counts: an address; behind loopback (one person, or a relay of many) a browser's session."""
    host = request.client.host
    return f"session {request.session_hash}" if is_loopback(host) else host
