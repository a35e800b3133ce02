"""The page on which people rate: one reply, talk or pair at a time, a rubric's questions, by mouse or by keyboard."""

import time
from dataclasses import dataclass, replace
from html import escape
from importlib.resources import files
from typing import Any

import gradio as gr

from soulchat_trainer.evaluation.rubric import Rubric
from soulchatcorpus.care.help_lines import Language

from ..web.language import FIRST, follow_reader, reader_language
from ..web.launch import Page, QuietBlocks, refusal
from .page_words import TEXTS, make_labels, pick, question_id
from .study import ClosedWindow, Item, RatingStudy, UnknownToken

READ_ONLY: dict[str, Any] = {"interactive": False, "lines": 2, "max_lines": 100}


@dataclass(frozen=True, slots=True)
class Sitting:
    """One rater in one window, and the item before them.

    Attributes:
        rater: their name.
        window: the key under which this window may save.
        language: of their browser.
        item: the one shown; None before the first is.
        shown_at: monotonic seconds when it was.
    """

    rater: str
    window: str
    language: Language
    item: Item | None = None
    shown_at: float = 0.0


def make_page(study: RatingStudy) -> Page:
    """The page of a study."""
    rubric = study.rubric
    all_labels = make_labels(rubric)
    labels = all_labels[FIRST]
    with QuietBlocks(title="Ratings", analytics_enabled=False) as blocks:
        sitting = gr.State()
        with gr.Column() as door:
            gr.Markdown(elem_id="title", **labels["title"])
            gr.Markdown(elem_id="warning", **labels["warning"])
            gr.HTML(elem_id="help-lines", **labels["help-lines"], padding=False)
            token = gr.Textbox(elem_id="token", **labels["token"], type="password")
            qualification = gr.Textbox(elem_id="qualification", **labels["qualification"])
            enter = gr.Button(elem_id="enter", **labels["enter"], variant="primary")
        with gr.Column(visible=False) as desk:
            progress = gr.Markdown(elem_id="progress")
            with gr.Row():
                with gr.Column():
                    dialogue = gr.HTML(elem_id="dialogue", **labels["dialogue"], show_label=True, container=True)
                    with gr.Row():
                        texts = [
                            gr.Textbox(elem_id=name, **labels[name], visible=shown, **READ_ONLY)
                            for name, shown in (
                                ("reply", rubric.judged != "talk"),
                                ("second", rubric.judged == "pair"),
                            )
                        ]
                with gr.Column():
                    answers = [
                        gr.Radio(elem_id=question_id(aspect), **labels[question_id(aspect)], elem_classes="question")
                        for aspect in rubric.aspects
                    ]
            with gr.Row():
                back = gr.Button(elem_id="back", **labels["back"])
                save = gr.Button(elem_id="save", **labels["save"], variant="primary")
            gr.Markdown(elem_id="keys", **labels["keys"])
        shown = [sitting, door, desk, progress, dialogue, *texts, *answers]

        def open_page(token: str, qualification: str, request: gr.Request) -> list[Any]:
            language = reader_language(request)
            try:
                rater, window = study.open_window(token, qualification)
            except UnknownToken:
                raise refusal(TEXTS[language]["wrong_token"]) from None
            items = study.items_in_window(rater, window)
            return _show(rubric, items, Sitting(rater, window, language), _next_open(items, 0))

        def save_item(now: Sitting, *scores: int | None) -> list[Any]:
            assert now.item is not None  # the button is hidden until one is shown
            seconds = time.monotonic() - now.shown_at
            values = {aspect.name: score for aspect, score in zip(rubric.aspects, scores, strict=True)}
            if open_questions := [name for name, score in values.items() if score is None]:
                raise refusal(_unanswered(rubric, now.language, open_questions))
            try:
                study.save_from_window(now.rater, now.window, now.item.number, values, seconds)
                items = study.items_in_window(now.rater, now.window)
            except ClosedWindow:
                raise refusal(TEXTS[now.language]["closed"]) from None
            return _show(rubric, items, now, _next_open(items, now.item.position))

        def go_back(now: Sitting) -> list[Any]:
            assert now.item is not None
            try:
                items = study.items_in_window(now.rater, now.window)
            except ClosedWindow:
                raise refusal(TEXTS[now.language]["closed"]) from None
            return _show(rubric, items, now, max(0, now.item.position - 1))

        # Without its progress display: that would cover the questions after a refusal.
        one_at_a_time = {"trigger_mode": "once", "show_progress": "hidden"}
        for event in (enter.click, token.submit, qualification.submit):
            event(open_page, [token, qualification], shown, **one_at_a_time)
        saved = save.click(save_item, [sitting, *answers], shown, **one_at_a_time)
        saved.success(None, js="() => window.scrollTo(0, 0)")
        back.click(go_back, sitting, shown, **one_at_a_time)
        follow_reader(blocks, all_labels)
    css, script = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "keys.js"))
    return Page(blocks, css=css, script=script)


def _next_open(items: list[Item], start: int) -> int | None:
    """Position of the first item from `start` on, and then from the beginning, that is not rated; None: all are."""
    order = [*items[start:], *items[:start]]
    return next((item.position for item in order if item.scores is None), None)


def _scrolling(dialogue: str) -> str:
    return f'<div class="talk" tabindex="0"><div>{escape(dialogue)}</div></div>'


def _unanswered(rubric: Rubric, language: Language, names: list[str]) -> str:
    questions = [pick(aspect.title, language) for aspect in rubric.aspects if aspect.name in names]
    return TEXTS[language]["unanswered"].format(questions=("、" if language == "zh" else ", ").join(questions))


def _show(rubric: Rubric, items: list[Item], sitting: Sitting, position: int | None) -> list[Any]:
    rated = sum(item.scores is not None for item in items)
    progress = f"**{sitting.rater}** · {rated} / {len(items)}"
    item = items[-1 if position is None else position]
    now = replace(sitting, item=item, shown_at=time.monotonic())
    doors = [gr.Column(visible=False), gr.Column(visible=True)]
    if position is None:
        progress += f"\n\n{TEXTS[sitting.language]['done']}"
    scores = item.scores or dict.fromkeys(aspect.name for aspect in rubric.aspects)
    talk, texts = (item.texts[0], ("", "")) if rubric.judged == "talk" else (item.history, (*item.texts, "")[:2])
    dialogue = gr.HTML(_scrolling(talk), visible=bool(talk))
    return [now, *doors, progress, dialogue, *texts, *scores.values()]
