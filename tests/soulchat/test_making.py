"""The verbs at the command line: asking before text leaves the machine, dry runs, and errors of one line."""

import subprocess
import sys

import orjson
import pytest
from typer.testing import CliRunner

from soulchat.cli import app, main
from soulchatcorpus.files import write_lines


def run(*arguments: object, given: str = ""):
    return CliRunner().invoke(app, ["corpus", *map(str, arguments)], input=given)


def test_a_rewriting_that_got_nothing_does_not_end_well(endpoint, make_questions, tmp_path):
    endpoint.status = 400
    result = run(
        "rewrite", make_questions(3), "--out", tmp_path / "r", "--base-url", endpoint.base_url, "--model", "m"
    )
    assert result.exit_code == 1
    assert "0 accepted, 3 rejected {'bad_request': 3}" in result.output


def test_rewrite_to_parquet(endpoint, make_questions, tmp_path):
    source = make_questions(12)
    result = run("rewrite", source, "--out", tmp_path / "r", "--base-url", endpoint.base_url, "--model", "stub")
    assert result.exit_code == 0, result.output
    assert "12 accepted, 0 rejected {}, 0 open" in result.output
    result = run("build", tmp_path / "r", "--out", tmp_path / "b")
    assert result.exit_code == 0, result.output
    assert "conversations: train 12" in result.output


def test_dry_run_tells_tokens_and_cost(endpoint, make_questions, tmp_path):
    command = ("rewrite", make_questions(10), "--out", tmp_path / "r", "--base-url", endpoint.base_url)
    result = run(*command, "--model", "gpt-4", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "10 records" in result.output
    assert "about $0." in result.output
    assert "price of stub not known" in run(*command, "--model", "stub", "--dry-run").output
    assert not endpoint.asked
    assert not (tmp_path / "r").exists()


def test_asks_before_text_leaves_the_machine(make_questions, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    command = ("rewrite", make_questions(3), "--out", tmp_path / "r", "--base-url", "https://api.example.com/v1")
    result = run(*command, "--model", "gpt-4", given="n\n")
    assert result.exit_code == 1
    assert "3 questions with answers" in result.output
    assert "private details masked, will be sent to api.example.com" in result.output
    assert "sk-secret" not in result.output
    assert not (tmp_path / "r").exists()
    result = run(*command, "--model", "gpt-4", "--send-unmasked", given="n\n")
    assert "private details AS THEY ARE" in result.output


def test_review_export_without_a_page(make_questions, tmp_path):
    result = run("review", make_questions(5), "--out", tmp_path / "v", "--sample", "0", "--export")
    assert result.exit_code == 0, result.output
    assert "0 kept, 0 edited, 0 removed, 5 not reviewed" in result.output
    assert len((tmp_path / "v" / "questions.jsonl").read_bytes().splitlines()) == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ("clean", "none.jsonl", "--out", "o"),
        ("clean", "q.jsonl", "--out", "o", "--action", "crisis=mask"),
        ("clean", "q.jsonl", "--out", "o", "--topics", "endpoint"),
        ("rewrite", "q.jsonl", "--out", "o", "--base-url", "here", "--model", "m"),
        ("rewrite", "q.jsonl", "--out", "o", "--base-url", "http://127.0.0.1:1/v1", "--model", "m", "--retry", "all"),
        ("review", "none.jsonl", "--out", "o"),
        ("build", "q.jsonl", "--out", "o"),
        ("rewrite", "broken.jsonl", "--out", "o", "--base-url", "http://127.0.0.1:1/v1", "--model", "m"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, arguments):
    (tmp_path / "q.jsonl").write_bytes(orjson.dumps({"id": 1, "question": "问", "answer": "答"}))
    (tmp_path / "broken.jsonl").write_bytes(orjson.dumps({"id": 1, "text": "问"}))
    command = [sys.executable, "-c", "from soulchat.cli import main; main()", "corpus", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("soulchat: error: ")
    assert done.stderr.count("\n") == 1
    assert arguments[1] != "none.jsonl" or not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("clean", "q.jsonl", "--out", "o", "--tasks", "0"), "tasks (--tasks) is 0; allowed: 1 or more"),
        (("clean", "q.jsonl", "--out", "o", "--action", "a=b"), "actions (--action) is a=b; allowed: length=drop"),
        (
            ("rewrite", "q.jsonl", "--out", "o", "--base-url", "http://[::1]/v1", "--model", "m", "--max-cost", "1"),
            "max_cost (--max-cost) is 1.0; allowed: with the price (--price) of m",
        ),
        (("review", "q.jsonl", "--out", "."), "out (--out) is .; allowed: another folder"),
    ],
)
def test_the_command_says_how_an_option_s_flag_is_called(tmp_path, monkeypatch, capsys, arguments, line):
    write_lines(tmp_path / "questions.jsonl", [{"id": 1, "question": "问", "answer": "答"}])
    (tmp_path / "q.jsonl").symlink_to(tmp_path / "questions.jsonl")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["soulchat", "corpus", *arguments])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err.startswith(f"soulchat: error: {line}")


@pytest.mark.parametrize("verb", ["clean", "review"])
@pytest.mark.parametrize("source", ["questions.jsonl", "."])
def test_a_result_never_replaces_what_it_is_made_of(make_questions, tmp_path, monkeypatch, verb, source):
    before = make_questions(3).read_bytes()
    monkeypatch.chdir(tmp_path)
    result = run(verb, source, "--out", ".")
    assert isinstance(result.exception, ValueError)
    assert "the result would replace questions.jsonl" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["questions.jsonl"]
    assert (tmp_path / "questions.jsonl").read_bytes() == before
