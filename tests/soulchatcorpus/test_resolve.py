import os
import subprocess
import sys
from pathlib import Path

import pytest

from soulchatcorpus.resolve import load_splits
from tests.limits import no_room_for_files_above
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


def test_the_import_needs_no_torch_and_little_time(tmp_path):
    code = (
        "import time, datasets, sys; start = time.process_time(); import soulchatcorpus; "
        "print(time.process_time() - start, 'torch' in sys.modules)"
    )
    seconds, has_torch = zip(*(run(code, ROOT).split() for _ in range(3)), strict=True)
    assert min(map(float, seconds)) < 0.3
    assert set(has_torch) == {"False"}


@pytest.mark.parametrize(
    "module", ["soulchatcorpus.reading", "soulchatcorpus.tools.convert", "soulchatcorpus.turn_view"]
)
def test_modules_need_no_torch(module):
    assert run(f"import sys, {module}; print('torch' in sys.modules)", ROOT) == "False\n"


def test_a_full_disk_under_the_cache_is_one_line(tmp_path):
    with (
        no_room_for_files_above(8192),
        pytest.raises(OSError, match=r"^dataset soulchatcorpus cannot .*too large$"),
    ):
        load_splits("soulchatcorpus", "conversations", cache_dir=str(tmp_path))
