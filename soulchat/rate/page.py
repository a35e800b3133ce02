"""The page on which people rate: one dialogue and one reply at a time, four questions, by mouse or by keyboard."""

import time
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import gradio as gr

from ..web.launch import Page, QuietBlocks
from .questions import ASPECTS
from .study import Item, RatingStudy

HELP = (
    "Keys: 0, 1, 2 answer the next open question; Enter saves and continues; ← goes back.  \n"
    "按键：0、1、2 回答下一个未答的问题；回车保存并继续；← 返回上一条。"
)
DONE = "All items are rated and saved. Thank you! You may close this page.  \n全部评完并已保存，谢谢！可以关闭此页。"


@dataclass(frozen=True, slots=True)
class Sitting:
    """One rater in one window, and the item before them.

    Attributes:
        rater: their name.
        window: the key under which this window may save.
        item: the one shown.
        shown_at: monotonic seconds when it was.
    """

    rater: str
    window: str
    item: Item
    shown_at: float


def make_page(study: RatingStudy) -> Page:
    """The page of a study."""
    with QuietBlocks(title="Ratings", analytics_enabled=False) as blocks:
        sitting = gr.State()
        with gr.Column() as door:
            gr.Markdown("# Ratings of replies · 回复评分")
            token = gr.Textbox(label="Your token · 您的口令", type="password", elem_id="token")
            qualification = gr.Textbox(
                label="Your qualification (appears in the report) · 您的专业背景（将写入报告）",
                elem_id="qualification",
            )
            enter = gr.Button("Start or continue · 开始或继续", variant="primary", elem_id="enter")
        with gr.Column(visible=False) as desk:
            progress = gr.Markdown(elem_id="progress")
            dialogue = gr.Textbox(label="Dialogue · 对话", interactive=False, lines=8, elem_id="dialogue")
            reply = gr.Textbox(label="The reply to rate · 待评回复", interactive=False, lines=4, elem_id="reply")
            answers = [
                gr.Radio(
                    list(range(aspect.maximum + 1)),
                    label=f"{aspect.english} · {aspect.chinese} (0-{aspect.maximum})",
                    info=f"{aspect.asks} {aspect.asks_in_chinese}",
                    elem_id=aspect.name,
                    elem_classes="question",
                )
                for aspect in ASPECTS
            ]
            with gr.Row():
                back = gr.Button("Back · 返回", elem_id="back")
                save = gr.Button("Save and continue · 保存并继续", variant="primary", elem_id="save")
            gr.Markdown(HELP)
        shown = [sitting, door, desk, progress, dialogue, reply, *answers]

        def open_page(token: str, qualification: str) -> list[Any]:
            rater, window = study.open_window(token, qualification)
            items = study.items_in_window(rater, window)
            return _show(items, rater, window, _next_open(items, 0))

        def save_item(now: Sitting, *scores: int | None) -> list[Any]:
            seconds = time.monotonic() - now.shown_at
            values = {aspect.name: score for aspect, score in zip(ASPECTS, scores, strict=True)}
            study.save_from_window(now.rater, now.window, now.item.number, values, seconds)
            items = study.items_in_window(now.rater, now.window)
            return _show(items, now.rater, now.window, _next_open(items, now.item.position))

        def go_back(now: Sitting) -> list[Any]:
            items = study.items_in_window(now.rater, now.window)
            return _show(items, now.rater, now.window, max(0, now.item.position - 1))

        # Without its progress display: that would cover the questions after a refusal.
        one_at_a_time = {"trigger_mode": "once", "show_progress": "hidden"}
        for event in (enter.click, token.submit, qualification.submit):
            event(open_page, [token, qualification], shown, **one_at_a_time)
        save.click(save_item, [sitting, *answers], shown, **one_at_a_time)
        back.click(go_back, sitting, shown, **one_at_a_time)
    return Page(blocks, script=files(__package__).joinpath("keys.js").read_text(encoding="utf-8"))


def _next_open(items: list[Item], start: int) -> int | None:
    """Position of the first item from `start` on, and then from the beginning, that is not rated; None: all are."""
    order = [*items[start:], *items[:start]]
    return next((item.position for item in order if item.scores is None), None)


def _show(items: list[Item], rater: str, window: str, position: int | None) -> list[Any]:
    rated = sum(item.scores is not None for item in items)
    progress = f"**{rater}** · {rated} / {len(items)}"
    item = items[-1 if position is None else position]
    now = Sitting(rater, window, item, time.monotonic())
    doors = [gr.Column(visible=False), gr.Column(visible=True)]
    if position is None:
        progress += f"\n\n{DONE}"
    scores = item.scores or dict.fromkeys(aspect.name for aspect in ASPECTS)
    return [now, *doors, progress, item.dialogue, item.reply, *scores.values()]
