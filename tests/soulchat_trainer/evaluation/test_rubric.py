"""The rubrics that ship, a user's own, and what is refused."""

from pathlib import Path

import pytest

from soulchat_trainer.evaluation.rubric import PLACES, Rubric, read_rubric, rubric_names

OWN = """
name: warmth
title: {en: Warmth, zh: 温暖}
source: our own
judged: reply
prompt: "{aspects}|{history}|{reply}|{form}"
aspects:
  - name: warmth
    title: {en: Warmth, zh: 温暖}
    question: 是否温暖？
    scale: {0: {en: cold, zh: 冷}, 1: {en: warm, zh: 暖}}
"""


def read_own(folder: Path, text: str = OWN) -> Rubric:
    path = folder / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return read_rubric(str(path))


def test_the_rubrics_that_ship_have_the_published_aspects_and_scales() -> None:
    found = {
        name: {aspect.name: (aspect.minimum, aspect.maximum) for aspect in read_rubric(name).aspects}
        for name in rubric_names()
    }
    assert found == {
        "cehs": {"content": (0, 2), "empathy": (0, 2), "helpfulness": (0, 2), "safety": (0, 1)},
        "cpsycoun": {
            "comprehensiveness": (0, 2),
            "professionalism": (0, 3),
            "authenticity": (0, 3),
            "safety": (0, 1),
        },
        "pair": {"preference": (-1, 1), "safety": (0, 1)},
    }
    assert [aspect.heading for aspect in read_rubric("cehs").aspects] == ["Con.", "Emp.", "Hel.", "Saf."]
    assert read_rubric("cpsycoun").average == "talks"


@pytest.mark.parametrize("name", ["cehs", "cpsycoun", "pair"])
def test_a_prompt_that_ships_asks_every_aspect_and_keeps_what_is_judged_as_it_is(name: str) -> None:
    rubric = read_rubric(name)
    texts = {place: f"〈{place}〉{{aspects}}" for place in PLACES[rubric.judged] if place not in ("aspects", "form")}
    prompt = rubric.render_prompt(**texts)
    assert all(text in prompt for text in texts.values())
    assert prompt.count("{aspects}") == len(texts)  # what a user wrote is not filled in
    for aspect in rubric.aspects:
        assert aspect.question.zh in prompt
        assert all(f"{point}: {meaning.zh}" in prompt for point, meaning in aspect.scale.items())


def test_a_users_own_file(tmp_path: Path) -> None:
    rubric = read_own(tmp_path)
    assert rubric.aspects[0].question.en == rubric.aspects[0].question.zh == "是否温暖？"
    assert rubric.aspects[0].heading == "Warmth"
    assert rubric.answer_schema()["properties"]["warmth"] == {"type": "integer", "enum": [0, 1]}
    assert (
        rubric.fingerprint == read_own(tmp_path).fingerprint != read_own(tmp_path, OWN.replace("冷", "凉")).fingerprint
    )
    english = read_own(tmp_path, OWN + "language: en\n").render_prompt(history="h", reply="r")
    assert english.startswith("【warmth】Warmth\n是否温暖？\n0: cold\n1: warm|h|r|Answer with one JSON object")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    scale: {0: {en: cold, zh: 冷}, 1: {en: warm, zh: 暖}}\n",
            "",
            "aspects.0.scale is missing; allowed: a value",
        ),
        ("1: {en: warm", "2: {en: warm", r"scale of warmth is \[0, 2\]; allowed: two or more"),
        (", 1: {en: warm, zh: 暖}", "", r"scale of warmth is \[0\]; allowed"),
        ("|{reply}", "", "prompt lacks {reply}; allowed: one that has it"),
        ("name: warmth\n    ", "name: rater\n    ", "aspect is 'rater'; allowed: another name"),
        ("name: warmth\n    ", "name: 温暖\n    ", "name is '温暖'; allowed: up to 40 of a-z"),
        ("judged: reply", "judged: post", "judged is 'post'"),
        ("judged: reply", "judged: pair", "prompt lacks {first}, {second}; allowed: one that has it"),
        ("source: our own\n", "", "source is missing; allowed: a value"),
        ("source: our own", "source: ''", "source is ''; allowed: 1 character or more"),
        ("source: our own", "sauce: 1", "own.yaml: sauce is unknown; allowed: name, title, source, judged"),
        ("{en: warm, zh: 暖}", "{en: warm}", "aspects.0.scale.1.zh is missing"),
        ("{en: warm, zh: 暖}", "", "aspects.0.scale.1 is None; allowed: an object"),
        ("aspects:", "aspects: [", "is not YAML: .*; allowed: YAML"),
    ],
)
def test_a_broken_file_is_told_in_a_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert OWN.count(old) >= 1
    with pytest.raises(ValueError, match=message) as caught:
        read_own(tmp_path, OWN.replace(old, new))
    assert "own.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_aspect_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="aspects has warmth twice"):
        read_own(tmp_path, OWN + OWN.partition("aspects:\n")[2])


def test_no_such_rubric() -> None:
    with pytest.raises(ValueError, match="rubric is 'bert'; allowed: cehs, cpsycoun, pair, or a YAML file"):
        read_rubric("bert")


def test_a_pair_turned_round() -> None:
    assert read_rubric("pair").turn_round({"preference": -1, "safety": 1}) == {"preference": 1, "safety": 1}


GOOD = {"content": 2, "empathy": 0, "helpfulness": 1, "safety": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"content": 3}, "content is 3; allowed: whole numbers from 0 to 2"),
        ({"safety": 2}, "safety is 2; allowed: whole numbers from 0 to 1"),
        ({"empathy": -1}, "empathy is -1"),
        ({"empathy": True}, "empathy is True"),
        ({"empathy": 1.0}, "empathy is 1.0"),
        ({"helpfulness": None}, "helpfulness is None"),
    ],
)
def test_scores_off_the_scale_name_the_aspect_and_what_is_allowed(change: dict, message: str) -> None:
    rubric = read_rubric("cehs")
    rubric.check_scores(GOOD)
    with pytest.raises(ValueError, match=message):
        rubric.check_scores(GOOD | change)
