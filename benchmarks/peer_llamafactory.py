"""LLaMA-Factory's metric and converter on our data; runs in its own environment, which benchmarks/peers.py makes.

    python benchmarks/peer_llamafactory.py PAIRS.jsonl CONVERSATIONS.jsonl

Prints one line of JSON: CPU seconds and scores of the metric, CPU seconds and a digest of the converted conversations.
"""

import hashlib
import json
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from datasets import load_dataset
from llamafactory.data.converter import align_dataset
from llamafactory.data.parser import DatasetAttr
from llamafactory.hparams import DataArguments
from llamafactory.train.sft.metric import ComputeSimilarity
from transformers import Seq2SeqTrainingArguments

PACKAGES = ("llamafactory", "torch", "transformers", "datasets", "jieba", "nltk", "rouge-chinese")


class Texts:
    """In a tokenizer's place: an id is the number of a text, so that decoding costs the metric nothing."""

    pad_token_id = 0

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def batch_decode(self, ids: np.ndarray, skip_special_tokens: bool) -> list[str]:
        return [self.texts[row[0]] for row in ids]


def measure_metric(path: Path) -> dict[str, Any]:
    """The scores that LLaMA-Factory prints; jieba's dictionary is loaded before."""
    pairs = [json.loads(line) for line in path.read_bytes().splitlines()]
    texts = [pair[key] for key in ("prediction", "reference") for pair in pairs]
    metric = ComputeSimilarity(tokenizer=Texts(texts))
    numbers = np.arange(len(texts)).reshape(2, -1, 1)
    metric(SimpleNamespace(predictions=numbers[0, :2], label_ids=numbers[1, :2]))
    start = time.process_time()
    scores = metric(SimpleNamespace(predictions=numbers[0], label_ids=numbers[1]))
    return {"cpu_seconds": time.process_time() - start, "scores": scores}


def measure_converter(path: Path) -> dict[str, Any]:
    """From a file in ShareGPT's form to LLaMA-Factory's own columns in its cache, as its loader does it."""
    with tempfile.TemporaryDirectory() as folder:
        attributes = DatasetAttr(load_from="file", dataset_name=path.name, formatting="sharegpt", system="system")
        training = Seq2SeqTrainingArguments(output_dir=folder, use_cpu=True)
        start = time.process_time()
        loaded = load_dataset("json", data_files=str(path), split="train", cache_dir=folder)
        aligned = align_dataset(loaded, attributes, DataArguments(), training)
        seconds = time.process_time() - start
        digest = hashlib.sha256()
        for row in aligned:
            for message in row["_prompt"] + row["_response"]:
                digest.update(f"{message['role']}\t{message['content']}\n".encode())
        return {"cpu_seconds": seconds, "conversations": len(aligned), "sha256": digest.hexdigest()}


if __name__ == "__main__":
    pairs, conversations = map(Path, sys.argv[1:])
    versions = {
        name: version(name)
        for name in ("llamafactory", "torch", "transformers", "datasets", "jieba", "nltk", "rouge-chinese")
    }
    results = {"versions": versions, "metric": measure_metric(pairs), "converter": measure_converter(conversations)}
    print(json.dumps(results))
