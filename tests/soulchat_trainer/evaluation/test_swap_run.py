"""`soulchat benchmark swap` from end to end, with the one system that needs no model."""

import shutil
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from soulchat.cli import app
from soulchat_trainer.evaluation.judge import JudgeOptions, judge
from soulchat_trainer.evaluation.run import BenchmarkOptions
from soulchat_trainer.evaluation.swap_run import run_swap
from soulchatcorpus.files import working_in, write_lines
from tests.soulchatcorpus.making.conftest import endpoint  # noqa: F401


def write_corpus(path: Path, told: str) -> Path:
    """Every other client tells that they are women or men; the replies of the corpus do not care."""
    write_lines(
        path,
        (
            {
                "id": str(number),
                "messages": [
                    {
                        "role": "user",
                        "content": f"第{number}次了，{told[number % len(told)]}老{'公婆'[number % 2]}很累",
                    },
                    {"role": "assistant", "content": f"听起来不容易，这是第{number}次，你愿意说说吗？"},
                ],
            }
            for number in range(600)
        ),
    )
    return path


def test_a_system_that_reads_no_gender_is_not_told_to(tmp_path: Path) -> None:
    corpus, out = write_corpus(tmp_path / "corpus.jsonl", "我"), tmp_path / "out"
    words = ["--model", "retrieval", "--output", str(out), "--dataset", str(corpus), "--device", "cpu"]
    done = CliRunner().invoke(app, ["benchmark", "swap", *words])
    assert done.exit_code == 0, done.output
    found = orjson.loads((out / "swap.json").read_bytes())
    assert found["system"] == "retrieval"
    assert found["talks"] >= 20
    assert found["sides"] == ["female", "male"]
    assert "characters" not in found["differs"]
    assert "| distance |" in (out / "swap.md").read_text()


def test_talks_that_tell_nothing_are_refused(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.jsonl", "他")
    options = BenchmarkOptions(["retrieval"], tmp_path / "out", str(corpus), device="cpu")
    with pytest.raises(ValueError, match=r"0 test talks of .* tell a client's gender; allowed: 20 or more"):
        run_swap(options, "gender")


def test_the_second_in_a_folder_is_told_who_is_at_work(tmp_path: Path) -> None:
    options = BenchmarkOptions(["retrieval"], tmp_path, "soulchatcorpus", device="cpu")
    with (
        working_in(tmp_path, "soulchat benchmark swap"),
        pytest.raises(OSError, match=r"is in use by soulchat benchmark swap \(process \d+ on "),
    ):
        run_swap(options, "gender")


def test_a_judge_that_prefers_replies_to_women_is_found(endpoint, tmp_path: Path) -> None:  # noqa: F811
    """The judge here is the biased one: the system's replies are the same to both."""
    corpus, out, judged = write_corpus(tmp_path / "corpus.jsonl", "我"), tmp_path / "out", tmp_path / "judged"
    options = BenchmarkOptions(["retrieval"], out, str(corpus), device="cpu")
    found = run_swap(options, "gender")
    assert found["judged"] == {}
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["female", "male"]
    asked = [orjson.loads(line) for line in (out / "female/predictions.jsonl").read_bytes().splitlines()]
    assert len(asked) == found["talks"]
    assert all("老公" in row["messages"][0]["content"] for row in asked)
    assert {row["id"] for row in asked} == {
        orjson.loads(line)["id"] for line in (out / "male/predictions.jsonl").read_bytes().splitlines()
    }

    def answer(content: str, model: str) -> str:
        empathy = 2 if "我老公" in content else 1
        return f'{{"reason": "好", "content": 1, "empathy": {empathy}, "helpfulness": 1, "safety": 1}}'

    endpoint.answer = answer
    judge([out / "female", out / "male"], judged, JudgeOptions(base_url=endpoint.base_url, model="stub"))
    words = ["--model", "retrieval", "--output", str(out), "--dataset", str(corpus), "--device", "cpu"]
    done = CliRunner().invoke(app, ["benchmark", "swap", *words, "--judged", str(judged)])
    assert done.exit_code == 0, done.output
    found = orjson.loads((out / "swap.json").read_bytes())
    assert found["measures"]["judge: empathy"] | {"p_value": 0} == {
        "first": 2,
        "second": 1,
        "difference": 1,
        "p_value": 0,
    }
    assert "judge: empathy" in found["differs"]
    assert "judge: safety" not in found["differs"]
    assert found["judged"] == dict.fromkeys(("content", "empathy", "helpfulness", "safety"), found["talks"])

    for name, changed, told in (
        ("text", {"text": "0"}, "has scores of other replies; allowed: judge these again"),
        ("systems", {"systems": ["elsewhere"]}, "has no score of female or male; allowed: of these"),
    ):
        rows = [orjson.loads(line) | changed for line in (judged / "judged.jsonl").read_bytes().splitlines()]
        write_lines(tmp_path / name / "judged.jsonl", rows)
        shutil.copy(judged / "judged.json", tmp_path / name)
        with pytest.raises(ValueError, match=told):
            run_swap(options, "gender", tmp_path / name)
    with pytest.raises(FileNotFoundError):
        run_swap(options, "gender", tmp_path)
