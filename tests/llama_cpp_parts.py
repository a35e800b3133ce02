"""llama.cpp from PyPI's `llama-cpp-python`: its converter and its bindings, compiled once in a folder of their own."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

from tests.paths import ROOT

ENVIRONMENT = ROOT / ".venv-peers" / "llama-cpp"
PACKAGE, VERSION = "llama-cpp-python", "0.3.36"
# What reads a GGUF, and no more: two minutes of a CPU.
BUILD = (
    "-DLLAVA_BUILD=OFF -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_TOOLS=OFF "
    "-DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DCMAKE_C_FLAGS_RELEASE=-O1 -DCMAKE_CXX_FLAGS_RELEASE=-O1"
)


class LlamaCpp(NamedTuple):
    """Where its parts are.

    Attributes:
        converter: convert_hf_to_gguf.py, with the modules beside it that it imports.
        packages: what PYTHONPATH needs so that `llama_cpp` can be imported.
    """

    converter: Path
    packages: Path


def fetch_llama_cpp(environment: Path = ENVIRONMENT) -> LlamaCpp:
    """Downloaded and compiled the first time.

    Raises:
        OSError: it cannot be downloaded or compiled, with the last line of why.
    """
    source, packages = environment / f"llama_cpp_python-{VERSION}", environment / "packages"
    if not (packages / "llama_cpp" / "lib").is_dir():
        pip = [sys.executable, "-m", "pip", "--quiet"]
        _finish([*pip, "download", "--no-deps", "--dest", str(environment), f"{PACKAGE}=={VERSION}"])
        with tarfile.open(environment / f"llama_cpp_python-{VERSION}.tar.gz") as archive:
            archive.extractall(environment, filter="data")
        _finish([*pip, "install", "--no-deps", "--target", str(packages), "diskcache", str(source)], CMAKE_ARGS=BUILD)
    return LlamaCpp(source / "vendor" / "llama.cpp" / "convert_hf_to_gguf.py", packages)


def _finish(command: list[str], **environment: str) -> None:
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise OSError(f"llama.cpp cannot be had: {lines[-1]}")
