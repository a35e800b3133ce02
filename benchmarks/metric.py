"""Times soulchat_metrics against the field's stack (jieba, rouge-chinese, nltk) on the same pairs.

    python benchmarks/metric.py [--pairs 10000]

The pairs are consecutive utterances of the embedded sample dialogues: the later one as the prediction, the earlier one
as the reference. All times are CPU seconds of one thread; memory is the peak of a process that does nothing else.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet
from measuring import circumstances, memory_mb, write_results

ROOT = Path(__file__).resolve().parent.parent
SYSTEMS = ("reference", "reference, one BLEU call", "jieba", "rjieba")


def sample_pairs(num_pairs: int) -> tuple[list[str], list[str]]:
    """Predictions and references from the sample dialogues."""
    conversations = [
        row["messages"]
        for path in sorted((ROOT / "soulchatcorpus" / "data").glob("conversations-*.parquet"))
        for row in pyarrow.parquet.read_table(path, columns=["messages"]).to_pylist()
    ]
    pairs = [
        (later["content"], earlier["content"]) for messages in conversations for earlier, later in pairwise(messages)
    ]
    if num_pairs > len(pairs):
        raise ValueError(f"{num_pairs} pairs asked for; the sample has {len(pairs)}")
    predictions, references = zip(*pairs[:num_pairs], strict=True)
    return list(predictions), list(references)


def score_with_field_stack(predictions: list[str], references: list[str], bleu_calls: int) -> list[float]:
    """The loop of THUDM's ptuning script and LLaMA-Factory, with the paper's four BLEU orders; seven means x100."""
    import jieba
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
    from rouge_chinese import Rouge

    weights = [(1.0,), (1 / 2, 1 / 2), (1 / 3, 1 / 3, 1 / 3), (1 / 4, 1 / 4, 1 / 4, 1 / 4)]
    rows = []
    for prediction, reference in zip(predictions, references, strict=True):
        smooth = SmoothingFunction().method3
        cut = [" ".join(jieba.cut(text)) for text in (prediction, reference)]
        rouge = Rouge().get_scores(*cut)[0]
        texts = [list(reference)], list(prediction)
        if bleu_calls == 1:
            bleu = sentence_bleu(*texts, weights=weights, smoothing_function=smooth)
        else:
            bleu = [sentence_bleu(*texts, weights=weight, smoothing_function=smooth) for weight in weights]
        rows.append([*bleu, *(rouge[name]["f"] for name in ("rouge-1", "rouge-2", "rouge-l"))])
    return [100 * sum(column) / len(rows) for column in zip(*rows, strict=True)]


def score_with_soulchat_metrics(predictions: list[str], references: list[str], fast: bool) -> list[float]:
    """The same seven means."""
    from soulchat_metrics import METRIC_NAMES, score

    result = score(predictions, references, fast=fast)
    return [result[name] for name in METRIC_NAMES]


def scorer(system: str) -> Callable[[list[str], list[str]], list[float]]:
    """The function that a system's name stands for."""
    if system.startswith("reference"):
        return lambda *pairs: score_with_field_stack(*pairs, bleu_calls=1 if "one" in system else 4)
    return lambda *pairs: score_with_soulchat_metrics(*pairs, fast=system == "rjieba")


def measure(system: str, num_pairs: int) -> dict:
    """CPU seconds, scores and peak memory of one system, in this process; what is loaded once is loaded before."""
    predictions, references = sample_pairs(num_pairs)
    score = scorer(system)
    score(predictions[:2], references[:2])
    loaded = memory_mb()
    start = time.process_time()
    scores = score(predictions, references)
    seconds = time.process_time() - start
    return {"seconds": seconds, "scores": scores, "peak_megabytes": memory_mb(), "loaded_megabytes": loaded}


def measure_long_pair() -> dict:
    """Seconds for one pair of 5,000 tokens a side, cut already: ROUGE-L, and the rest."""
    import numpy as np

    from soulchat_metrics.bleu import bleu_counts
    from soulchat_metrics.ngrams import TokenBatch, ngram_overlaps
    from soulchat_metrics.rouge import rouge_counts

    tokens = np.random.default_rng(0).zipf(1.3, 10_000).clip(max=3000) - 1
    batch = TokenBatch(tokens.astype(np.int64), np.array([5000, 5000]), 3000)

    def best_of_ten(call: Callable[[], object]) -> float:
        times = []
        for _ in range(10):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return min(times)

    return {
        "rouge-1, -2 and -l": best_of_ten(lambda: rouge_counts(batch)),
        "rouge-1 and -2": best_of_ten(lambda: list(ngram_overlaps(batch, 2))),
        "bleu-1 to -4": best_of_ten(lambda: bleu_counts(batch, "nltk")),
    }


def main() -> None:
    """Measure each system in a process of its own, one after the other, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--system", choices=SYSTEMS, help="measure one system and print it")
    arguments = parser.parse_args()
    if arguments.system:
        print(json.dumps(measure(arguments.system, arguments.pairs)))
        return

    predictions, references = sample_pairs(arguments.pairs)
    systems = {}
    for system in SYSTEMS:
        command = [sys.executable, __file__, "--system", system, "--pairs", str(arguments.pairs)]
        systems[system] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    expected = systems["reference"]["scores"]
    for values in systems.values():
        values["largest_difference"] = max(abs(a - b) for a, b in zip(values.pop("scores"), expected, strict=True))
        values["times_faster"] = systems["reference"]["seconds"] / values["seconds"]
        values["times_faster_than_one_bleu_call"] = systems["reference, one BLEU call"]["seconds"] / values["seconds"]
    packages = ("jieba", "rjieba", "rouge-chinese", "nltk", "numpy", "rapidfuzz", "soulchat")
    results = circumstances(*packages) | {
        "pairs": arguments.pairs,
        "characters": sum(map(len, predictions + references)),
        "systems": systems,
        "seconds of one pair of 5,000 tokens a side": measure_long_pair(),
    }
    write_results("metric", results)


if __name__ == "__main__":
    main()
