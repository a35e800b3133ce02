"""ChatGLM's tokenizer beside sentencepiece alone, and what its normaliser costs a perfect reply.

    SOULCHAT_ICE_TEXT_MODEL=ice_text.model python benchmarks/tokenizer.py    # writes results/tokenizer.json

Both encode the replies of the embedded sample as one batch, in turns after one turn that is not counted; the median
of CPU seconds is given. The round trip of these replies (encode, decode, restore the punctuation) is scored with
BLEU-1: the ceiling, the most that a perfect reply can get against the raw text.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from datasets import load_dataset
from measuring import circumstances, write_results
from sentencepiece import SentencePieceProcessor

import soulchatcorpus  # noqa: F401  (lets load_dataset find the sample)
from soulchat_metrics import score
from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.chatglm.punctuation import restore_punctuation

REPEATS = 7


def cpu_seconds(encode: Callable[[list[str]], object], texts: list[str]) -> float:
    """CPU seconds of one call, all threads."""
    start = time.process_time()
    encode(texts)
    return time.process_time() - start


def compare(model_file: Path) -> dict:
    """CPU seconds of both and their ratio, and BLEU-1 of the round trip without and with the restoring."""
    replies = [row["completion"] for split in load_dataset("soulchatcorpus", "turns").values() for row in split]
    tokenizer, alone = ChatGLMTokenizer(str(model_file)), SentencePieceProcessor(model_file=str(model_file))
    encoders = {
        "sentencepiece": alone.encode,
        "tokenizer": lambda texts: tokenizer(texts, add_special_tokens=False),
    }
    runs: dict[str, list[float]] = {name: [] for name in encoders}
    for _ in range(1 + REPEATS):
        for name, encode in encoders.items():
            runs[name].append(cpu_seconds(encode, replies))
    medians = {name: statistics.median(seconds[1:]) for name, seconds in runs.items()}
    encoded = tokenizer(replies, add_special_tokens=False)["input_ids"]
    decoded = tokenizer.decode(encoded)
    return {
        "replies": len(replies),
        "tokens": sum(map(len, encoded)),
        "cpu_seconds": medians,
        "times_sentencepiece": medians["tokenizer"] / medians["sentencepiece"],
        "bleu_1_of_round_trip": score(decoded, replies)["bleu-1"],
        "bleu_1_of_round_trip_restored": score(list(map(restore_punctuation, decoded)), replies)["bleu-1"],
    }


def main() -> None:
    model_file = os.environ.get("SOULCHAT_ICE_TEXT_MODEL")
    if model_file is None:
        print("tokenizer: not measured; name ChatGLM-6B's ice_text.model in SOULCHAT_ICE_TEXT_MODEL", file=sys.stderr)
        return
    write_results("tokenizer", circumstances("transformers", "sentencepiece") | compare(Path(model_file)))


if __name__ == "__main__":
    main()
