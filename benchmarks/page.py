"""Render docs/benchmarks.md from benchmarks/results/*.json:  python benchmarks/page.py"""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"

# A line of the page: what was compared, with what, result file, keys to the number, and how it is written.
LINES = [
    (
        "Chinese BLEU and ROUGE of 10,000 pairs",
        "rouge-chinese, jieba, nltk",
        "metric",
        "systems/jieba/times_faster",
        "x",
    ),
    ("the same with extra `fast`", "the same", "metric", "systems/rjieba/times_faster", "x"),
    (
        "turns of 258,354 conversations",
        '`load_dataset("json")` and `map`',
        "corpus",
        "whole/less_cpu_than_json_and_map",
        "x",
    ),
    ("the same", "parsing and writing the bytes alone", "corpus", "whole/times_parsing_and_writing", "x the time"),
    ("peak memory of the same", "", "corpus", "whole/ours/peak_memory_mb", "MB"),
    ("peak memory of the peer", "", "corpus", "whole/json_and_map/peak_memory_mb", "MB"),
    ("random reads of `TurnView`", "a stored turns table", "corpus", "whole/turn_view/random_reads_ratio", "x"),
    ("CPU of a training step", "the original's manner", "model", "training_step/share/cpu_seconds_per_step", "%"),
    ("memory of a training step", "the same", "model", "training_step/share/peak_mb_above_model", "%"),
    ("replies a CPU second, batch of 32", "one at a time", "generation", "batch_32/times_one_at_a_time", "x"),
    ("requests a CPU second while rewriting", "", "making", "requests/rewrite/per_cpu_second", ""),
    ("the bare client on the same machine", "", "making", "requests/bare_aiohttp/per_cpu_second", ""),
    ("dialogues cleaned a CPU second", "", "making", "cleaning/rules/per_cpu_second", ""),
    ("the same with near duplicates", "", "making", "cleaning/with_near_duplicates/per_cpu_second", ""),
]

HEAD = """# Benchmarks

Each number stands in `benchmarks/results/`, written by the script of the same name in `benchmarks/`; this page is
rendered from there by `python benchmarks/page.py`. Peers ran in the same run on the same machine (two cores without a
GPU, not idle): trust the ratios more than the seconds. x: times as fast, in CPU seconds; %: of what the peer needs.

| what | against | measured |
| --- | --- | ---: |
"""

TAIL = """
Nothing was measured on a GPU yet: `benchmarks/training.py gpu` is there for a machine that has one.
"""


def read(name: str, keys: str) -> float:
    """The number at a path of keys in a result file."""
    value: Any = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    for key in keys.split("/"):
        value = value[key]
    return value


def written(value: float, unit: str) -> str:
    """A number as the page writes it."""
    if unit == "%":
        return f"{value:.0%}"
    if unit.startswith("x"):
        return f"{value:.1f}{unit}"
    return f"{value:,.0f} {unit}".strip()


def render() -> str:
    """The whole page."""
    rows = (f"| {what} | {peer} | {written(read(name, keys), unit)} |" for what, peer, name, keys, unit in LINES)
    return HEAD + "\n".join(rows) + "\n" + TAIL


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
