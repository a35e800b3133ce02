"""All benchmarks, one after the other, at sizes that two free cores do in half an hour; then the page:  make bench

The first run takes longer by the minutes in which the peers are installed (benchmarks/peers.py). A benchmark that
fails does not stop the others; at the end its name is printed and the exit code is 1. Each is a script by itself, with
its default sizes for those who have more time.
"""

import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEMO = "outputs/demo"
COMMANDS = {
    "metric": ["metric.py"],
    "recipes": ["recipes.py"],
    "corpus": ["corpus.py", "--conversations", "100000", "--repeats", "1"],
    "model": ["model.py", "--repeats", "2"],
    "tokenizer": ["tokenizer.py"],
    "generation": ["generation.py", "--replies", "160", "--max-new-tokens", "160"],
    "chat": ["chat.py"],
    "making": ["making.py", "--requests", "3000", "--records", "20000", "--dialogues", "10000"],
    "simulate": ["simulate.py"],
    "judge": ["judge.py"],
    "retrieval": ["retrieval.py", "--turns", "300000"],
    "training": ["training.py", "cpu", "--samples", "8"],
    "peers": ["peers.py"],
    "page": ["page.py"],
}


def run_all(commands: dict[str, list[str]]) -> list[str]:
    """Run each command, show which is running and how long it took; the names of those that failed."""
    failed = []
    for number, (name, command) in enumerate(commands.items(), start=1):
        print(f"[{number}/{len(commands)}] {name}", flush=True)
        start = time.monotonic()
        code = subprocess.run(command, check=False).returncode
        print(f"[{number}/{len(commands)}] {name}: exit code {code}, {time.monotonic() - start:.0f} s", flush=True)
        if code:
            failed.append(name)
    return failed


def main() -> None:
    demo = ["--model", DEMO] if (HERE.parent / DEMO / "config.json").is_file() else []
    commands = {name: [sys.executable, str(HERE / script), *rest] for name, (script, *rest) in COMMANDS.items()}
    commands["generation"] += demo
    if failed := run_all(commands):
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
