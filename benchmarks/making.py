"""Corpus making: requests a second of the rewriting, its memory on 100,000 records, and the cleaning's speed.

    python benchmarks/making.py [--requests 5000] [--records 100000] [--dialogues 20000] [--cleaning-only]

The endpoint is a process of its own on this machine that answers at once. Beside the rewriting run the bare `openai`
client with its aiohttp and its httpx transport, doing nothing but asking. Every measured step is a process of its own,
whose CPU seconds and peak memory count. Results go to benchmarks/results/making.json.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import RESULTS, circumstances, memory_mb, write_results

CONCURRENCY = 32
REPLY = "\n".join(
    f"用户：我最近总是睡不好，第{n}晚了。\n心理咨询师：听起来很辛苦，能说说第{n}晚的事吗？" for n in range(8)
)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "stub",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": REPLY}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 500, "completion_tokens": 500, "total_tokens": 1000},
    }
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    try:
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in request.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            writer.write(head + data)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def write_questions(path: Path, count: int) -> None:
    """Questions and answers of 400 characters together."""
    with path.open("w", encoding="utf-8") as file:
        for n in range(count):
            record = {
                "id": n,
                "question": f"第{n}个问题。" + "我最近总是睡不好，很焦虑。" * 15,
                "answer": "先别急，慢慢来。" * 25,
            }
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def write_dialogues(path: Path, count: int) -> int:
    """Dialogues with the messages of the embedded SMILECHAT sample, drawn anew; returns the characters."""
    import orjson
    import pyarrow.parquet as pq

    import soulchatcorpus

    table = pq.read_table(Path(soulchatcorpus.__file__).parent / "data" / "conversations-train.parquet")
    dialogues = [row["messages"] for row in table.to_pylist() if len(row["messages"]) >= 8]
    pools = {role: [m for d in dialogues for m in d if m["role"] == role] for role in ("user", "assistant")}
    draw, characters = random.Random(0), 0
    with path.open("wb") as file:
        for n in range(count):
            messages = [draw.choice(pools[message["role"]]) for message in draw.choice(dialogues)]
            characters += sum(len(message["content"]) for message in messages)
            file.write(orjson.dumps({"id": str(n), "topic": None, "messages": messages}) + b"\n")
    return characters


def ask_bare(base_url: str, count: int, transport: str) -> None:
    """`count` requests of the bare client."""
    import openai

    client_class = openai.DefaultAioHttpClient if transport == "aiohttp" else openai.DefaultAsyncHttpxClient

    async def run() -> None:
        client = openai.AsyncOpenAI(base_url=base_url, api_key="none", http_client=client_class())
        numbers = iter(range(count))
        message = "问" * 800

        async def work() -> None:
            for _ in numbers:
                await client.chat.completions.create(model="stub", messages=[{"role": "user", "content": message}])

        await asyncio.gather(*(work() for _ in range(CONCURRENCY)))

    asyncio.run(run())


def ask_ours(base_url: str, source: Path, out: Path) -> None:
    """The rewriting as the command does it, ledger, masking, parsing and files included."""
    from soulchatcorpus.making.options import RewriteOptions
    from soulchatcorpus.making.rewrite import rewrite

    report = rewrite(source, out, RewriteOptions(base_url=base_url, model="stub", concurrency=CONCURRENCY))
    assert report["open"] == 0


def clean_all(source: Path, out: Path, near_duplicates: bool) -> None:
    """All steps of the cleaning, with or without the near duplicates."""
    from soulchatcorpus.making.clean import clean
    from soulchatcorpus.making.options import CleanOptions

    actions = {} if near_duplicates else {"near_duplicate": "off"}
    clean(source, out, CleanOptions(actions=actions, language="zh"))


def measure(step: str, *values: object) -> dict[str, float]:
    """Run a step in a process of its own."""
    start = time.perf_counter()
    before = os.times()
    command = [sys.executable, __file__, "--step", step, *map(str, values)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
    after = os.times()
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": sum(after[2:4]) - sum(before[2:4]),
        "peak_memory_mb": float(done.stdout.splitlines()[-1]),
    }


def with_rate(found: dict[str, float], count: int, empty: dict[str, float]) -> dict[str, float]:
    """Add how many a second, of the time and of the CPU time, start-up (an empty run) aside."""
    seconds, cpu = (found[key] - empty[key] for key in ("seconds", "cpu_seconds"))
    return found | {"per_second": count / seconds, "per_cpu_second": count / cpu}


def measure_requests(requests: int, records: int) -> dict[str, Any]:
    results: dict[str, Any] = {"concurrency": CONCURRENCY}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        command = [sys.executable, __file__, "--step", "serve"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            base_url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
            for count, name in ((1, "one"), (requests, "some"), (records, "all")):
                write_questions(folder / f"{name}.jsonl", count)
            asked = results["requests"] = {"count": requests}
            for transport in ("aiohttp", "httpx"):
                empty = measure("bare", base_url, 1, transport)
                asked[f"bare_{transport}"] = with_rate(measure("bare", base_url, requests, transport), requests, empty)
            empty = measure("ours", base_url, folder / "one.jsonl", folder / "out-one")
            found = measure("ours", base_url, folder / "some.jsonl", folder / "out-some")
            asked["rewrite"] = with_rate(found, requests, empty)
            found = measure("ours", base_url, folder / "all.jsonl", folder / "out-all")
            results["many_records"] = {"count": records} | with_rate(found, records, empty)
        finally:
            server.kill()
            server.wait()
    return results


def measure_cleaning(dialogues: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_dialogues(folder / "few.jsonl", 10)
        characters = write_dialogues(folder / "dialogues.jsonl", dialogues)
        cleaned = circumstances("numpy", "datatrove") | {"count": dialogues, "characters_each": characters / dialogues}
        for name, near in (("rules", 0), ("with_near_duplicates", 1)):
            empty = measure("clean", folder / "few.jsonl", folder / f"few-{name}", near)
            found = measure("clean", folder / "dialogues.jsonl", folder / name, near)
            cleaned[name] = with_rate(found, dialogues, empty)
    return cleaned


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=5_000)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--dialogues", type=int, default=20_000)
    parser.add_argument("--cleaning-only", action="store_true", help="Keep what was measured of requests.")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step is None:
        if given.cleaning_only:
            results = json.loads((RESULTS / "making.json").read_text(encoding="utf-8"))
        else:
            results = circumstances("openai", "aiohttp") | measure_requests(given.requests, given.records)
        write_results("making", results | {"cleaning": measure_cleaning(given.dialogues)})
        return
    step, *values = given.step
    if step == "serve":
        asyncio.run(_serve())
    elif step == "bare":
        ask_bare(values[0], int(values[1]), values[2])
    elif step == "ours":
        ask_ours(values[0], Path(values[1]), Path(values[2]))
    elif step == "clean":
        clean_all(Path(values[0]), Path(values[1]), values[2] == "1")
    print(memory_mb())


if __name__ == "__main__":
    main()
