"""The corpus of a run, by name or from a file, and its fingerprint."""

import json
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from soulchat_trainer.data import corpus_fingerprint, draw_turns, load_corpus
from tests.soulchat_trainer.training_parts import make_rows


def test_the_embedded_sample_by_name() -> None:
    corpus = load_corpus("soulchatcorpus")
    assert {split: rows.num_rows for split, rows in corpus.items()} == {"train": 844, "validation": 52, "test": 104}
    assert "messages" in corpus["train"].column_names


def test_a_file_is_split_by_opening(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    make_rows(60).to_json(path, force_ascii=False)
    corpus = load_corpus(str(path))
    openings = {split: {row["messages"][0]["content"] for row in rows} for split, rows in corpus.items()}
    assert sum(rows.num_rows for rows in corpus.values()) == 60
    assert not openings["train"] & (openings["validation"] | openings["test"])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dataset .*gone\.jsonl: no such file"):
        load_corpus(str(tmp_path / "gone.jsonl"))


def test_a_data_set_of_other_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(json.dumps({"text": "一"}))
    with pytest.raises(ValueError, match=r"needs a split train with columns messages.*found splits train with .*text"):
        load_corpus(str(tmp_path))


def test_the_fingerprint_is_of_texts_and_splits_alone() -> None:
    rows = make_rows(3)
    corpus = DatasetDict(train=rows)
    same = DatasetDict(train=Dataset.from_list([{"id": "other", "messages": row["messages"]} for row in rows]))
    assert corpus_fingerprint(corpus) == corpus_fingerprint(same)
    assert len({corpus_fingerprint(c) for c in (corpus, DatasetDict(test=rows), DatasetDict(train=make_rows(2)))}) == 3


def test_turns_are_drawn_the_same_every_time() -> None:
    rows = make_rows(10)
    drawn = draw_turns(rows, 4)
    assert drawn == draw_turns(rows, 4)
    assert len({turn["id"] for turn in drawn}) == 4
    assert len(draw_turns(rows, 1000)) == sum(len(row["messages"]) // 2 for row in rows)
    assert draw_turns(None, 4) == []
