"""Table 1 with what people and a judge say beside the automatic scores."""

import re
from pathlib import Path

import orjson
import pytest

from soulchat_trainer.evaluation.agreement import compare_with_people, read_judgement
from soulchat_trainer.evaluation.agreement_report import write_agreement
from soulchat_trainer.evaluation.opinions import read_opinions
from soulchat_trainer.evaluation.tables import read_tables, render_latex, render_markdown
from tests.soulchat_trainer.evaluation.agreement_parts import rate, write_judgement
from tests.soulchat_trainer.evaluation.test_tables import GOOD, make_folder

pytest.importorskip("scipy", reason="the extra `train` is not installed")


def scores(point: int) -> dict[str, int]:
    return {"content": point, "empathy": point, "helpfulness": point, "safety": 1}


def write_scores(folder: Path) -> Path:
    """The judge gives good 2 and 1 in turn, and has not seen other."""
    return write_judgement(folder, {("good", f"d{n}-0"): scores(2 - n % 2) for n in range(12)})


def test_a_judge_alone_stands_beside_a_warning(tmp_path: Path) -> None:
    tables = read_tables([make_folder(tmp_path / name, name, GOOD) for name in ("good", "other")])
    opinions = read_opinions(write_scores(tmp_path / "judged"))
    text = render_markdown(tables, opinions)
    assert "| Con. (judge, not validated on people) |" in text
    assert re.search(r"\| a good \|.*\| 1\.50 \| 1\.50 \| 1\.50 \| 1\.00 \|", text)
    assert re.search(r"\| b other \|.*\|  \|  \|  \|  \|", text)
    assert "Rubric cehs: Con. 0 to 2" in text
    assert "judge" not in render_markdown(tables)


def test_people_and_the_corrected_judge_stand_side_by_side_in_markdown_and_latex(tmp_path: Path) -> None:
    tables = read_tables([make_folder(tmp_path / "good", "good", GOOD)])
    folder = write_scores(tmp_path / "judged")
    judgement = read_judgement(folder)
    people = [rate("a", "good", f"d{n}-0", scores(1 - n % 2)) for n in range(6)]
    write_agreement(compare_with_people(judgement, people), judgement.rubric, folder)
    opinions = read_opinions(folder)
    text = render_markdown(tables, opinions)
    assert "| Con. (people) | Con. (judge, corrected) | Emp. (people) |" in text
    assert "| 0.50 (0.00 to 1.07) |" in text
    assert "not validated" not in text
    latex = render_latex(tables, opinions)
    rows = [line for line in latex.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count("&") for line in rows} == {15}
    assert r"\begin{tabular}{l" + "r" * 15 + "}" in latex
    assert "% People: the mean of 1 raters over 6 items" in latex


@pytest.mark.parametrize("replies", [5, 12])  # fewer than were judged when people were compared, and as many
def test_an_agreement_of_other_scores_is_refused(replies: int, tmp_path: Path) -> None:
    folder = write_scores(tmp_path / "judged")
    judgement = read_judgement(folder)
    people = [rate("a", "good", f"d{n}-0", scores(1)) for n in range(6)]
    write_agreement(compare_with_people(judgement, people), judgement.rubric, folder)
    write_judgement(folder, {("good", f"d{n}-0"): scores(0) for n in range(replies)})
    with pytest.raises(
        ValueError, match="is of other scores than those beside it; allowed: after `soulchat judge agree`"
    ):
        read_opinions(folder)


@pytest.mark.parametrize("field", ["judge", "judged", "both", "raters", "judged_sha256", "systems"])
def test_an_agreement_of_another_form_is_told_in_a_line(field: str, tmp_path: Path) -> None:
    folder = write_scores(tmp_path / "judged")
    judgement = read_judgement(folder)
    people = [rate("a", "good", f"d{n}-0", scores(1)) for n in range(6)]
    report = compare_with_people(judgement, people)
    for changed in ({**report, field: None}, {key: value for key, value in report.items() if key != field}):
        (folder / "agreement.json").write_bytes(orjson.dumps(changed))
        with pytest.raises(
            ValueError, match=rf"agreement.json is of another form \({field} [^\n]*\); allowed: [^\n]*$"
        ):
            read_opinions(folder)
    del report["systems"]["good"]["empathy"]
    (folder / "agreement.json").write_bytes(orjson.dumps(report))
    with pytest.raises(ValueError, match=r"agreement\.json lacks empathy of good; allowed: all aspects of cehs"):
        read_opinions(folder)


def test_pairs_have_no_column(tmp_path: Path) -> None:
    folder = write_judgement(tmp_path, {("a|b", "d0-0"): {"preference": 1, "safety": 1}}, "pair")
    with pytest.raises(ValueError, match="has judged pairs; allowed in a table of systems: replies or talks"):
        read_opinions(folder)
