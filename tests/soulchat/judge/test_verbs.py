"""`soulchat judge …` at the command line: dry runs, asking before text leaves, errors of one line."""

import sys
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from soulchat.cli import app, main
from soulchat.rate.study import RatingStudy, create_study
from soulchat_trainer.evaluation.rubric import read_rubric
from tests.soulchat.rate.rating_parts import all_scores, make_study, write_systems

GOOD = '{"reason": "好", "content": 2, "empathy": 1, "helpfulness": 1, "safety": 1}'


def run(*arguments: object, given: str = ""):
    return CliRunner().invoke(app, ["judge", *map(str, arguments)], input=given)


def test_a_dry_run_tells_requests_and_cost_and_sends_nothing(endpoint, tmp_path: Path) -> None:
    command = ["run", *write_systems(tmp_path), "--output", tmp_path / "out", "--base-url", endpoint.base_url]
    result = run(*command, "--model", "gpt-4", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "10 requests" in result.output
    assert "about $0." in result.output
    assert "price of stub not known" in run(*command, "--model", "stub", "--dry-run").output
    assert not endpoint.asked
    assert not (tmp_path / "out").exists()


def test_a_run_tells_what_it_got_and_that_it_is_not_validated(endpoint, tmp_path: Path) -> None:
    endpoint.answer = lambda content, model: GOOD if "warm" in content else "好的"
    command = ["run", *write_systems(tmp_path), "--output", tmp_path / "out", "--base-url", endpoint.base_url]
    result = run(*command, "--model", "stub")
    assert result.exit_code == 0, result.output
    assert "5 scored, 5 without scores {'unparsable': 5}, 0 open" in result.output
    assert "not validated on people" in result.output


def test_a_judge_that_gave_no_score_at_all_does_not_end_well(endpoint, tmp_path: Path) -> None:
    endpoint.answer = lambda content, model: "好的"
    command = ["run", *write_systems(tmp_path), "--output", tmp_path / "out", "--base-url", endpoint.base_url]
    assert run(*command, "--model", "stub").exit_code == 1


def test_it_asks_before_text_leaves_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    command = ["run", *write_systems(tmp_path), "--output", tmp_path / "o", "--base-url", "https://api.example.com/v1"]
    result = run(*command, "--model", "gpt-4", given="n\n")
    assert result.exit_code == 1
    assert "10 prompts" in result.output
    assert "private details masked, will be sent to api.example.com" in result.output
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rubric", "bert"], "rubric (--rubric) is 'bert'; allowed: cehs, cpsycoun, pair, or a YAML file"),
        (["--repeats", "0"], "repeats (--repeats) is 0; allowed: 1 or more"),
        (["--samples", "9"], "samples (--samples) is 9; allowed: 1 to 5"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    systems = [str(path) for path in write_systems(tmp_path)]
    command = ["soulchat", "judge", "run", *systems, "--output", str(tmp_path / "o"), "--model", "m", *arguments]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def judge_study(endpoint, folder: Path) -> tuple[Path, Path]:
    """A study of two systems that three people rated, and a judge's folder of the same systems."""
    study, _ = make_study(folder, samples=4)
    for rater in study.raters():
        for item in study.items(rater.name):
            scores = all_scores(content=2 if "warm" in item.texts[0] else item.number % 2)
            study.save_all([(rater.name, item.number, scores)])
    endpoint.answer = lambda content, model: GOOD
    command = ["run", folder / "warm", folder / "cold", "--output", folder / "judged", "--base-url", endpoint.base_url]
    assert run(*command, "--model", "stub").exit_code == 0
    return folder / "study", folder / "judged"


def test_agree_measures_the_judge_against_the_study(endpoint, tmp_path: Path) -> None:
    study, judged = judge_study(endpoint, tmp_path)
    result = run("agree", study, judged)
    assert result.exit_code == 0, result.output
    assert "10 items are judged" in result.output
    assert "8 are rated by 3 people, 8 are both" in result.output.replace("\n", " ")
    assert {path.name for path in judged.iterdir()} >= {"agreement.json", "agreement.md", "agreement.png"}
    report = orjson.loads(run("agree", study, judged, "--json").output)
    assert report["systems"]["warm"]["content"]["people"]["mean"] == 2
    assert report["aspects"]["empathy"]["bias"]["value"] == 0


@pytest.mark.parametrize("names", [("warm", "cold"), ("cold", "warm")])
def test_agree_on_pairs_whatever_the_order_of_the_systems(endpoint, tmp_path: Path, names: tuple[str, str]) -> None:
    """People prefer "warm" but for one tie; the judge prefers it always."""
    create_study(write_systems(tmp_path, dialogues=6), 2, 6, 0, tmp_path / "study", read_rubric("pair"))
    study = RatingStudy(tmp_path / "study")
    for rater in study.raters():
        for item in study.items(rater.name):
            better = -1 if item.texts[0].startswith("warm") else 1
            study.save_all([(rater.name, item.number, {"preference": better * (item.number > 1), "safety": 1})])

    def prefer_warm(content: str, model: str) -> str:
        better = -1 if content.index("warm的回复") < content.index("cold的回复") else 1
        return f'{{"reason": "好", "preference": {better}, "safety": 1}}'

    endpoint.answer = prefer_warm
    sources = [tmp_path / name for name in names]
    asked = ["--output", tmp_path / "judged", "--base-url", endpoint.base_url, "--model", "stub", "--rubric", "pair"]
    assert run("run", *sources, *asked).exit_code == 0
    report = orjson.loads(run("agree", tmp_path / "study", tmp_path / "judged", "--json").output)
    warm = -1 if names[0] == "warm" else 1
    assert report["aspects"]["preference"]["bias"]["value"] == pytest.approx(warm / 6)
    people = report["systems"][" / ".join(names)]["preference"]["people"]
    assert people["mean"] == pytest.approx(warm * 5 / 6)


def test_agree_with_another_rubric_or_without_ratings_is_one_line(
    endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    make_study(tmp_path)
    endpoint.answer = lambda content, model: GOOD
    common = ["--base-url", endpoint.base_url, "--model", "stub", "--output"]
    assert run("run", tmp_path / "warm", *common, tmp_path / "judged").exit_code == 0
    endpoint.answer = lambda content, model: '{"preference": 1, "safety": 1}'
    systems = [tmp_path / "warm", tmp_path / "cold"]
    assert run("run", *systems, *common, tmp_path / "pairs", "--rubric", "pair").exit_code == 0
    for judged, message in (
        ("judged", "no ratings yet"),
        ("pairs", "safety of a pair (pair)"),
    ):
        monkeypatch.setattr(
            sys, "argv", ["soulchat", "judge", "agree", str(tmp_path / "study"), str(tmp_path / judged)]
        )
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
