"""A rater's items out to Label Studio and Argilla and back, read by these tools' own packages in the slow tests."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from soulchat.rate.exchange import EXPORTS, export_tasks, import_ratings
from soulchat.rate.study import RatingStudy, create_study
from soulchat_trainer.evaluation.rubric import Rubric, read_rubric
from tests.paths import FIXTURES
from tests.soulchat.harness.tool_environment import run, tool_environment
from tests.soulchat.rate.rating_parts import CEHS, all_scores, make_study, write_system, write_systems

TALK = Rubric.model_validate(
    {
        "name": "warmth",
        "title": "Warmth",
        "source": "our own",
        "judged": "talk",
        "prompt": "{aspects} {talk} {form}",
        # A name that both tools have for something else, and markup in what people read.
        "aspects": [{"name": "reply", "title": "<A & B>", "question": "Is it warm?", "scale": {1: "no", 2: "yes"}}],
    }
)
RUBRICS = {"reply": CEHS, "talk": TALK, "pair": read_rubric("pair")}


def make(folder: Path, rubric: Rubric, raters: int = 2) -> RatingStudy:
    create_study(write_systems(folder), raters, 4, 0, folder / "study", rubric)
    return RatingStudy(folder / "study")


def answer_label_studio(folder: Path, rubric: Rubric, points: dict[str, int]) -> Path:
    """The export of a project in which every task has these points."""
    result = [
        {"from_name": f"question-{name}", "to_name": "reply", "type": "choices", "value": {"choices": [str(point)]}}
        for name, point in points.items()
    ]
    tasks = json.loads((folder / "tasks.json").read_bytes())
    for number, task in enumerate(tasks, start=1):
        annotation = {"id": number, "completed_by": 7, "was_cancelled": False, "lead_time": 4.2, "result": result}
        task |= {"id": number, "annotations": [annotation], "drafts": [], "predictions": []}
    return write(folder / "export.json", tasks)


def answer_argilla(folder: Path, rubric: Rubric, points: dict[str, int]) -> Path:
    """The records of a dataset in which every record has these points."""
    records = json.loads((folder / "records.json").read_bytes())
    for record in records:
        record["responses"] = {
            f"question-{name}": [{"value": str(point), "user_id": "a3c1"}] for name, point in points.items()
        }
        record["_server_id"] = "b2d0"
    return write(folder / "answered.json", records)


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


ANSWERS: dict[str, Callable[[Path, Rubric, dict[str, int]], Path]] = {
    "label-studio": answer_label_studio,
    "argilla": answer_argilla,
}
BOTH = pytest.mark.parametrize("tool", EXPORTS)


@BOTH
@pytest.mark.parametrize("judged", RUBRICS)
def test_items_go_out_in_the_raters_order_and_come_back_as_ratings(tool: str, judged: str, tmp_path: Path) -> None:
    rubric = RUBRICS[judged]
    study = make(tmp_path, rubric)
    items = study.items("rater-2")
    assert export_tasks(study, tool, "rater-2", tmp_path / "out") == len(items)
    points = {aspect.name: aspect.maximum for aspect in rubric.aspects}
    assert import_ratings(study, path := ANSWERS[tool](tmp_path / "out", rubric, points)) == len(items)
    rated = study.items("rater-2")
    assert [item.number for item in rated] == [item.number for item in items]
    assert all(item.scores == points for item in rated)  # of a pair as this rater saw it
    assert all(rating.rater == "rater-2" for rating in study.ratings())
    assert import_ratings(study, path) == len(items)  # once more changes nothing


def test_label_studios_files(tmp_path: Path) -> None:
    study = make(tmp_path, RUBRICS["pair"])
    export_tasks(study, "label-studio", "rater-1", tmp_path / "out")
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_bytes())
    first, second = study.items("rater-1")[0].texts
    assert tasks[0] == {
        "data": {
            "rater": "rater-1",
            "item": study.items("rater-1")[0].number,
            "dialogue": study.items("rater-1")[0].history,
            "first": first,
            "second": second,
        }
    }
    view = ElementTree.parse(tmp_path / "out" / "config.xml").getroot()
    assert [(text.get("name"), text.get("value")) for text in view.iter("Text")] == [
        ("dialogue", "$dialogue"),
        ("first", "$first"),
        ("second", "$second"),
    ]
    preference, safety = view.iter("Choices")
    assert [(choice.get("alias"), choice.get("value")) for choice in preference] == [
        ("-1", "1 甲更好 / the first is better"),
        ("0", "2 两者相当 / a tie"),
        ("1", "3 乙更好 / the second is better"),
    ]
    assert (safety.get("name"), safety.get("required")) == ("question-safety", "true")


@BOTH
def test_nothing_tells_which_system_wrote_what(tool: str, tmp_path: Path) -> None:
    folders = [write_system(tmp_path / name, {"d1": "我在听。"}) for name in ("secret-a", "secret-b")]
    create_study(folders, 1, 1, 0, tmp_path / "study", CEHS)
    export_tasks(RatingStudy(tmp_path / "study"), tool, "rater-1", tmp_path / "out")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) == 3
    assert not any(b"secret" in path.read_bytes() for path in files)


@BOTH
def test_raters_are_warned_and_get_help_lines(tool: str, tmp_path: Path) -> None:
    export_tasks(make(tmp_path, CEHS), tool, "rater-1", tmp_path / "out")
    if tool == "argilla":
        words = json.loads((tmp_path / "out" / ".argilla" / "settings.json").read_bytes())["guidelines"]
    else:
        words = (tmp_path / "out" / "instructions.html").read_text(encoding="utf-8")
    for needed in ("<b>Please read this before you begin.</b>", "您可以随时停下", "12356"):
        assert needed in words


@BOTH
def test_what_is_rated_already_stays_behind(tool: str, tmp_path: Path) -> None:
    study, _ = make_study(tmp_path)
    numbers = [item.number for item in study.items("rater-1")]
    study.save_all([("rater-1", numbers[0], all_scores())])
    assert export_tasks(study, tool, "rater-1", tmp_path / "out") == len(numbers) - 1
    import_ratings(study, ANSWERS[tool](tmp_path / "out", CEHS, all_scores(content=0)))
    assert [item.scores for item in study.items("rater-1")] == [all_scores(), *[all_scores(content=0)] * 5]
    with pytest.raises(ValueError, match="rater is 'rater-1', who has rated all items; allowed: one with items left"):
        export_tasks(study, tool, "rater-1", tmp_path / "more")
    assert not (tmp_path / "more").exists()


@BOTH
def test_a_blank_reply_is_shown_as_none(tool: str, tmp_path: Path) -> None:
    create_study([write_system(tmp_path / "mute", {"d1": " "})], 1, 1, 0, tmp_path / "study", CEHS)
    study = RatingStudy(tmp_path / "study")
    export_tasks(study, tool, "rater-1", tmp_path / "out")
    [row] = json.loads((tmp_path / "out" / f"{'records' if tool == 'argilla' else 'tasks'}.json").read_bytes())
    assert row["fields" if tool == "argilla" else "data"]["reply"] == "（无）"
    assert import_ratings(study, ANSWERS[tool](tmp_path / "out", CEHS, all_scores())) == 1


def test_a_question_that_argilla_would_refuse_is_refused_before(tmp_path: Path) -> None:
    [aspect] = TALK.model_dump()["aspects"]
    for part, text, message in (
        ("question", "问" * 1001, "a question of reply has 1001 characters .*; allowed in Argilla: up to 1000"),
        ("scale", {1: "no", 2: "是" * 499}, "a point of reply has 501 characters .*; allowed in Argilla: up to 500"),
    ):
        rubric = Rubric.model_validate({**TALK.model_dump(), "aspects": [{**aspect, part: text}]})
        study = make(tmp_path / part, rubric)
        with pytest.raises(ValueError, match=message):
            export_tasks(study, "argilla", "rater-1", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_argillas_files_are_ascii(tmp_path: Path) -> None:
    """It opens them in the system's encoding."""
    export_tasks(make(tmp_path, CEHS), "argilla", "rater-1", tmp_path / "out")
    assert all(path.read_bytes().isascii() for path in (tmp_path / "out").rglob("*.json"))


