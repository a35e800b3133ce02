"""The figures: files that are images; with Chinese words only where a font for them is installed."""

from pathlib import Path

import orjson
import pytest

from soulchatcorpus.files import write_lines
from soulchatcorpus.making import figures
from soulchatcorpus.making.options import StatsOptions
from tests.soulchatcorpus.making.test_stats import RECORDS


def write_statistics(source: Path, out: Path, **options) -> dict:
    return figures.write_statistics(source, out, StatsOptions(**options))


@pytest.fixture
def source(tmp_path):
    write_lines(tmp_path / "conversations.jsonl", RECORDS)
    return tmp_path


@pytest.mark.skipif(figures.find_chinese_font() is None, reason="no Chinese font is installed")
def test_all_figures_and_numbers(source, tmp_path):
    out = tmp_path / "out"
    write_statistics(source, out, compare=source)
    names = {f"{name}.{suffix}" for name in ("topics", "words", "comparison") for suffix in ("png", "svg")}
    assert {path.name for path in out.iterdir()} == names | {"stats.json", "comparison.json"}
    for path in out.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    assert "难过" in (out / "words.svg").read_text()
    assert "<svg" in (out / "topics.svg").read_text()


def test_without_a_chinese_font_numbers_stay_and_a_line_names_packages(source, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(figures.font_manager, "findSystemFonts", lambda: ["/fonts/DejaVuSans.ttf"])
    found = write_statistics(source, tmp_path / "out", compare=source)
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".png", ".svg"}
    assert orjson.loads((tmp_path / "out/stats.json").read_bytes()) == found
    assert {path.stem for path in (tmp_path / "out").iterdir()} == {"stats", "comparison"}
    [line] = caplog.messages
    assert line.startswith("no Chinese font is installed: pictures with Chinese words are left out. Install ")


def test_an_english_corpus_needs_no_chinese_font(tmp_path, monkeypatch):
    monkeypatch.setattr(figures.font_manager, "findSystemFonts", list)
    write_lines(tmp_path / "c.jsonl", RECORDS[1:])
    write_statistics(tmp_path / "c.jsonl", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"stats.json", "words.png", "words.svg"}


@pytest.fixture
def english(tmp_path):
    def make(name: str, reply: str, topic: str | None = None):
        messages = [{"role": "user", "content": "I cannot sleep."}, {"role": "assistant", "content": reply}]
        path = tmp_path / f"{name}.jsonl"
        write_lines(path, [{"id": "1", "topic": topic, "messages": messages}])
        return path

    return make


def test_a_corpus_without_topics_or_chinese_needs_no_font(english, tmp_path):
    found = write_statistics(english("one", "How long has sleep been hard?"), tmp_path / "out")
    assert orjson.loads((tmp_path / "out/stats.json").read_bytes()) == found
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["stats.json", "words.png", "words.svg"]


def test_two_corpora_are_compared(english, tmp_path):
    write_statistics(english("one", "How long?"), tmp_path / "out", compare=english("two", "Try tea instead."))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"comparison.json", "comparison.png", "comparison.svg"} <= names
