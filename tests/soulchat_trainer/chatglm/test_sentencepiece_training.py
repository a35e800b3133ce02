"""The layout of a small tokenizer's model file."""

import pytest
import sentencepiece

from soulchat_trainer.chatglm import sentencepiece_training
from soulchat_trainer.chatglm.sentencepiece_training import BYTES, CONTROLS, NUM_TAIL_PIECES, train_sentencepiece
from tests.soulchat_trainer.training_parts import make_rows

TEXTS = ["<n>".join(m["content"] for m in messages) for messages in make_rows(200)["messages"]]


@pytest.fixture(scope="module")
def model() -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=train_sentencepiece(TEXTS, 420))


def test_pieces_stand_where_chatglm_has_them(model: sentencepiece.SentencePieceProcessor) -> None:
    pieces = [model.id_to_piece(i) for i in range(len(model))]
    assert len(pieces) == 420
    assert pieces[:5] == ["<unk>", "<s>", "</s>", "<pad>", "<n>"]
    start = 420 - NUM_TAIL_PIECES
    assert pieces[start : start + 8] == list(CONTROLS)
    assert pieces[start + 8 : start + 10] == ["<|tab|>", "<|blank_2|>"]
    assert pieces[-256:] == list(BYTES)
    assert len(set(pieces)) == 420


def test_text_is_taken_as_it_is(model: sentencepiece.SentencePieceProcessor) -> None:
    """Full-width punctuation, spaces at the edges, and what was never seen (as bytes)."""
    for text in ("我很难过，你呢？", " 两边 有 空格 ", "😀𠮷"):
        assert model.decode(model.encode(text)) == text


def test_no_piece_reaches_across_a_newline(model: sentencepiece.SentencePieceProcessor) -> None:
    assert not any("<n>" in model.id_to_piece(i) for i in range(len(model)) if i != 4)
    assert model.encode("我<n>我") == [*model.encode("我"), 4, *model.encode("我")]


def test_of_many_lines_it_draws_the_same_sample_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentencepiece_training, "MAX_LINES", 150)
    drawn = train_sentencepiece(TEXTS, 400)
    assert drawn == train_sentencepiece(TEXTS, 400)
    monkeypatch.setattr(sentencepiece_training, "MAX_LINES", 100_000)
    assert drawn != train_sentencepiece(TEXTS, 400)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (349, "vocab_size 349 is too small: 349 pieces are fixed"),
        (4000, "vocab_size 4000 is too large for these texts; allowed: up to "),
    ],
)
def test_sizes_that_do_not_fit(size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_sentencepiece(TEXTS, size)


def test_the_size_that_is_named_as_allowed_is() -> None:
    with pytest.raises(ValueError, match="allowed: up to") as told:
        train_sentencepiece(TEXTS, 4000)
    largest = int(str(told.value).split()[-1])
    assert train_sentencepiece(TEXTS, largest)
    with pytest.raises(ValueError, match=f"allowed: up to {largest}"):
        train_sentencepiece(TEXTS, largest + 1)
