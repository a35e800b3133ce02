"""A small sentencepiece model with the layout of ChatGLM-6B's: text, then control, whitespace and byte pieces."""

import io
import re
from collections.abc import Iterable, Iterator

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

CONTROLS = ("[MASK]", "[gMASK]", "[sMASK]", "<unused_0>", "<sop>", "<eop>", "<ENC>", "<dBLOCK>")
WHITESPACE = ("<|tab|>", *(f"<|blank_{length}|>" for length in range(2, 81)))
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
NUM_TAIL_PIECES = len(CONTROLS) + len(WHITESPACE) + len(BYTES)
# Tokens that the whitespace pieces stand for, and the newline: no learned piece reaches across one.
NEWLINE = "<n>"
# Lines trained on. Of more, sentencepiece draws so many, by a seed of its own that is always the same.
MAX_LINES = 100_000


class TooFewPieces(ValueError):
    """The texts do not have as many pieces as were asked for; `allowed` is the largest vocabulary of them."""

    def __init__(self, vocab_size: int, allowed: int) -> None:
        super().__init__(f"vocab_size {vocab_size} is too large for these texts; allowed: up to {allowed}")
        self.allowed = allowed


def train_sentencepiece(texts: Iterable[str], vocab_size: int) -> bytes:
    """A serialised unigram model of `vocab_size` pieces, trained on `texts` (newlines already written `<n>`).

    Ids: <unk> 0, <s> 1, </s> 2, <pad> 3, <n> 4, learned pieces, the controls, tab and blanks, the 256 bytes. The text
    is taken as it is: no normalisation, no added word start, spaces kept. Of many texts a sample of `MAX_LINES` lines
    is enough. Raises `ValueError` where `vocab_size` is too small for the layout, `TooFewPieces` where it is too large
    for the texts.
    """
    num_learned = vocab_size - NUM_TAIL_PIECES
    if num_learned <= 5:
        raise ValueError(f"vocab_size {vocab_size} is too small: {NUM_TAIL_PIECES + 5} pieces are fixed by the layout")
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_lines(texts),
            model_writer=model,
            model_type="unigram",
            vocab_size=num_learned,
            pad_id=3,
            user_defined_symbols=[NEWLINE],
            character_coverage=0.9995,
            split_digits=True,
            required_chars="▁",  # the space, which texts without one would leave to bytes
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            seed_sentencepiece_size=50_000,
            input_sentence_size=MAX_LINES,
            max_sentence_length=1 << 20,  # longer lines would be left out in silence
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        most = re.search(r"a value <= (\d+)", str(error))
        if most:
            raise TooFewPieces(vocab_size, int(most[1]) + NUM_TAIL_PIECES) from error
        raise ValueError(f"cannot train a tokenizer of {vocab_size} pieces on these texts: {error}") from error
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    proto.trainer_spec.byte_fallback = True
    kinds = sentencepiece_model_pb2.ModelProto.SentencePiece
    for pieces, kind in ((CONTROLS, kinds.CONTROL), (WHITESPACE, kinds.USER_DEFINED), (BYTES, kinds.BYTE)):
        for piece in pieces:
            proto.pieces.add(piece=piece, score=0.0, type=kind)
    proto.trainer_spec.vocab_size = len(proto.pieces)
    return proto.SerializeToString()


def _lines(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for line in text.split(NEWLINE):
            if line:
                yield line
