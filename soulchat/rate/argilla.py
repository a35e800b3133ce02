"""A dataset for Argilla as its `Dataset.to_disk` writes it, and its records with responses.

Format: https://docs.argilla.io/latest/how_to_guides/import_export. Lengths are what its server admits
(argilla_server/api/schemas/v1/questions.py, version 2.8).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, StrictInt, TypeAdapter

from soulchat_trainer.evaluation.rubric import Aspect, Rubric
from soulchatcorpus.files import write_text

from .page_words import question_id
from .study import RatingStudy
from .tasks import TEXTS, Answer, Task, in_both, list_headings, list_options, list_tasks, render_guidelines

RECORDS_FILE = "records.json"
KEYS = {"fields", "responses"}  # of each record in an export
_LONGEST = {"title": 500, "question": 1000, "point": 500}
_DISTRIBUTION = {"strategy": "overlap", "min_submitted": 1}  # each dataset is one rater's


def export_dataset(study: RatingStudy, rater: str, folder: Path) -> int:
    """Write a folder for `Dataset.from_disk`, a dataset of this rater; returns the number of records.

    Raises:
        ValueError: there is no such rater, they have rated all, or a text of the rubric is too long for Argilla.
    """
    tasks = list_tasks(study, rater)
    settings = make_settings(study.rubric)
    shared = {name: settings[name] for name in ("guidelines", "allow_extra_metadata", "distribution")}
    _write(folder / ".argilla" / "settings.json", settings)
    _write(folder / ".argilla" / "dataset.json", {"name": f"{study.rubric.name} {rater}", **shared})
    _write(folder / RECORDS_FILE, [_record(task) for task in tasks])
    return len(tasks)


def _write(path: Path, value: Any) -> None:
    """In ASCII, since Argilla opens its files in the system's encoding, which may be GBK."""
    write_text(path, json.dumps(value, indent=2))


def _record(task: Task) -> dict[str, Any]:
    return {
        "id": f"{task.rater}-{task.item}",
        "fields": task.texts,
        "metadata": {"rater": task.rater, "item": task.item},
        "suggestions": {},
        "responses": {},
        "vectors": {},
    }


def make_settings(rubric: Rubric) -> dict[str, Any]:
    """The dataset's settings: a field for each text, and each aspect's question with its points as labels.

    Raises:
        ValueError: a text of the rubric is too long for Argilla.
    """
    return {
        "guidelines": render_guidelines(),
        "allow_extra_metadata": False,
        "distribution": _DISTRIBUTION,
        "fields": [
            {"name": name, "title": heading, "required": True, "settings": {"type": "text", "use_markdown": False}}
            for name, heading in list_headings(rubric).items()
        ],
        "questions": [_question(aspect) for aspect in rubric.aspects],
        "vectors": [],
        "metadata": [
            {"name": name, "title": name, "settings": {"type": kind}}
            for name, kind in (("rater", "terms"), ("item", "integer"))
        ],
    }


def _question(aspect: Aspect) -> dict[str, Any]:
    options = {point: _fitting(aspect, "point", text) for point, text in list_options(aspect).items()}
    return {
        "name": question_id(aspect),
        "title": _fitting(aspect, "title", in_both(aspect.title)),
        "description": _fitting(aspect, "question", in_both(aspect.question)),
        "required": True,
        "settings": {
            "type": "label_selection",
            "options": [{"value": point, "text": text} for point, text in options.items()],
        },
    }


def _fitting(aspect: Aspect, part: str, text: str) -> str:
    if len(text) > _LONGEST[part]:
        raise ValueError(
            f"a {part} of {aspect.name} has {len(text)} characters in Chinese and English together; "
            f"allowed in Argilla: up to {_LONGEST[part]}"
        )
    return text


class _Metadata(BaseModel):
    rater: str
    item: StrictInt


class _Response(BaseModel):
    value: str
    user_id: str


class _Record(BaseModel):
    fields: dict[str, str]
    metadata: _Metadata
    responses: dict[str, list[_Response]]


def read_records(rubric: Rubric, records: Any) -> Iterator[Answer]:
    """The answers of an export, one for each user of a record. Raises ValueError where it is of another form."""
    for place, record in enumerate(TypeAdapter(list[_Record]).validate_python(records)):
        texts = {name: record.fields.get(name, "") for name in TEXTS[rubric.judged]}
        given: dict[str, dict[str, str]] = {}
        for aspect in rubric.aspects:
            for response in record.responses.get(question_id(aspect), []):
                given.setdefault(response.user_id, {})[aspect.name] = response.value
        for choices in given.values():
            yield Answer(f"record {place}", Task(record.metadata.rater, record.metadata.item, texts), choices)
