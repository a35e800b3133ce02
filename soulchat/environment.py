"""`soulchat env`: what a report of a fault says of the machine. No names of users, hosts or folders, no keys."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import typer

PACKAGES = (
    *("soulchat", "torch", "transformers", "accelerate", "peft", "deepspeed", "datasets", "evaluate"),
    *("huggingface-hub", "tokenizers", "sentencepiece", "jieba", "rjieba", "rouge-chinese", "pydantic", "gradio"),
)


def env() -> None:
    """Print versions and hardware, to be pasted into a report of a fault."""
    for name, value in describe_environment():
        typer.echo(f"{name:<18}{value}")


def describe_environment() -> list[tuple[str, str]]:
    """Names and values, in the order in which they are read."""
    return [
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("system", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("encoding", f"{sys.stdout.encoding}, files {sys.getfilesystemencoding()}"),
        ("CPU cores", str(len(os.sched_getaffinity(0)))),
        ("GPU", _gpu()),
        *((package, _version(package)) for package in PACKAGES),
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _gpu() -> str:
    if find_spec("torch") is None:
        return "unknown, torch is not installed"
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return f"{', '.join(names)} (CUDA {torch.version.cuda})" if names else "none that torch sees"
