"""What the benchmarks share: memory of a process, where and when they ran, and result files written whole."""

import json
import os
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def memory_mb(field: str = "VmHWM") -> float:
    """Resident memory of this process in MB (2**20 bytes): its peak (VmHWM), or now (VmRSS).

    `resource.getrusage` will not do: a child that was started by a large process inherits that process's peak.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def forget_peak() -> None:
    """Let the peak start again from what is resident now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def circumstances(*packages: str) -> dict[str, Any]:
    """Date, machine and the versions of Python packages, the head of every result file."""
    from soulchat_trainer.environment import hardware

    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": hardware().model_dump(),
        "versions": {name: version(name) for name in packages},
    }


def write_results(name: str, results: dict[str, Any]) -> None:
    """Write benchmarks/results/NAME.json, whole or not at all, and print it."""
    text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
    path = RESULTS / f"{name}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    print(text)
