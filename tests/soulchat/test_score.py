"""Scores of files from the shell: the three forms agree with the library, and each fault is named."""

from pathlib import Path

import orjson
import pandas
import pytest
from typer.testing import CliRunner

import soulchat_metrics
from soulchat.cli import app

ROWS = {"prediction": ["我能理解你的感受。", "none"], "reference": ["我理解你现在的感受。", "说说看"]}


def write(folder: Path, suffix: str, rows: dict = ROWS) -> Path:
    path, table = folder / f"replies{suffix}", pandas.DataFrame(rows)
    if suffix == ".csv":
        table.to_csv(path, index=False)
    elif suffix == ".parquet":
        table.to_parquet(path)
    else:
        path.write_text(table.to_json(orient="records", lines=True, force_ascii=False))
    return path


def score(*words: str | Path) -> str:
    return CliRunner().invoke(app, ["score", *map(str, words)], catch_exceptions=False).output


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_every_form_scores_as_the_library(suffix: str, tmp_path: Path) -> None:
    expected = soulchat_metrics.score(ROWS["prediction"], ROWS["reference"])
    found = orjson.loads(score(write(tmp_path, suffix), "--json"))
    assert found["bleu-4"] == pytest.approx(expected["bleu-4"])
    lines = score(write(tmp_path, suffix)).splitlines()
    assert lines[0] == f"bleu-1    {expected['bleu-1']:8.2f}"
    assert lines[-1] == f"2 replies, {expected['signature']}"


def test_references_from_another_file(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = write(tmp_path / "other", ".csv", {"gold": ROWS["reference"]})
    flags = ("--references", other, "--reference-column", "gold")
    assert score(write(tmp_path, ".jsonl"), *flags) == score(write(tmp_path, ".jsonl"))
    short = write(tmp_path / "other", ".parquet", {"reference": ["一"]})
    with pytest.raises(ValueError, match=r"has 2 rows, .* has 1; allowed: equally many"):
        score(write(tmp_path, ".jsonl"), "--references", short)


def test_what_cannot_be_scored_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"replies\.csv: the columns are prediction, reference; allowed: reply and"):
        score(write(tmp_path, ".csv"), "--prediction-column", "reply")
    with pytest.raises(ValueError, match="prediction 1 is NoneType"):
        score(write(tmp_path, ".parquet", {**ROWS, "prediction": ["一", None]}))
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ValueError, match=r"is a \.txt; allowed: \.csv, \.jsonl, \.parquet"):
        score(tmp_path / "a.txt")
    (tmp_path / "a.jsonl").write_text("{")
    with pytest.raises(ValueError, match="line 1 is no JSON object"):
        score(tmp_path / "a.jsonl")
    with pytest.raises(OSError, match=r"none\.csv"):
        score(tmp_path / "none.csv")


def test_thoughts_before_a_reply_are_not_scored(tmp_path: Path) -> None:
    """As other trainers leave them in the files of models that think."""
    thoughts = ["<think>\n\n</think>\n\n", "他不想说。\n</think>\n\n"]
    with_thoughts = {name: [a + b for a, b in zip(thoughts, ROWS[name], strict=True)] for name in ROWS}
    assert score(write(tmp_path, ".jsonl", with_thoughts)) == score(write(tmp_path, ".csv"))
