"""A rater's items as tasks for another labelling tool, and the answers that come back from it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from soulchat_trainer.evaluation.rubric import NOTHING, Aspect, Rubric, Words
from soulchatcorpus.care.help_lines import Language

from ..web.help_box import render_help_box
from .page_words import SHOWN, WARNING, digit_of
from .study import Item, RatingStudy

# What is rated, by the names of its columns and fields, in the order of `SHOWN`.
TEXTS = {"reply": ("dialogue", "reply"), "talk": ("talk",), "pair": ("dialogue", "first", "second")}
LANGUAGES: tuple[Language, ...] = ("zh", "en")


@dataclass(frozen=True, slots=True)
class Task:
    """An item of one rater.

    Attributes:
        rater: whose.
        item: the item's number.
        texts: what is rated by the names of `TEXTS`, of a pair in the rater's order; none is empty.
    """

    rater: str
    item: int
    texts: dict[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rater said of a task in another tool.

    Attributes:
        where: its place in the tool's file, for messages.
        task: as the file has it.
        choices: the chosen points by aspect, as text; an aspect without an answer is missing.
    """

    where: str
    task: Task
    choices: dict[str, str]


def list_texts(rubric: Rubric, item: Item) -> dict[str, str]:
    """What is rated by the names of `TEXTS`."""
    shown = item.texts if rubric.judged == "talk" else (item.history, *item.texts)
    return dict(zip(TEXTS[rubric.judged], shown, strict=True))


def list_tasks(study: RatingStudy, rater: str) -> list[Task]:
    """A rater's items that are not rated yet, in their order.

    Raises:
        ValueError: there is no such rater, or they have rated all.
    """
    tasks = [_task(study.rubric, rater, item) for item in study.items(rater) if item.scores is None]
    if not tasks:
        raise ValueError(f"rater is {rater!r}, who has rated all items; allowed: one with items left")
    return tasks


def _task(rubric: Rubric, rater: str, item: Item) -> Task:
    # The tools take an empty field for a missing one.
    texts = {name: text if text.strip() else NOTHING["zh"] for name, text in list_texts(rubric, item).items()}
    return Task(rater, item.number, texts)


def read_answers(study: RatingStudy, answers: Iterable[Answer]) -> dict[tuple[str, int], dict[str, int]]:
    """The scores by rater and item.

    Raises:
        ValueError: an answer is of another study's task, lacks an aspect or is off its scale, or a task has two.
    """
    tasks = {
        (rater.name, item.number): _task(study.rubric, rater.name, item)
        for rater in study.raters()
        for item in study.items(rater.name)
    }
    ratings: dict[tuple[str, int], dict[str, int]] = {}
    for answer in answers:
        rater, item = key = answer.task.rater, answer.task.item
        if key not in tasks:
            raise ValueError(
                f"{answer.where}: the study has no rater {rater!r} with an item {item}; allowed: its tasks"
            )
        if answer.task != tasks[key]:
            raise ValueError(f"{answer.where} has other texts than {rater}, item {item}; allowed: tasks of this study")
        if key in ratings:
            raise ValueError(f"{answer.where}: {rater} rated item {item} twice; allowed: once")
        ratings[key] = {aspect.name: _point(answer, aspect) for aspect in study.rubric.aspects}
    return ratings


def _point(answer: Answer, aspect: Aspect) -> int:
    points = {str(point): point for point in aspect.values}
    choice = answer.choices.get(aspect.name)
    if choice not in points:
        raise ValueError(f"{answer.where}: {aspect.name} is {choice!r}; allowed: {', '.join(points)}")
    return points[choice]


def list_headings(rubric: Rubric) -> dict[str, str]:
    """What stands above each of the texts, in both languages."""
    zh, en = (SHOWN[rubric.judged][language] for language in LANGUAGES)
    return {name: in_both(Words(zh=zh[n], en=en[n])) for n, name in enumerate(TEXTS[rubric.judged])}


def list_options(aspect: Aspect) -> dict[str, str]:
    """What stands beside each point in both languages, by the point as text."""
    return {str(point): f"{digit_of(aspect, point)} {in_both(words)}" for point, words in sorted(aspect.scale.items())}


def in_both(words: Words) -> str:
    """A text in Chinese and English, once where both are the same."""
    return words.zh if words.zh == words.en else f"{words.zh} / {words.en}"


def render_guidelines() -> str:
    """What raters must read before they begin, with the help lines, as HTML in both languages."""
    warnings = {language: re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", WARNING[language]) for language in LANGUAGES}
    return "\n\n".join(f"<p>{warning}</p>\n{render_help_box(language)}" for language, warning in warnings.items())
