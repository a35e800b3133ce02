"""LLaMA-Factory and ms-swift themselves, each in an environment of its own, against ours on the same data.

    python benchmarks/peers.py [--pairs 2000] [--copies 20]

Pairs are those of benchmarks/metric.py; conversations are the embedded sample's, copied under new ids, in the form of
ShareGPT, which both sides read. The environments go to .venv-peers/ with the versions of benchmarks/peer_*.txt, which
takes minutes the first time. A peer that cannot be installed or run is in the results with the last line of its error.
All times are CPU seconds of one thread, without imports; scores and converted texts of both sides are compared.
Results go to benchmarks/results/peers.json.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

from measuring import circumstances, write_results
from metric import sample_pairs

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parent / ".venv-peers"
SAMPLE = HERE.parent / "soulchatcorpus" / "data"
TORCH = "torch==2.13.0"
PEERS = {"llamafactory": "llamafactory", "ms_swift": "ms-swift"}  # name of the driver and preset


def environment(peer: str) -> Path:
    """The Python of a peer's environment, made first where its versions changed or it is not there."""
    folder, requirements = ENVIRONMENTS / peer, HERE / f"peer_{peer}.txt"
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    if not installed.exists() or installed.read_bytes() != requirements.read_bytes():
        venv.create(folder, with_pip=True, clear=True)
        # torch with the libraries that its build wants; the rest as listed, since the peers require more than is used.
        for wanted in ([TORCH], ["--no-deps", "-r", requirements.name]):
            command = [python, "-m", "pip", "install", "--quiet", *wanted]
            subprocess.run(command, check=True, capture_output=True, text=True, cwd=HERE)
        # Built for CUDA, so they do not load beside torch for the CPU; torchaudio goes without where they are absent.
        for library in folder.glob("lib/*/site-packages/torchaudio/lib/*.so"):
            library.unlink()
        installed.write_bytes(requirements.read_bytes())
    return python


def write_pairs(path: Path, count: int) -> None:
    """The pairs as JSON lines."""
    rows = zip(*sample_pairs(count), strict=True)
    lines = (json.dumps({"prediction": prediction, "reference": reference}) for prediction, reference in rows)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_conversations(path: Path, copies: int) -> None:
    """The whole embedded sample in ShareGPT's form, several times."""
    from soulchatcorpus.tools.convert import convert

    rows: list[dict[str, Any]] = []
    for split in sorted(SAMPLE.glob("conversations-*.parquet")):
        convert(split, path, to="sharegpt", overwrite=True)
        rows += map(json.loads, path.read_bytes().splitlines())
    with path.open("w", encoding="utf-8") as file:
        for copy in range(copies):
            file.writelines(json.dumps(row | {"id": f"{copy}-{row['id']}"}) + "\n" for row in rows)


# Our side of each comparison; each is called in a process of its own.


def our_metric(pairs: Path, preset: str, fast: bool) -> dict[str, Any]:
    """The scores of a preset; the dictionary is loaded before."""
    from soulchat_metrics import score

    rows = [json.loads(line) for line in pairs.read_bytes().splitlines()]
    predictions, references = [row["prediction"] for row in rows], [row["reference"] for row in rows]
    score(predictions[:2], references[:2], preset, fast=fast)
    start = time.process_time()
    scores = score(predictions, references, preset, fast=fast)
    return {"cpu_seconds": time.process_time() - start, "scores": scores}


def our_converter(conversations: Path, to: str) -> dict[str, Any]:
    """From the file in ShareGPT's form to a Parquet file of conversations, or of turns."""
    import pyarrow.parquet

    from soulchatcorpus.tools.convert import convert

    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / f"{to}.parquet"
        start = time.process_time()
        conversion = convert(conversations, output, to=to)
        results = {"cpu_seconds": time.process_time() - start, "rows": conversion.rows}
        if to == "conversations":
            digest = hashlib.sha256()
            for messages in pyarrow.parquet.read_table(output, columns=["messages"])["messages"].to_pylist():
                for message in messages:
                    digest.update(f"{message['role']}\t{message['content']}\n".encode())
            results["sha256"] = digest.hexdigest()
    return results