def test_what_was_skipped_or_not_answered_is_not_rated(tmp_path: Path) -> None:
    study = make(tmp_path, CEHS)
    export_tasks(study, "label-studio", "rater-1", tmp_path / "out")
    tasks = json.loads(answer_label_studio(tmp_path / "out", CEHS, all_scores()).read_bytes())
    tasks[0]["annotations"][0] |= {"was_cancelled": True, "result": []}
    tasks[1]["annotations"] = []
    assert import_ratings(study, write(tmp_path / "export.json", tasks)) == len(tasks) - 2
    export_tasks(study, "argilla", "rater-2", tmp_path / "records")
    assert import_ratings(study, tmp_path / "records" / "records.json") == 0


def test_a_wrong_tool_or_rater_is_refused(tmp_path: Path) -> None:
    study = make(tmp_path, CEHS)
    with pytest.raises(ValueError, match="to is 'prodigy'; allowed: label-studio, argilla"):
        export_tasks(study, "prodigy", "rater-1", tmp_path / "out")
    with pytest.raises(ValueError, match="sheet is not given; allowed: rater-1, rater-2"):
        export_tasks(study, "argilla", None, tmp_path / "out")
    with pytest.raises(ValueError, match="rater is 'nobody'; allowed: rater-1, rater-2"):
        export_tasks(study, "argilla", "nobody", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_studys_export_is_refused(tmp_path: Path) -> None:
    """Its raters and items have the same names and numbers."""
    study, other = make(tmp_path / "one", CEHS), make_study(tmp_path / "two", seed=1)[0]
    for tool, answer in ANSWERS.items():
        export_tasks(other, tool, "rater-1", tmp_path / tool)
        path = answer(tmp_path / tool, CEHS, all_scores())
        with pytest.raises(
            ValueError, match=r"\d has other texts than rater-1, item \d; allowed: tasks of this study"
        ):
            import_ratings(study, path)
    assert study.ratings() == []


Change = Callable[[list[dict[str, Any]]], object]
WRONG: dict[str, tuple[str, Change, str]] = {
    "off its scale": (
        "label-studio",
        lambda rows: rows[1]["annotations"][0]["result"][0]["value"].update(choices=["7"]),
        "task 1: content is '7'; allowed: 0, 1, 2; nothing was imported",
    ),
    "two choices": (
        "label-studio",
        lambda rows: rows[0]["annotations"][0]["result"][0]["value"].update(choices=["1", "2"]),
        "task 0: content is '1, 2'; allowed: 0, 1, 2",
    ),
    "not all answered": (
        "label-studio",
        lambda rows: rows[0]["annotations"][0]["result"].pop(),
        "task 0: safety is None; allowed: 0, 1",
    ),
    "two annotations": (
        "label-studio",
        lambda rows: rows[0]["annotations"].append(rows[0]["annotations"][0]),
        r"task 0: rater-1 rated item \d twice; allowed: once",
    ),
    "no rater": ("label-studio", lambda rows: rows[2]["data"].pop("rater"), "2.data.rater is missing"),
    "another rater": (
        "label-studio",
        lambda rows: rows[0]["data"].update(rater="rater-8"),
        r"task 0: the study has no rater 'rater-8' with an item \d",
    ),
    "another form of annotations": (
        "label-studio",
        lambda rows: rows[0].update(annotations="none"),
        "0.annotations is 'none'; allowed: a valid list",
    ),
    "one answer of two": (
        "argilla",
        lambda rows: rows[1]["responses"].pop("question-empathy"),
        "record 1: empathy is None; allowed: 0, 1, 2",
    ),
    "two users": (
        "argilla",
        lambda rows: [given.append({**given[0], "user_id": "f00"}) for given in rows[0]["responses"].values()],
        r"record 0: rater-1 rated item \d twice; allowed: once",
    ),
    "no metadata": ("argilla", lambda rows: rows[0].pop("metadata"), "0.metadata is missing"),
    "neither": ("argilla", lambda rows: rows[0].pop("responses"), "is of another form; allowed: a CSV, the JSON"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_export_is_refused_in_one_line_and_changes_nothing(name: str, tmp_path: Path) -> None:
    tool, change, message = WRONG[name]
    study = make(tmp_path, CEHS)
    export_tasks(study, tool, "rater-1", tmp_path / "out")
    rows = json.loads(ANSWERS[tool](tmp_path / "out", CEHS, all_scores()).read_bytes())
    change(rows)
    with pytest.raises(ValueError, match=message) as found:
        import_ratings(study, path := write(tmp_path / "wrong.json", rows))
    assert str(found.value).startswith(str(path))
    assert "\n" not in str(found.value)
    assert study.ratings() == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{", "is not JSON .*; allowed: a CSV, the JSON export of Label Studio, or records.json of Argilla"),
        ("[]", "is of another form"),
        ("[1]", "is of another form"),
        ('{"data": 1, "annotations": 2}', "is of another form"),
        (
            '[{"rater": "rater-1", "item": 1, "question-content": "2", "annotator": 1}]',
            "is of another form",
        ),  # JSON-MIN
    ],
)
def test_other_json_is_refused(text: str, message: str, tmp_path: Path) -> None:
    study = make(tmp_path, CEHS)
    (tmp_path / "wrong.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        import_ratings(study, tmp_path / "wrong.json")
    assert study.ratings() == []


@pytest.mark.slow
def test_label_studios_own_package_loads_the_files(tmp_path: Path) -> None:
    """And an annotation that it takes for valid comes back."""
    python = tool_python("label-studio", tmp_path)
    for judged, rubric in RUBRICS.items():
        study, folder = make(tmp_path / judged, rubric), tmp_path / judged / "out"
        number = export_tasks(study, "label-studio", "rater-1", folder)
        printed = run(python, FIXTURES / "rate/check_label_studio.py", folder, cwd=tmp_path)
        (folder / "export.json").write_text(printed, encoding="utf-8")
        check_highest(study, folder / "export.json", number)


@pytest.mark.slow
def test_argillas_own_package_loads_the_files(tmp_path: Path) -> None:
    """It sends a server the dataset in the rater's order, and the records that it writes with responses come back."""
    python = tool_python("argilla", tmp_path)
    for judged, rubric in RUBRICS.items():
        study, folder = make(tmp_path / judged, rubric), tmp_path / judged / "out"
        number = export_tasks(study, "argilla", "rater-1", folder)
        program = FIXTURES / "rate/check_argilla.py"
        got = json.loads(run(python, program, folder, cwd=tmp_path, NO_PROXY="127.0.0.1"))
        assert [dataset["status"] for dataset in got["datasets"]] == ["ready"]
        assert [question["name"] for question in got["questions"]] == [f"question-{a.name}" for a in rubric.aspects]
        names = [part["name"] for kind in ("fields", "questions", "metadata-properties") for part in got[kind]]
        assert all(re.fullmatch(r"(?=.*[a-z0-9])[a-z0-9_-]+", name) for name in names)  # the server's rule
        items = study.items("rater-1")
        assert [record["external_id"] for record in got["bulk"]] == [f"rater-1-{item.number}" for item in items]
        check_highest(study, folder / "answered.json", number)


def tool_python(tool: str, folder: Path) -> Path:
    (folder / "wheel").mkdir()
    return tool_environment(tool, folder / "wheel") / "python"


def check_highest(study: RatingStudy, path: Path, number: int) -> None:
    """All items of the first rater have each aspect's highest point, as the rater saw them."""
    assert import_ratings(study, path) == number
    highest = {aspect.name: aspect.maximum for aspect in study.rubric.aspects}
    assert [item.scores for item in study.items("rater-1")] == [highest] * number
