import csv
import json
from pathlib import Path

import pytest

from soulchat_metrics import METRIC_NAMES, score
from soulchat_metrics.pair_files import read_pairs, write_scores


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", '\ufeffid,reference,prediction\r\n1,"你好\n吗",你好\r\n2,在,我在\r\n'),
        ("a.csv", 'prediction,reference\n你好,"你好\n吗"\n我在,在\n'.encode("gbk")),
        ("a.CSV", 'prediction,reference\n你好,"你好\n吗"\n我在,在\n'),
        (
            "a.jsonl",
            '{"prediction": "你好", "reference": "你好\\n吗"}\n\n{"id": 2, "reference": "在", "prediction": "我在"}',
        ),
    ],
)
def test_pairs_of_both_formats(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert read_pairs(write(tmp_path, name, content)) == (["你好", "我在"], ["你好\n吗", "在"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", "", "the file is a .xlsx; allowed: .csv, .jsonl, .parquet"),
        ("a.csv", "回复,参考\n你,好\n", "the columns are 回复, 参考; allowed: prediction and reference"),
        ("a.parquet", "x", "the file is no Parquet that can be read"),
        ("a.csv", "", "the columns are nothing; allowed:"),
        ("a.csv", b"prediction,reference\n\xff,\n", "not in UTF-8; allowed: UTF-8, for CSV also GBK"),
        ("a.jsonl", '{"prediction": "你", "reference": "好"}'.encode("gb18030"), "not in UTF-8; allowed: UTF-8"),
        ("a.csv", 'prediction,reference\n"你,好\n我,在\n', "no CSV that can be read: unexpected end of data"),
        ("a.jsonl", '{"prediction": "你", "reference": "好"}\n["你"]\n', "line 2 is no JSON object"),
        ("a.csv", f"prediction,reference\n你,{'好' * 131_073}\n", "no CSV that can be read: field larger than"),
        ("a.jsonl", "{你", "line 1 is no JSON object"),
        ("a.jsonl", "[" * 100_000, "line 1 is no JSON object"),
        ("a.jsonl", '{"prediction": "你"}', "line 1: the columns are prediction; allowed:"),
    ],
)
def test_what_is_no_file_of_pairs(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_pairs(write(tmp_path, name, content))


def test_a_short_row_is_named_by_score(tmp_path: Path) -> None:
    pairs = read_pairs(write(tmp_path, "a.csv", "prediction,reference\n你,好\n我\n"))
    with pytest.raises(ValueError, match="reference 1 is NoneType"):
        score(*pairs)


def test_scores_are_written_unrounded(tmp_path: Path) -> None:
    result = score(["你好", "我在"], ["你好吗", "在"], return_sentence_scores=True)
    write_scores(tmp_path / "scores.csv", result)
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [row["pair"] for row in rows] == ["all", "1", "2"]
    assert rows[0]["signature"] == result["signature"]
    for name in METRIC_NAMES:
        assert [float(row[name]) for row in rows] == [result[name], *result["sentence_scores"][name]]
    assert json.dumps(rows[1]["signature"]) == '""'
