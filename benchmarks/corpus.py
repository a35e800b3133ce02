"""Turns out of a corpus of the release's size: `load_dataset("soulchatcorpus")` against `"json"` and `map`.

    python benchmarks/corpus.py [--conversations 258354] [--repeats 3] [--folder /a/folder/with/12/GB]

A generator writes an array of the open release's shape (258,354 conversations, pretty-printed, about 0.9 GB) from the
embedded sample. Every step runs in a process of its own, whose CPU seconds and peak memory the kernel counts. The same
is done at a tenth of the size. Results go to benchmarks/results/corpus.json; the generated files are deleted.
"""

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from operator import itemgetter
from pathlib import Path
from typing import Any

from measuring import circumstances, memory_mb, write_results

RELEASE_CONVERSATIONS = 258_354
RANDOM_READS = 20_000
COMPARED_ROWS = 200_000
SEED = 0


def generate(path: Path, conversations: int) -> None:
    """An array like the release's: integer ids, short topics, indentation of four, 5.9 turns a conversation."""
    import orjson
    from datasets import load_dataset

    import soulchatcorpus  # noqa: F401

    sample = [c["messages"] for c in load_dataset("soulchatcorpus", "conversations", split="train")]
    sample = [m for m in sample if 8 <= len(m) <= 16]
    topics = [
        "婚恋",
        "情绪",
        "人际",
        "家庭",
        "治疗",
        "成长",
        "行为",
        "自我",
        "社会",
        "职场",
        "心理学知识",
        "未明确",
        "性心理",
    ]
    chance = random.Random(SEED)
    with path.open("wb") as file:
        file.write(b"[")
        for number in range(conversations):
            file.write(b",\n    {" if number else b"\n    {")
            topic = orjson.dumps(chance.choice(topics))
            file.write(b'\n        "id": %d,\n        "topic": %b,\n        "messages": [' % (number, topic))
            for place, message in enumerate(chance.choice(sample)):
                content = message["content"] if place else f"{message['content']}（{number // 2}）"
                file.write(b",\n            {" if place else b"\n            {")
                file.write(b'\n                "role": %b,' % orjson.dumps(message["role"]))
                file.write(b'\n                "content": %b\n            }' % orjson.dumps(content))
            file.write(b"\n        ]\n    }")
        file.write(b"\n]\n")


# The steps; each is called in a process of its own and returns what only it can know.


def ours(path: Path, cache: Path) -> dict[str, Any]:
    """The turns config, built from the file."""
    from datasets import load_dataset

    import soulchatcorpus  # noqa: F401

    built = load_dataset("soulchatcorpus", "turns", data_files=str(path), cache_dir=str(cache))
    return {"rows": sum(map(len, built.values())), "rows_of_splits": {split: len(built[split]) for split in built}}


def ours_conversations(path: Path, cache: Path) -> dict[str, Any]:
    """The conversations config, which TurnView reads."""
    from datasets import load_dataset

    import soulchatcorpus  # noqa: F401

    built = load_dataset("soulchatcorpus", "conversations", data_files=str(path), cache_dir=str(cache))
    return {"rows": sum(map(len, built.values()))}


def json_and_map(path: Path, cache: Path) -> dict[str, Any]:
    """What is commonly written: the array with the json builder, then a batched map that splits turns."""
    from datasets import load_dataset

    def split(batch: dict[str, list]) -> dict[str, list]:
        rows: dict[str, list] = {key: [] for key in ("id", "conversation_id", "turn", "prompt", "completion")}
        for number, messages in zip(batch["id"], batch["messages"], strict=True):
            context, turn = "", 0
            for message in messages:
                if message["role"] == "assistant":
                    turn += 1
                    rows["id"].append(f"{number}-{turn}")
                    rows["conversation_id"].append(str(number))
                    rows["turn"].append(turn)
                    rows["prompt"].append(context + "心理咨询师：")
                    rows["completion"].append(message["content"])
                context += ("用户：" if message["role"] == "user" else "心理咨询师：") + message["content"] + "\n"
        return rows

    loaded = load_dataset("json", data_files=str(path), split="train", cache_dir=str(cache))
    return {"rows": len(loaded.map(split, batched=True, remove_columns=loaded.column_names))}


def parse_and_write(path: Path, cache: Path) -> dict[str, Any]:
    """The least that any converter does: parse the JSON in pieces, and write as many bytes as the turns have."""
    import orjson

    written = sum(file.stat().st_size for file in (cache.parent / "ours").rglob("*.arrow"))
    boundary = b'},\n    {\n        "id":'
    records, rest = 0, b""
    with path.open("rb") as file:
        file.read(1)
        while block := file.read(1 << 21):
            rest += block
            cut = rest.rfind(boundary) + 1
            records += len(orjson.loads(b"[" + rest[:cut].lstrip(b",\n ") + b"]"))
            rest = rest[cut:]
    records += len(orjson.loads(b"[" + rest.lstrip(b",\n ")))
    block = os.urandom(1 << 21)
    with (cache.parent / "bytes").open("wb") as file:
        for start in range(0, written, len(block)):
            file.write(block[: written - start])
    (cache.parent / "bytes").unlink()
    return {"rows": records, "bytes_written": written}