def run(python: Path | str, script: Path, *arguments: Any) -> dict[str, Any]:
    """A script's last line of output as JSON; it runs on one thread, reaches no hub and sees no other script here."""
    with tempfile.TemporaryDirectory() as home:
        settings = {"HF_HOME": home, "HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
        settings |= {"MODELSCOPE_CACHE": home, "OMP_NUM_THREADS": "1"}
        command = [str(part) for part in (python, *(["-P"] if script.stem.startswith("peer_") else []), script)]
        done = subprocess.run(
            command + [str(argument) for argument in arguments],
            env=os.environ | settings,
            check=True,
            capture_output=True,
            text=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


def compare_metric(peer: dict[str, Any], pairs: Path, preset: str) -> dict[str, Any]:
    """A peer's measurement beside ours, with jieba and with rjieba (extra `fast`)."""
    result: dict[str, Any] = {"peer": peer}
    for name, fast in (("jieba", False), ("rjieba", True)):
        ours = run(sys.executable, Path(__file__), "--ours", "metric", pairs, preset, int(fast))
        scores = {metric: ours["scores"][metric] for metric in peer["scores"]}
        result[name] = {
            "cpu_seconds": ours["cpu_seconds"],
            "scores": scores,
            "largest_difference": max(abs(scores[metric] - value) for metric, value in peer["scores"].items()),
            "times_faster": peer["cpu_seconds"] / ours["cpu_seconds"],
        }
    return result


def compare_converter(peer: dict[str, Any], conversations: Path) -> dict[str, Any]:
    """A peer's measurement beside ours: the same conversations, and the turns, which it does not make."""
    result: dict[str, Any] = {"peer": peer}
    for to in ("conversations", "turns"):
        ours = run(sys.executable, Path(__file__), "--ours", "converter", conversations, to)
        result[to] = ours | {"times_faster": peer["cpu_seconds"] / ours["cpu_seconds"]}
    result["equal"] = result["conversations"]["sha256"] == peer["sha256"]
    return result


def compare(peer: str, pairs: Path, conversations: Path) -> dict[str, Any]:
    """All of one peer; where it cannot be installed or run, why."""
    try:
        driver = run(environment(peer), HERE / f"peer_{peer}.py", pairs, conversations)
    except subprocess.CalledProcessError as error:
        step = "installing" if "install" in error.cmd else "running"
        lines = error.stderr.strip().splitlines()
        return {"failed": f"{step}: {lines[-1] if lines else f'exit code {error.returncode}'}"}
    print(f"{peer}: {driver}", flush=True)
    results = {"versions": driver["versions"], "metric": compare_metric(driver["metric"], pairs, PEERS[peer])}
    if "converter" in driver:
        results["converter"] = compare_converter(driver["converter"], conversations)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2_000)
    parser.add_argument("--copies", type=int, default=20, help="of the sample's conversations")
    parser.add_argument("--ours", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        what, path, *rest = arguments.ours
        if what == "metric":
            print(json.dumps(our_metric(Path(path), rest[0], rest[1] == "1")))
        else:
            print(json.dumps(our_converter(Path(path), rest[0])))
        return
    packages = ("soulchat", "jieba", "rjieba", "numpy", "rapidfuzz", "pyarrow", "orjson")
    results = circumstances(*packages) | {"pairs": arguments.pairs, "peers": {}}
    with tempfile.TemporaryDirectory() as folder:
        pairs, conversations = Path(folder) / "pairs.jsonl", Path(folder) / "conversations.jsonl"
        write_pairs(pairs, arguments.pairs)
        write_conversations(conversations, arguments.copies)
        for peer in PEERS:
            results["peers"][peer] = compare(peer, pairs, conversations)
    write_results("peers", results)


if __name__ == "__main__":
    main()
