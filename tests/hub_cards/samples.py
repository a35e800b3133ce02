"""Small made things that are published in tests: results, a model's folder, a corpus's folder."""

import json
import struct
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from soulchatcorpus.features import FEATURES


def make_results(**changes: Any) -> dict[str, Any]:
    """Results with every number that a run can leave; `changes` replace top-level keys."""
    metrics = dict(zip(("bleu-1", "bleu-2", "bleu-3", "bleu-4"), (12.5, 6.25, 3.125, 1.5), strict=True))
    metrics |= {"rouge-1": 20.25, "rouge-2": 4.75, "rouge-l": 16.5}
    trained = {
        "name": "trained",
        "kind": "model",
        "revision": None,
        "seen": False,
        "samples": 560,
        "loss": 4.5678,
        "perplexity": 96.32,
        "metrics": metrics,
        "intervals": {"bleu-1": [11.5, 13.5], "rouge-l": [15.75, 17.25]},
        "signature": "bleu:corpus|jieba:0.42.1",
        "generation": {
            "distinct_1": 0.125,
            "distinct_2": 0.5,
            "share_distinct": 0.96,
            "share_finished": 0.99,
            "mean_length": 41.5,
        },
        "seconds": 20.0,
    }
    untrained = trained | {"name": "untrained", "loss": 8.375, "perplexity": None, "metrics": {}, "intervals": None}
    return {
        "schema_version": 1,
        "created": "2026-11-23T18:00:00Z",
        "recipe": "demo",
        "git_revision": "0123abc",
        "versions": {"torch": "2.13.0", "transformers": "5.23.0"},
        "hardware": {"cpu": "made-up CPU", "cores": 2, "gpu": None, "memory_gb": 24.0},
        "dataset": {
            "name": "smilechat-1k",
            "config": "turns",
            "revision": None,
            "fingerprint": "f00d",
            "splits": {"train": 4767, "validation": 280, "test": 560},
            "licence": "cc0-1.0",
        },
        "decoding": {"top_p": 0.75, "temperature": 0.95, "max_new_tokens": 128, "seed": 0},
        "training": {
            "seconds": 200.4,
            "steps": 400,
            "samples": 12000,
            "tokens": 800000,
            "tokens_per_second": 3992.0,
            "parameters": 4200000,
            "arguments": {"learning_rate": 0.003, "model_config": {"num_layers": 4}, "output_dir": "/tmp/x"},
            "loss_first": 8.375,
            "loss_last": 4.5,
        },
        "systems": [trained, untrained],
        "references": {"distinct_1": 0.25, "distinct_2": 0.75, "mean_length": 105.5},
        "unigram": {"loss": 6.25, "perplexity": 518.0},
        **changes,
    }


def make_model_folder(folder: Path, results: dict[str, Any] | None = None, **config: Any) -> Path:
    """A run's output folder whose weights are four numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "results.json", results or make_results())
    write_json(folder / "config.json", {"model_type": "chatglm", **config})
    write_tensors(folder / "model.safetensors", {"transformer.word_embeddings.weight": [1.0, 2.0, 3.0, 4.0]})
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "ChatGLMTokenizer"})
    (folder / "loss.png").write_bytes(b"\x89PNG")
    (folder / "optimizer.pt").write_bytes(b"state")
    rows = [
        {
            "id": f"{n}-1",
            "messages": [{"role": "user", "content": f"我很累{n}"}],
            "reference": "嗯",
            "prediction": f"我听到了{n}。",
        }
        for n in range(7)
    ]
    (folder / "predictions.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    return folder


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def write_tensors(path: Path, tensors: dict[str, list[float]]) -> None:
    """A safetensors file of float32 vectors."""
    header, data = {}, b""
    for name, values in tensors.items():
        encoded = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": [len(values)], "data_offsets": [len(data), len(data) + len(encoded)]}
        data += encoded
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + data)


def make_turns(split: str, num_rows: int = 3, **columns: str) -> pa.Table:
    """Turn samples with made text; `columns` are added to each row."""
    rows = [
        {
            "id": f"{split}{n}-1",
            "conversation_id": f"{split}{n}",
            "turn": 1,
            "topic": None,
            "prompt": "用户：你好\n心理咨询师：",
            "completion": "你好呀。",
        }
        for n in range(num_rows)
    ]
    table = pa.Table.from_pylist(rows, schema=FEATURES["turns"].arrow_schema)
    for name, value in columns.items():
        table = table.append_column(name, pa.array([value] * num_rows))
    return table


def make_corpus_folder(folder: Path, card: str | None, **columns: str) -> Path:
    """A folder with one Parquet file for each split."""
    (folder / "data").mkdir(parents=True)
    for split in ("train", "validation", "test"):
        pq.write_table(make_turns(split, **columns), folder / "data" / f"turns-{split}.parquet")
    if card is not None:
        (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


def make_reports(folder: Path) -> list[Path]:
    """The folders that the steps before a build leave, with their numbers; the last has figures."""
    reports = {
        "1-clean": {
            "kind": "questions",
            "read": 1600,
            "kept": 1500,
            "dropped": 100,
            "steps": {"length": {"drop": {"too_short": 60, "too_long": 40}}, "privacy": {"mask": {"mobile": 12}}},
        },
        "2-review": {
            "read": 1500,
            "keep": 90,
            "edit": 5,
            "remove": 5,
            "not_reviewed": 1400,
            "decisions": 110,
            "wanted": 110,
            "shared": {"items": 10, "agreement": 0.9, "kappa": 0.8125},
        },
        "3-rewrite": {
            "accepted": 1450,
            "rejected": 45,
            "open": 0,
            "outside_prompt_rounds": 30,
            "reasons": {"wrong_end": 45},
            "models": {"gpt-3.5-turbo": 1440, "gpt-4": 10},
            "prompt": "soulchat@1",
            "min_rounds": 4,
        },
    }
    for name, report in reports.items():
        (folder / name).mkdir()
        write_json(folder / name / "report.json", report)
    stats = folder / "4-stats"
    stats.mkdir()
    lengths = {"count": 9, "mean": 41.25, "median": 40.0, "p99": 99.0}
    numbers = {
        "conversations": 1450,
        "turns": 13000,
        "messages": 26000,
        "topics": {"情绪": 1000, "none": 450},
        "labels": {"crisis": 20},
        "characters": {"user": lengths, "assistant": lengths, "conversation": lengths},
        "share_questions": 0.4321,
        "share_empathy": 0.5,
    }
    write_json(stats / "stats.json", numbers)
    for name in ("topics.png", "words.png"):
        (stats / name).write_bytes(b"\x89PNG")
    return [folder / name for name in (*reports, "4-stats")]


CARD = """---
license: cc0-1.0
source_datasets:
- extended|other-psyqa
---

# Made

`load_dataset("made")`
"""
