"""The files that a description leaves."""

import orjson
import pytest

from soulchatcorpus.files import write_lines
from soulchatcorpus.making.describe import write_statistics


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
    write_statistics(english("one", "How long?"), tmp_path / "out", other=english("two", "Try tea instead."))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"comparison.json", "comparison.png", "comparison.svg"} <= names


def test_a_font_that_is_not_there(english, tmp_path):
    with pytest.raises(ValueError, match=r"--font .*none\.ttf: no such file"):
        write_statistics(english("one", "How long?"), tmp_path / "out", font=tmp_path / "none.ttf")
    assert not (tmp_path / "out").exists()
