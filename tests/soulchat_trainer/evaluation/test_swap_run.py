"""`soulchat benchmark swap` from end to end, with the one system that needs no model."""

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from soulchat.cli import app
from soulchat_trainer.evaluation.run import BenchmarkOptions
from soulchat_trainer.evaluation.swap_run import run_swap
from soulchatcorpus.files import write_lines


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
