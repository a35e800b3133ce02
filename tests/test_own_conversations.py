"""The page on one's own conversations, typed as it stands there: from raw logs to the card."""

import csv
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import load_dataset

from soulchat.cli import app
from soulchatcorpus import read_corpus
from tests.hub_cards.conftest import hub, logged_in  # noqa: F401
from tests.hub_cards.server import LoopbackHub
from tests.paths import ROOT

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "docs" / name for name in ("own-conversations.md", "own-conversations_zh.md")]


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def test_both_pages_have_the_same_blocks() -> None:
    assert FENCE.findall(PAGES[0].read_text(encoding="utf-8")) == FENCE.findall(PAGES[1].read_text(encoding="utf-8"))


def test_the_examples_are_read(tmp_path: Path) -> None:
    page = PAGES[0]
    (tmp_path / "logs.csv").write_text(blocks(page, "csv")[0], encoding="gbk")
    (tmp_path / "one.jsonl").write_text(blocks(page, "json")[0])
    (tmp_path / "one.txt").write_text(blocks(page, "text")[0])
    assert [len(talk.messages) for talk in read_corpus(tmp_path / "logs.csv")] == [4, 2]
    assert [talk.messages for talk in read_corpus(tmp_path / "one.jsonl")] == [
        talk.messages for talk in read_corpus(tmp_path / "one.txt")
    ]


def test_an_export_of_a_chat_program_is_read_once_names_are_roles(tmp_path: Path) -> None:
    written, export = blocks(PAGES[0], "text")
    (tmp_path / "wechat").mkdir()
    (tmp_path / "wechat" / "1.txt").write_text(export)
    with pytest.raises(ValueError, match="line 1 is headed by '小林'; allowed in place of a name: 来访者 or 咨询师"):
        list(read_corpus(tmp_path / "wechat"))
    subprocess.run(blocks(PAGES[0], "sh")[0], shell=True, cwd=tmp_path, check=True)
    (tmp_path / "written.txt").write_text(written)
    [talk], [expected] = read_corpus(tmp_path / "wechat"), read_corpus(tmp_path / "written.txt")
    assert talk.messages == expected.messages


def test_json_with_other_keys(tmp_path: Path) -> None:
    lines = [{"speaker": "来访", "words": "我很累"}, {"speaker": "咨询", "words": "怎么了？"}]
    (tmp_path / "cases.json").write_text(json.dumps([{"number": "A-1", "dialog": lines}]))
    with pytest.raises(ValueError, match=r"no known format, .* the simplest form is"):
        list(read_corpus(tmp_path / "cases.json"))
    subprocess.run([sys.executable, "-c", blocks(PAGES[0], "python")[0]], cwd=tmp_path, check=True)
    [talk] = read_corpus(tmp_path / "logs.jsonl")
    assert (talk.id, [message["content"] for message in talk.messages]) == ("A-1", ["我很累", "怎么了？"])


@pytest.mark.slow
def test_the_walk(
    tmp_path: Path,
    logged_in: LoopbackHub,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As written, but with more talks than the page has room for, a recipe for CPUs, and a page that is not opened."""
    monkeypatch.chdir(tmp_path)
    names = {"user": "来访者", "assistant": "咨询师"}
    talks = load_dataset("soulchatcorpus", "conversations", split="train[:250]", cache_dir="cache")
    with Path("logs.csv").open("w", encoding="utf-8-sig", newline="") as file:
        file.write(blocks(PAGES[0], "csv")[0])
        writer = csv.writer(file)
        for talk in talks:
            writer.writerows([talk["id"], names[m["role"]], m["content"], ""] for m in talk["messages"])
    changes = {
        "review": ["--export"],
        "train": ["--max_steps", "2", "--num_test_turns", "2", "--use_cpu"],
        "benchmark": ["--samples", "2"],
        "rate": ["--samples", "2"],
    }
    ran = []
    for line in "".join(blocks(PAGES[0], "bash")).splitlines():
        words = shlex.split(line, comments=True)
        ran.append(words[2] if words[1] == "corpus" else words[1])
        words += changes.get(ran[-1], [])
        if ran[-1] == "train":
            assert words[2] == "lora"
            subprocess.run([sys.executable, ROOT / "train.py", "demo", *words[3:]], check=True)
        else:
            app(words[1:], standalone_mode=False)
    assert ran == [
        *("check", "convert", "clean", "review", "stats", "build", "train", "benchmark", "rate", "publish"),
    ]
    assert "13812345678" not in Path("2-review/conversations.jsonl").read_text(encoding="utf-8")
    assert Path("outputs/mine/README.md").is_file()
    assert "my-model" in capsys.readouterr().out
    assert not logged_in.has("model", "USER/my-model")
