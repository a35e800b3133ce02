"""Where and with what something was run: date, commit, versions, machine; the head of every file of results."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from hub_cards.results import Hardware

PACKAGES = ("soulchat", "torch", "transformers", "datasets", "evaluate", "jieba", "rapidfuzz")


def describe_environment() -> dict[str, Any]:
    """The fields `created`, `git_revision`, `versions` and `hardware` of results.json."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_revision": git_revision(),
        "versions": {package: version(package) for package in PACKAGES},
        "hardware": hardware().model_dump(),
    }


def git_revision() -> str | None:
    """The commit of the checkout that this package runs from; None where it is installed without one."""
    folder = Path(__file__).resolve().parents[1]
    if not (folder / ".git").exists():
        return None
    done = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def hardware() -> Hardware:
    """Processor, cores this process may use, memory, and the GPU's name."""
    return Hardware(
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0)),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
    )


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(": ")[2] for line in names if line.startswith("model name")), platform.machine())
