"""The language of a page is that of its reader's browser: labels, examples, messages and errors."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from soulchatcorpus.care.help_lines import Language, load_countries

# By language, for each component of a page (its elem_id) the properties that hold words, such as its label.
Labels = Mapping[Language, Mapping[str, Mapping[str, Any]]]

# Of a page before its browser has told its own.
FIRST: Language = "zh"


def reader_language(request: gr.Request) -> Language:
    """Chinese where a browser asks for any Chinese (zh, zh-CN, zh-HK, …) before anything else; otherwise English."""
    return "zh" if _preferred(request).startswith("zh") else "en"


def reader_country(request: gr.Request) -> str | None:
    """The country in the language that a browser asks for first, as HK in zh-HK, if it has help lines; else None."""
    return next((part for part in _preferred(request).upper().split("-")[1:] if part in load_countries()), None)


def follow_reader(blocks: gr.Blocks, labels: Labels) -> None:
    """Give the components their words in the reader's language when the page is opened. Called inside the Blocks.

    Gradio's own `I18n` gives Chinese to zh-CN and zh-TW only: browsers set to zh, zh-HK or zh-SG would get English.
    """
    components = [part for part in blocks.blocks.values() if part.elem_id in labels[FIRST]]

    def relabel(request: gr.Request) -> list[dict]:
        chosen = labels[reader_language(request)]
        return [gr.update(**chosen[part.elem_id]) for part in components if part.elem_id]

    blocks.load(relabel, None, components, queue=False, show_progress="hidden")


def _preferred(request: gr.Request) -> str:
    """The first language of Accept-Language, such as zh-hk; empty where a client names none."""
    return request.headers.get("accept-language", "").split(",")[0].split(";")[0].strip().lower()
