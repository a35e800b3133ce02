"""ms-swift's metric and preprocessor on our data; runs in its own environment, which benchmarks/peers.py makes.

    python benchmarks/peer_ms_swift.py PAIRS.jsonl CONVERSATIONS.jsonl

Prints one line of JSON: CPU seconds and scores of the metric, CPU seconds and a digest of the converted conversations.
"""

import hashlib
import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets import load_dataset
from swift.dataset import AutoPreprocessor
from swift.metrics import compute_rouge_bleu

PACKAGES = ("ms-swift", "torch", "transformers", "datasets", "jieba", "nltk", "rouge")


def cpu_seconds() -> float:
    """Of this process and of those that it has waited for: its preprocessor runs in one."""
    return sum(os.times()[:4])


def measure_metric(path: Path) -> dict[str, Any]:
    """The scores that ms-swift prints; jieba's dictionary is loaded before."""
    pairs = [json.loads(line) for line in path.read_bytes().splitlines()]
    predictions, references = [pair["prediction"] for pair in pairs], [pair["reference"] for pair in pairs]
    compute_rouge_bleu(predictions[:2], references[:2])
    start = cpu_seconds()
    scores = compute_rouge_bleu(predictions, references)
    return {"cpu_seconds": cpu_seconds() - start, "scores": scores}


def measure_converter(path: Path) -> dict[str, Any]:
    """From a file in ShareGPT's form to the messages of ms-swift, in its cache, as its loader does it."""
    with tempfile.TemporaryDirectory() as folder:
        start = cpu_seconds()
        loaded = load_dataset("json", data_files=str(path), split="train", cache_dir=folder)
        converted = AutoPreprocessor()(loaded, enable_auto_mapping=True)
        seconds = cpu_seconds() - start
        digest = hashlib.sha256()
        for messages in converted["messages"]:
            for message in messages[messages[0]["role"] == "system" :]:
                digest.update(f"{message['role']}\t{message['content']}\n".encode())
        return {"cpu_seconds": seconds, "conversations": len(converted), "sha256": digest.hexdigest()}


if __name__ == "__main__":
    pairs, conversations = map(Path, sys.argv[1:])
    versions = {name: version(name) for name in PACKAGES}
    results = {"versions": versions, "metric": measure_metric(pairs), "converter": measure_converter(conversations)}
    print(json.dumps(results))
