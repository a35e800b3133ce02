"""Tasks for Label Studio with their labelling configuration, and its JSON export.

Formats: https://labelstud.io/guide/task_format and https://labelstud.io/tags/choices (a choice's alias is what an
annotation has in place of its text).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pydantic import BaseModel, StrictInt, TypeAdapter

from soulchat_trainer.evaluation.rubric import Rubric
from soulchatcorpus.files import write_json, write_text

from .page_words import question_id
from .study import RatingStudy
from .tasks import TEXTS, Answer, Task, in_both, list_headings, list_options, list_tasks, render_guidelines

TASKS_FILE = "tasks.json"
KEYS = {"data", "annotations"}  # of each task in an export


def export_tasks(study: RatingStudy, rater: str, folder: Path) -> int:
    """Write tasks.json, config.xml and instructions.html, which are for a project of this rater; returns the number.

    Raises:
        ValueError: there is no such rater, or they have rated all.
    """
    tasks = list_tasks(study, rater)
    write_text(folder / "config.xml", render_config(study.rubric))
    write_text(folder / "instructions.html", render_guidelines() + "\n")
    write_json(
        folder / TASKS_FILE, [{"data": {"rater": task.rater, "item": task.item, **task.texts}} for task in tasks]
    )
    return len(tasks)


def render_config(rubric: Rubric) -> str:
    """The labelling configuration: the texts, and below them each aspect's question with its points as choices."""
    view = ElementTree.Element("View")
    for name, heading in list_headings(rubric).items():
        ElementTree.SubElement(view, "Header", value=heading)
        ElementTree.SubElement(view, "Text", name=name, value=f"${name}", valueType="text")
    for aspect in rubric.aspects:
        ElementTree.SubElement(view, "Header", value=in_both(aspect.title))
        ElementTree.SubElement(view, "Header", value=in_both(aspect.question), size="6")
        choices = ElementTree.SubElement(
            view,
            "Choices",
            name=question_id(aspect),
            toName=TEXTS[rubric.judged][-1],
            choice="single-radio",
            required="true",
        )
        for point, text in list_options(aspect).items():
            ElementTree.SubElement(choices, "Choice", value=text, alias=point)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


class _Data(BaseModel, extra="allow"):
    rater: str
    item: StrictInt


class _Value(BaseModel):
    choices: list[str] = []


class _Result(BaseModel):
    from_name: str = ""
    value: _Value = _Value()


class _Annotation(BaseModel):
    result: list[_Result]
    was_cancelled: bool = False


class _Task(BaseModel):
    data: _Data
    annotations: list[_Annotation]


def read_export(rubric: Rubric, tasks: Any) -> Iterator[Answer]:
    """The answers of an export; a task that was skipped has none. Raises ValueError where it is of another form."""
    for place, task in enumerate(TypeAdapter(list[_Task]).validate_python(tasks)):
        texts = {name: (task.data.model_extra or {}).get(name, "") for name in TEXTS[rubric.judged]}
        for annotation in task.annotations:
            if not annotation.was_cancelled:
                given = {result.from_name: ", ".join(result.value.choices) for result in annotation.result}
                choices = {a.name: given[question_id(a)] for a in rubric.aspects if question_id(a) in given}
                yield Answer(f"task {place}", Task(task.data.rater, task.data.item, texts), choices)
