import numpy as np
import pytest

from soulchat_metrics import counting
from soulchat_metrics.counting import count_pairs, cutter, map_chunks
from soulchat_metrics.settings import Settings

CHARACTERS = Settings(bleu_tokenizer="char", rouge_tokenizer="char")
PREDICTIONS, REFERENCES = ["我很难过", "", "啊"], ["我不难过", "你好", "  "]


def test_counts_by_hand():
    """A pair with a blank side keeps its lengths and loses every match."""
    counts = count_pairs(PREDICTIONS, REFERENCES, CHARACTERS, fast=False, num_workers=1)
    assert counts.bleu.tolist() == [
        [3, 1, 0, 0, 4, 3, 2, 1, 4, 4],
        [0, 0, 0, 0, 1, 1, 1, 1, 0, 2],
        [0, 0, 0, 0, 1, 1, 1, 1, 1, 2],
    ]
    assert counts.rouge[0].tolist() == [3, 4, 4, 1, 3, 3, 3, 4, 4]
    assert counts.rouge[1:, ::3].tolist() == [[0, 0, 0], [0, 0, 0]]


def test_chunks_and_workers_change_no_count(monkeypatch):
    predictions, references = PREDICTIONS * 7, REFERENCES * 7
    whole = count_pairs(predictions, references, Settings(), fast=False, num_workers=1)
    monkeypatch.setattr(counting, "_CHUNK_CHARACTERS", 10)
    for workers in (1, 2):
        parts = count_pairs(predictions, references, Settings(), fast=False, num_workers=workers)
        assert np.array_equal(parts.bleu, whole.bleu)
        assert np.array_equal(parts.rouge, whole.rouge)


def test_every_pair_is_in_one_chunk(monkeypatch):
    monkeypatch.setattr(counting, "_CHUNK_CHARACTERS", 8)
    texts = ["一二三", "四", "五六七八九", "十"]
    chunks = map_chunks(lambda predictions, references: (predictions, references), texts, texts, 1)
    assert chunks == [(texts[:2], texts[:2]), (texts[2:3], texts[2:3]), (texts[3:], texts[3:])]


@pytest.mark.parametrize("workers", [0, -1])
def test_a_number_of_workers_that_is_none(workers):
    with pytest.raises(ValueError, match=f"num_workers is {workers}; allowed: 1, or more"):
        count_pairs(PREDICTIONS, REFERENCES, CHARACTERS, fast=False, num_workers=workers)


def test_tokenizers_by_name():
    assert cutter("char", fast=False)("我 a") == ["我", " ", "a"]
    assert cutter("jieba", fast=False)("我很 难过") == ["我", "很", " ", "难过"]
    assert cutter("jieba-without-spaces", fast=False)("我很 难过") == ["我", "很", "难过"]
    assert cutter("jieba-after-removing-spaces", fast=False)("我很难 过") == ["我", "很", "难过"]
    assert cutter("sacrebleu-char", fast=False)("我 a\n") == ["我", "a"]
    assert cutter("sacrebleu-zh", fast=False)("我 ab。") == ["我", "ab", "。"]
    assert cutter(str.split, fast=True)("a b") == ["a", "b"]


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_is_told_after_each_chunk(monkeypatch, workers):
    monkeypatch.setattr(counting, "_CHUNK_CHARACTERS", 10)
    done = []
    count_pairs(PREDICTIONS * 3, REFERENCES * 3, CHARACTERS, fast=False, num_workers=workers, progress=done.append)
    assert done == sorted(set(done))
    assert len(done) > 2
    assert done[-1] == 9
