import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT


def run(code: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LOAD = """
from datasets import load_dataset
for config in (None, "conversations"):
    data = load_dataset("soulchatcorpus", config)
    print({split: len(data[split]) for split in data}, list(data["train"].features))
"""
EXPECTED = """{'train': 4767, 'validation': 280, 'test': 560} \
['id', 'conversation_id', 'turn', 'topic', 'system', 'prompt', 'completion', 'client', 'counsellor']
{'train': 844, 'validation': 52, 'test': 104} ['id', 'topic', 'messages', 'client', 'counsellor']
"""


def test_from_the_repository_root_with_nothing_imported(tmp_path):
    assert run(LOAD, ROOT, HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1") == EXPECTED


def test_from_any_directory_after_the_import(tmp_path):
    code = "import soulchatcorpus" + LOAD
    environment = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    assert run(code, tmp_path, **environment) == EXPECTED


def test_other_names_are_left_to_datasets(tmp_path):
    import datasets

    import soulchatcorpus  # noqa: F401

    (tmp_path / "a.jsonl").write_text('{"a": 1}')
    loaded = datasets.load_dataset("json", data_files=str(tmp_path / "a.jsonl"), split="train")
    assert loaded[:] == {"a": [1]}


def test_datasets_may_have_been_imported_before(tmp_path):
    code = "import datasets, soulchatcorpus" + LOAD
    environment = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    assert run(code, tmp_path, **environment) == EXPECTED


def test_public_names_are_there_when_asked_for():
    code = (
        "import soulchatcorpus\n"
        "for name in soulchatcorpus.__all__: assert name in dir(soulchatcorpus) and getattr(soulchatcorpus, name)\n"
        "from soulchatcorpus import *\n"
        "print(render_prompt.__module__, read_corpus.__name__, convert.__name__)\n"
        "soulchatcorpus.nothing"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "soulchatcorpus.dialogue read_corpus convert\n"
    assert done.stderr.splitlines()[-1] == "AttributeError: module 'soulchatcorpus' has no attribute 'nothing'"


def test_the_import_needs_neither_torch_nor_datasets():
    assert run("import soulchatcorpus, sys; print({'datasets', 'torch'} & set(sys.modules))", ROOT) == "set()\n"


@pytest.mark.parametrize(
    "module", ["soulchatcorpus.reading", "soulchatcorpus.tools.convert", "soulchatcorpus.turn_view"]
)
def test_modules_need_no_torch(module):
    assert run(f"import sys, {module}; print('torch' in sys.modules)", ROOT) == "False\n"
