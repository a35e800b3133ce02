"""Runs transformers' own modeling tests on ChatGLM, in a process of its own."""

import importlib.metadata
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest


@pytest.fixture
def transformers_tests(tmp_path) -> Path:
    """The tests of the installed transformers: the folder TRANSFORMERS_TESTS names, or its source distribution's."""
    if named := os.environ.get("TRANSFORMERS_TESTS"):
        return Path(named)
    name = f"transformers=={importlib.metadata.version('transformers')}"
    options = ["--quiet", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--dest", str(tmp_path)]
    fetched = subprocess.run([sys.executable, "-m", "pip", "download", *options, name], capture_output=True, text=True)
    if fetched.returncode:
        pytest.skip(f"the mixins are in the source distribution of {name}, which pip cannot fetch here")
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    return tmp_path / archive.name.removesuffix(".tar.gz") / "tests"


@pytest.mark.slow
def test_the_modeling_tests_of_transformers_pass(transformers_tests: Path, tmp_path):
    settings = tmp_path / "pytest.ini"
    settings.write_text("[pytest]\n")  # transformers' marks are not ours
    file = Path(__file__).with_name("modeling_mixin.py")
    command = [sys.executable, "-m", "pytest", str(file), "-c", str(settings), "-q", "-rs", "-W", "ignore"]
    command += ["--import-mode=importlib", "-p", "no:cacheprovider"]
    environment = os.environ | {"TRANSFORMERS_TESTS": str(transformers_tests), "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(command, capture_output=True, text=True, env=environment)
    print(finished.stdout[-4000:])
    assert finished.returncode == 0, finished.stdout[-8000:]
