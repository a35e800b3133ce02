import csv
import io
from pathlib import Path

import pytest

from soulchat.rate.exchange import import_ratings
from soulchat.rate.sheets import FORMULAS, export_ratings, export_sheet
from soulchat.rate.study import RatingStudy, create_study
from soulchat_trainer.evaluation.rubric import read_rubric
from tests.soulchat.rate.rating_parts import CEHS, all_scores, make_study, write_system, write_systems

HEAD = "rater,item,content,empathy,helpfulness,safety"


def test_export_has_the_columns_and_comes_back(tmp_path):
    study, _ = make_study(tmp_path / "a")
    study.save_all([("rater-1", 2, all_scores()), ("rater-3", 6, all_scores(safety=0))])
    path = tmp_path / "ratings.csv"
    assert export_ratings(study, path) == 2
    assert path.read_text() == f"{HEAD}\nrater-1,2,2,1,0,1\nrater-3,6,2,1,0,0\n"
    other, _ = make_study(tmp_path / "b")
    assert import_ratings(other, path) == 2
    assert other.ratings() == study.ratings()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_sheet_is_filled_in_by_hand_and_imported(tmp_path, encoding):
    study, _ = make_study(tmp_path)
    study.save_all([("rater-2", 1, all_scores())])
    path = tmp_path / "sheet.csv"
    assert export_sheet(study, "rater-2", path) == 6
    assert path.read_bytes().startswith(b"\xef\xbb\xbfrater,item,")  # Excel reads it as UTF-8
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [int(line["item"]) for line in lines] == [item.number for item in study.items("rater-2")]
    assert all(line["dialogue"].startswith("用户：") and line["reply"] for line in lines)
    for line in lines[:3]:
        line.update({name: str(score) for name, score in all_scores().items()})
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    import_ratings(study, path)
    filled = {int(line["item"]) for line in lines[:3]} | {1}
    assert {rating.item for rating in study.ratings()} == filled
    with pytest.raises(ValueError, match="rater is 'nobody'; allowed: rater-1"):
        export_sheet(study, "nobody", path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEAD}\nrater-1,1,3,0,0,0\n", "rater-1, item 1: content is 3.*nothing was imported"),
        (f"{HEAD}\nrater-1,1,2,0,0,0\nrater-1,77,2,0,0,0\n", "rater 'rater-1', item 77 is not in the study"),
        (f"{HEAD}\nrater-1,{10**30},2,0,0,0\n", f"item {10**30} is not in the study"),
        (
            f"{HEAD}\nrater-7,1,2,0,0,0\n",
            "rater 'rater-7', item 1 is not in .*: rater-1, rater-2, rater-3, items 1 to 6",
        ),
        (f"{HEAD}\n,1,2,0,0,0\n", "rater '', item 1 is not in the study"),
        (f"{HEAD},reply\nrater-1,1,2,0,0,0,a\nrater-1,", "line 3 has too few cells; allowed: one for each column"),
        (f"{HEAD},reply\nrater-1,1,1,1,0,0,0,a\n", "line 2 has too many cells"),  # a comma for a point
        (f"{HEAD},safety\nrater-1,1,2,0,0,0,1\n", "has the column safety twice; allowed: once"),
        (f"{HEAD}\nrater-1,1,2,x,0,0\n", "line 2: .*empathy 'x'.*whole numbers"),
        (f"{HEAD}\nrater-1,1,2,,0,0\n", "line 2: .*empathy ''"),
        (f"{HEAD}\nrater-1,1\nrater-1,1,2,0,0,0\nrater-1,1,2,0,0,0\n", "line 4: rater-1 rated item 1 twice"),
        ("rater,item,content\nrater-1,1,2\n", "lacks the column empathy, helpfulness, safety"),
        ("", "lacks the column rater"),
    ],
)
def test_a_wrong_file_is_refused_and_changes_nothing(tmp_path, text, message):
    study, _ = make_study(tmp_path)
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        import_ratings(study, path)
    assert study.ratings() == []


