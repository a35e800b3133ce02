"""CPU time and memory of the retrieval baseline at the size of the open release: 1.5 million training turns.

    python benchmarks/retrieval.py [--turns 1500000] [--questions 500]

The corpus is made: conversations with the roles and lengths of the embedded sample's, their words cut from its texts
at random places, in pieces of twenty characters. It is written to a file first and read from there, as a run reads its
training split; the questions are made the same way. Times are CPU seconds of all threads; memory is what a process
that does nothing else has more at its peak than before, of its own (RssAnon) and with the pages of the mapped file
(VmRSS).
"""

import argparse
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet
from measuring import circumstances, memory_mb, write_results

from soulchat_trainer.data import StoredTurns
from soulchat_trainer.evaluation.retrieval import retrieval_baseline

ROOT = Path(__file__).resolve().parent.parent
PIECE = 20  # characters
READ_SECONDS = 0.05


def sample_conversations() -> list[list[dict[str, str]]]:
    """The messages of the embedded sample."""
    paths = sorted((ROOT / "soulchatcorpus" / "data").glob("conversations-*.parquet"))
    return [row["messages"] for path in paths for row in pyarrow.parquet.read_table(path).to_pylist()]


def make_conversations(seed: int) -> Iterator[list[dict[str, str]]]:
    """Conversations without end."""
    draw, real = random.Random(seed), sample_conversations()
    texts = {role: _joined(real, role) for role in ("user", "assistant")}
    while True:
        yield [
            {"role": m["role"], "content": _cut(draw, texts[m["role"]], len(m["content"]))} for m in draw.choice(real)
        ]


def _joined(conversations: list[list[dict[str, str]]], role: str) -> str:
    return "".join(m["content"] for messages in conversations for m in messages if m["role"] == role).replace("\n", "")


def _cut(draw: random.Random, text: str, length: int) -> str:
    starts = (draw.randrange(len(text) - PIECE) for _ in range(0, length, PIECE))
    return "".join(text[start : start + PIECE] for start in starts)[:length]


def make_corpus(num_turns: int, folder: Path) -> datasets.Dataset:
    """A stored split of at least that many turns."""

    def rows() -> Iterator[dict[str, Any]]:
        turns = 0
        for number, messages in enumerate(make_conversations(seed=0)):
            if turns >= num_turns:
                return
            turns += sum(message["role"] == "assistant" for message in messages)
            yield {"id": str(number), "messages": messages}

    return datasets.Dataset.from_generator(rows, cache_dir=str(folder))


class Peak:
    """The most memory that this process has while it is entered, beyond what it had before; in MB, by kind."""

    def __enter__(self) -> "Peak":
        self.before = {kind: memory_mb(kind) for kind in ("RssAnon", "VmRSS")}
        self.most, self.done = dict(self.before), threading.Event()
        self.watcher = threading.Thread(target=self._watch)
        self.watcher.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.done.set()
        self.watcher.join()
        self.mb = {kind: round(self.most[kind] - self.before[kind]) for kind in self.before}

    def _watch(self) -> None:
        while not self.done.wait(READ_SECONDS):
            self.most = {kind: max(most, memory_mb(kind)) for kind, most in self.most.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=1_500_000)
    parser.add_argument("--questions", type=int, default=500)
    options = parser.parse_args()
    asked = make_conversations(seed=1)
    contexts = [next(asked)[:-1] for _ in range(options.questions)]
    with tempfile.TemporaryDirectory() as folder:
        turns = StoredTurns(make_corpus(options.turns, Path(folder)))
        number = turns.count()
        with Peak() as peak:
            start = time.process_time()
            retrieval_baseline(turns, contexts)
            seconds = time.process_time() - start
    result = {
        "training_turns": number,
        "questions": options.questions,
        "cpu_seconds": round(seconds, 1),
        "peak_mb_own": peak.mb["RssAnon"],
        "peak_mb_with_mapped_file": peak.mb["VmRSS"],
    }
    write_results("retrieval", circumstances("numpy", "torch", "datasets") | result)


if __name__ == "__main__":
    main()