def turn_view(path: Path, cache: Path) -> dict[str, Any]:
    """TurnView over the stored conversations against the stored turns: equal rows, size, random reads."""
    from datasets import load_dataset

    import soulchatcorpus  # noqa: F401
    from soulchatcorpus.turn_view import TurnView

    def load(config: str, folder: str) -> Any:
        files = {"data_files": str(path), "cache_dir": str(cache.parent / folder)}
        return load_dataset("soulchatcorpus", config, split="train", **files)

    stored, view = load("turns", "ours"), TurnView(load("conversations", "ours_conversations"))
    assert len(stored) == len(view)
    start = len(stored) - min(COMPARED_ROWS, len(stored))
    assert all(row == view[start + place] for place, row in enumerate(stored.skip(start)))
    chance = random.Random(SEED)
    indices = [chance.randrange(len(view)) for _ in range(RANDOM_READS)]
    assert all(stored[index] == view[index] for index in indices)  # also brings both into memory
    seconds = {name: _cpu_of_reads(data, indices) for name, data in (("stored", stored), ("view", view))}
    size = sum(file.stat().st_size for file in (cache.parent / "ours_conversations").rglob("*.arrow"))
    return {
        "rows_compared": min(COMPARED_ROWS, len(stored)) + RANDOM_READS,
        "size_of_json_file": path.stat().st_size,
        "size_of_conversations": size,
        "size_ratio": size / path.stat().st_size,
        "microseconds_a_stored_read": seconds["stored"] / RANDOM_READS * 1e6,
        "microseconds_a_view_read": seconds["view"] / RANDOM_READS * 1e6,
        "random_reads_ratio": seconds["stored"] / seconds["view"],
    }


COMPARED = ("ours", "json_and_map")
STEPS = {step.__name__: step for step in (ours, json_and_map, parse_and_write, ours_conversations, turn_view)}


def measure(step: str, path: Path, folder: Path) -> dict[str, Any]:
    """Run one step in a process of its own: what it returns, its CPU seconds and its peak memory in MB."""
    environment = os.environ | {
        "HF_HOME": str(folder / "hf"),
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }
    command = [sys.executable, __file__, "--step", step, "--file", str(path), "--folder", str(folder)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = json.loads(done.stdout.splitlines()[-1])
    result["cpu_seconds"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    result["wall_seconds"] = time.monotonic() - start
    print(f"{step}: {result}", flush=True)
    return result


def measure_compared(path: Path, folder: Path, repeats: int) -> dict[str, dict[str, Any]]:
    """Ours and what it is compared with, in turn; of each the run with the least CPU.

    A virtual machine takes memory back that lies free, and its next use costs several times as much; so whoever writes
    a file pays for what another left.
    """
    runs: dict[str, list[dict[str, Any]]] = {step: [] for step in COMPARED}
    for _ in range(repeats):
        for step in COMPARED:
            shutil.rmtree(folder / step, ignore_errors=True)
            runs[step].append(measure(step, path, folder))
    return {
        step: min(found, key=itemgetter("cpu_seconds")) | {"all_cpu_seconds": [run["cpu_seconds"] for run in found]}
        for step, found in runs.items()
    }


def run(conversations: int, folder: Path, repeats: int) -> dict[str, Any]:
    """All steps at one size."""
    folder.mkdir()
    path = folder / "release.json"
    generate(path, conversations)
    results: dict[str, Any] = {"conversations": conversations, "bytes": path.stat().st_size}
    results |= measure_compared(path, folder, repeats)
    for step in [step for step in STEPS if step not in COMPARED]:
        results[step] = measure(step, path, folder)
    cpu = {step: results[step]["cpu_seconds"] for step in STEPS}
    results["less_cpu_than_json_and_map"] = cpu["json_and_map"] / cpu["ours"]
    results["times_parsing_and_writing"] = cpu["ours"] / cpu["parse_and_write"]
    return results


def _cpu_of_reads(data: Any, indices: list[int]) -> float:
    start = time.process_time()
    for index in indices:
        data[index]
    return time.process_time() - start


def _in_process(step: str, path: Path, folder: Path) -> None:
    cache = folder / step
    result = STEPS[step](path, cache)
    result["peak_memory_mb"] = memory_mb()
    print(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--conversations", type=int, default=RELEASE_CONVERSATIONS)
    parser.add_argument(
        "--repeats", type=int, default=3, help="runs of ours and json_and_map; the best of each counts"
    )
    parser.add_argument("--folder", type=Path, help="where the temporary files go")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        _in_process(arguments.step, arguments.file, arguments.folder)
        return
    results = circumstances("datasets", "pyarrow", "orjson")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        results["tenth"] = run(arguments.conversations // 10, Path(folder) / "tenth", arguments.repeats)
        results["whole"] = run(arguments.conversations, Path(folder) / "whole", arguments.repeats)
    write_results("corpus", results)


if __name__ == "__main__":
    main()