def test_a_file_that_is_no_text_is_refused(tmp_path):
    study, _ = make_study(tmp_path)
    (tmp_path / "wrong.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"wrong.csv is not UTF-8.*; allowed: UTF-8, UTF-16 or GBK"):
        import_ratings(study, tmp_path / "wrong.csv")


SHOWN = {  # a reply, and its cell
    '=HYPERLINK("http://x","点")': '\'=HYPERLINK("http://x","点")',
    "@SUM(A1)": "'@SUM(A1)",
    "-第一，先睡好": "'-第一，先睡好",
    "+1": "'+1",
    "\t=1+1": "'\t=1+1",
    "＝1": "'＝1",
    "a\rb": "a\nb",
    "\r=1": "'\n=1",
    "好\r\n的": "好\n的",
    "我在 = 听": "我在 = 听",
}


def test_a_reply_is_no_formula_and_one_row(tmp_path: Path) -> None:
    """In a spreadsheet, which splits rows at a lone CR, and in a program that takes the file for UTF-8 by its mark."""
    replies = {f"d{n}": reply for n, reply in enumerate(SHOWN)}
    folders = [write_system(tmp_path / name, replies) for name in ("a", "b")]
    create_study(folders, 1, len(replies), 0, tmp_path / "study", CEHS)
    export_sheet(RatingStudy(tmp_path / "study"), "rater-1", path := tmp_path / "sheet.csv")
    data = path.read_bytes()
    assert data.startswith("\ufeff".encode())
    assert b"\r" not in data
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert [len(row) for row in rows] == [8] * (1 + 2 * len(replies))
    assert [cell for row in rows for cell in row if cell.startswith(FORMULAS)] == []
    assert {row[-1] for row in rows[1:]} == set(SHOWN.values())


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-16", "utf-8", "utf-8-sig"])
def test_a_sheet_comes_back_from_excel(encoding: str, tmp_path: Path) -> None:
    study, _ = make_study(tmp_path)
    export_sheet(study, "rater-1", path := tmp_path / "sheet.csv")
    head, *lines = path.read_text(encoding="utf-8-sig").splitlines()
    filled = [line.replace(",,,,,", ",2,1,0,1,", 1) for line in lines]
    path.write_bytes("\r\n".join([head, *filled, ""]).encode(encoding))
    assert import_ratings(study, path) == 6
    assert all(rating.scores == all_scores() for rating in study.ratings())


def test_an_import_never_changes_what_is_rated(tmp_path):
    study, tokens = make_study(tmp_path)
    name, window = study.open_window(tokens["rater-1"], "")
    study.save_from_window(name, window, 1, all_scores(), 40.0)
    path = tmp_path / "ratings.csv"
    path.write_text(f"{HEAD}\nrater-1,2,2,2,2,1\nrater-1,1,0,0,0,0\n")
    with pytest.raises(ValueError, match=r"item 1 has other scores already; allowed: .*; nothing was imported"):
        import_ratings(study, path)
    export_ratings(study, tmp_path / "exported.csv")
    import_ratings(study, tmp_path / "exported.csv")
    [rating] = study.ratings()
    assert (rating.scores, rating.seconds) == (all_scores(), 40.0)


def test_a_sheet_of_pairs_has_both_sides_in_the_raters_order_and_comes_back(tmp_path):
    create_study(write_systems(tmp_path), 1, 5, 0, tmp_path / "study", read_rubric("pair"))
    study = RatingStudy(tmp_path / "study")
    path = tmp_path / "sheet.csv"
    export_sheet(study, "rater-1", path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["first"], line["second"]) for line in lines] == [item.texts for item in study.items("rater-1")]
    for line in lines:
        line.update(preference="-1" if line["first"].startswith("warm") else "1", safety="1")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    assert import_ratings(study, path) == 5
    assert {rating.scores["preference"] for rating in study.ratings()} == {-1}
    export_ratings(study, tmp_path / "ratings.csv")
    assert import_ratings(study, tmp_path / "ratings.csv") == 5


def test_neither_a_filled_sheet_nor_the_study_is_written_over(tmp_path):
    study, _ = make_study(tmp_path)
    for path in (tmp_path / "filled.csv", study.path):
        path.exists() or path.write_text("filled in by hand")
        before = path.read_bytes()
        with pytest.raises(FileExistsError, match=rf"{path.name} already exists; allowed: a new file"):
            export_sheet(study, "rater-1", path)
        with pytest.raises(FileExistsError, match="already exists"):
            export_ratings(study, path)
        with pytest.raises(FileExistsError, match=f"{path.name} is no earlier file of the study's ratings; allowed"):
            export_ratings(study, path, overwrite=True)
        assert path.read_bytes() == before


def test_an_earlier_file_of_the_ratings_is_replaced_where_that_is_said(tmp_path):
    study, _ = make_study(tmp_path)
    path = tmp_path / "ratings.csv"
    assert export_ratings(study, path, overwrite=True) == 0
    study.save_all([("rater-1", 2, all_scores())])
    assert export_ratings(study, path, overwrite=True) == 1
    study.save_all([("rater-3", 6, all_scores(safety=0))])
    assert export_ratings(study, path, overwrite=True) == 2
    assert path.read_text() == f"{HEAD}\nrater-1,2,2,1,0,1\nrater-3,6,2,1,0,0\n"


@pytest.mark.parametrize(
    "held",
    [
        f"{HEAD}\nrater-1,1,2,1,0,1\n",  # that nobody has imported yet
        f"{HEAD},dialogue,reply\nrater-1,2,2,1,0,1,a,b\n",
        f"{HEAD}\nrater-1,2,2,1,0,?\n",
        "rater,item\n",
        "",
        '"',
    ],
)
def test_what_may_be_filled_in_by_hand_is_not_replaced(held, tmp_path):
    study, _ = make_study(tmp_path)
    study.save_all([("rater-1", 2, all_scores())])
    (tmp_path / "ratings.csv").write_text(held)
    with pytest.raises(
        FileExistsError, match=r"ratings\.csv is no earlier file of the study's ratings; allowed: a new"
    ):
        export_ratings(study, tmp_path / "ratings.csv", overwrite=True)
    assert (tmp_path / "ratings.csv").read_text() == held
