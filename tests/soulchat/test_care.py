"""`soulchat care evaluate`: the table, and errors of one line."""

import json
import subprocess
import sys

import pytest
from rich.cells import cell_len


def run(*arguments: str) -> subprocess.CompletedProcess:
    code = "from soulchat.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "care", "evaluate", *arguments], capture_output=True, text=True, check=False
    )


def test_table_by_kind(tmp_path):
    rows = [("我想自杀", True, "direct"), ("今天天气很好", False, "chat"), ("I want to kill myself", True, "english")]
    path = tmp_path / "labelled.jsonl"
    path.write_text(
        "".join(json.dumps({"text": t, "crisis": c, "kind": k}) + "\n" for t, c, k in rows), encoding="utf-8"
    )
    done = run(str(path))
    assert done.returncode == 0, done.stderr
    head, everything, *kinds = done.stdout.splitlines()
    assert head.split() == ["kind", "texts", "recall", "precision", "false", "alarms"]
    assert everything.split() == ["all", "3", "100.0%", "100.0%", "0.0%"]
    assert [line.split()[0] for line in kinds] == ["direct", "chat", "english"]


def test_kinds_are_text_and_stand_in_columns(tmp_path):
    rows = [("我想自杀", "被动的愿望"), ("我想自杀", "\x1b[31mred\nline"), ("我想自杀", None)]
    path = tmp_path / "labelled.jsonl"
    path.write_text("".join(json.dumps({"text": t, "crisis": True, "kind": k}) + "\n" for t, k in rows), "utf-8")
    lines = run(str(path)).stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["kind", "texts"],
        ["all", "3"],
        ["被动的愿望", "1"],
        ["[31mred", "line"],
    ]
    assert len({cell_len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (b"", (), "is empty"),
        (b"\xff", (), "not UTF-8"),
        (b'{"text": "a", "crisis": true}', ("--threshold", "7"), "the threshold is 7.0; allowed: 0 to 1"),
    ],
)
def test_errors_are_one_line(tmp_path, content, arguments, message):
    path = tmp_path / "labelled.jsonl"
    path.write_bytes(content)
    done = run(str(path), *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
