"""`soulchat rate …`: a study from its beginning to its report, as the one who runs it types it."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from soulchat.rate.command import app
from tests.soulchat.rate.rating_parts import write_systems

pytest.importorskip("statsmodels", reason="the extra `app` is not installed")


def rate(*arguments: object) -> str:
    """What a verb prints."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False).stdout


def create(folder: Path) -> tuple[Path, str]:
    """A study of two systems, two raters and two dialogues, and what making it printed."""
    study = folder / "study"
    return study, rate("create", *write_systems(folder), "--output", study, "--raters", 2, "--samples", 2)


def test_create_prints_each_raters_token_once(tmp_path: Path) -> None:
    study, printed = create(tmp_path)
    assert printed.startswith("4 items for each rater, of 2 dialogues\n")
    tokens = re.findall(r"^(rater-\d): (\S+)$", printed, re.MULTILINE)
    assert [name for name, _ in tokens] == ["rater-1", "rater-2"]
    kept = b"".join(path.read_bytes() for path in study.rglob("*") if path.is_file())
    assert not any(token.encode() in kept for _, token in tokens)


def test_a_new_token_differs_from_the_lost_one(tmp_path: Path) -> None:
    study, printed = create(tmp_path)
    token = rate("token", study, "rater-1").strip()
    assert len(token) > 8
    assert token not in printed


def test_a_sheet_filled_in_by_hand_ends_in_the_report(tmp_path: Path) -> None:
    study, _ = create(tmp_path)
    for rater in ("rater-1", "rater-2"):
        sheet = tmp_path / f"{rater}.csv"
        assert rate("export", study, "--output", sheet, "--sheet", rater) == f"4 items of {rater}\n"
        rows = "".join(f"{rater},{item},2,1,0,1\n" for item in range(1, 5))
        sheet.write_text("rater,item,content,empathy,helpfulness,safety\n" + rows)
        assert rate("import", study, sheet) == "4 ratings\n"
    assert rate("export", study, "--output", tmp_path / "all.csv") == "8 ratings\n"
    assert rate("export", study, "--output", tmp_path / "all.csv", "--overwrite") == "8 ratings\n"
    for other in (["--sheet", "rater-1"], ["--to", "argilla", "--sheet", "rater-1"]):
        with pytest.raises(ValueError, match="overwrite is for the ratings alone; allowed with sheet or to: a new"):
            rate("export", study, "--output", tmp_path / "rater-1.csv", "--overwrite", *other)
    numbers = json.loads(rate("report", study, "--json"))
    assert [(row["name"], row["ratings"], row["content"]) for row in numbers["systems"]] == [
        ("warm", 4, 2),
        ("cold", 4, 2),
    ]
    shown = rate("report", study)
    assert "warm" in shown
    assert shown.endswith(f"\n{study / 'report.md'}\n")
    assert "| warm | " in (study / "report.md").read_text()


def test_items_go_to_another_tool_and_come_back(tmp_path: Path) -> None:
    study, _ = create(tmp_path)
    printed = rate("export", study, "--to", "argilla", "--sheet", "rater-2", "--output", tmp_path / "out")
    assert printed == "4 items of rater-2 that are not rated yet\n"
    records = json.loads((tmp_path / "out" / "records.json").read_bytes())
    answers = {"content": "2", "empathy": "1", "helpfulness": "0", "safety": "1"}
    for record in records:
        record["responses"] = {f"question-{name}": [{"value": v, "user_id": "u"}] for name, v in answers.items()}
    (tmp_path / "records.json").write_text(json.dumps(records))
    assert rate("import", study, tmp_path / "records.json") == "4 ratings\n"


def test_an_unknown_rater_is_refused(tmp_path: Path) -> None:
    study, _ = create(tmp_path)
    with pytest.raises(ValueError, match="nobody"):
        rate("token", study, "nobody")
