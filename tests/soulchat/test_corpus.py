import json
import os

import pytest

from soulchat.cli import main

GOOD = {"id": 1, "messages": [{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}]}


@pytest.fixture
def source(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps(GOOD))
    return tmp_path / "a.jsonl"


def run(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["soulchat", "corpus", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        main()
    return done.value.code or 0


def test_convert(monkeypatch, capsys, tmp_path, source):
    assert run(monkeypatch, "convert", source, tmp_path / "out.parquet", "--to", "turns") == 0
    assert (tmp_path / "out.parquet").exists()
    assert "1 rows of turns" in capsys.readouterr().out


def test_convert_names_what_was_skipped(monkeypatch, capsys, tmp_path, source):
    source.write_text(source.read_text() + "\n{")
    code = run(monkeypatch, "convert", source, tmp_path / "o.jsonl", "--to", "sharegpt", "--on-error", "skip")
    assert code == 0
    assert "o.jsonl.rejected.jsonl" in capsys.readouterr().out


def test_names_that_are_not_utf8_and_files_that_are_there(monkeypatch, capsys, tmp_path, source):
    folder = tmp_path / os.fsdecode("数据".encode("gbk"))
    folder.mkdir()
    source.rename(folder / "a.jsonl")
    output = folder / "o.jsonl"
    assert run(monkeypatch, "convert", folder / "a.jsonl", output, "--to", "conversations", "--on-error", "skip") == 0
    assert r"\xca\xfd\xbe\xdd/o.jsonl" in capsys.readouterr().out
    assert run(monkeypatch, "convert", folder / "a.jsonl", output, "--to", "turns") == 2
    assert "o.jsonl already exists; allowed: another name" in capsys.readouterr().err
    assert run(monkeypatch, "convert", folder / "a.jsonl", output, "--to", "turns", "--overwrite") == 0
    assert run(monkeypatch, "clean", folder / "a.jsonl", "--out", folder / "clean") == 0


def test_bad_input_is_one_line(monkeypatch, capsys, tmp_path, source):
    source.write_text("{")
    assert run(monkeypatch, "convert", source, tmp_path / "o.jsonl", "--to", "turns") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"soulchat: error: {source}: record 1, line 1: broken JSON")
    assert error.count("\n") == 1


def test_check(monkeypatch, capsys, source):
    assert run(monkeypatch, "check", source) == 0
    assert "1 conversations, 2 messages, 1 turns" in capsys.readouterr().out


def test_check_as_json(monkeypatch, capsys, source):
    source.write_text(source.read_text() + "\n" + json.dumps(GOOD) + "\n{")
    assert run(monkeypatch, "check", source, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["rules"]["duplicate_id"]["count"] == 1
    assert report["rejected"] == 1
    assert "record 3, line 3: broken JSON" in report["rejected_examples"][0]


def test_audit_writes_numbers_a_page_and_the_shared_ids(monkeypatch, capsys, tmp_path, source):
    assert run(monkeypatch, "audit", source, source, "--out", tmp_path / "audit") == 0
    assert "whole dialogue" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "audit").iterdir()} == {"audit.json", "audit.md", "shared-1.jsonl"}
    assert run(monkeypatch, "audit", tmp_path / "none.jsonl") == 2
    assert "no such file; allowed: a file, a folder or a name" in capsys.readouterr().err
