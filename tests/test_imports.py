"""The direction of imports: data, metric and cards know nothing of the trainer; the commands sit on top."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT

FOLDERS = {
    "soulchatcorpus": "soulchatcorpus",
    "soulchat_metrics": "metrics/soulchat_metrics",
    "hub_cards": "hub_cards",
    "soulchat_trainer": "soulchat_trainer",
    "soulchat": "soulchat",
}
ALLOWED = {
    "soulchatcorpus": set(),
    "soulchat_metrics": set(),
    "hub_cards": set(),
    "soulchat_trainer": {"soulchatcorpus", "soulchat_metrics", "hub_cards"},
    "soulchat": {"soulchatcorpus", "soulchat_metrics", "hub_cards", "soulchat_trainer"},
}


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_allowed(module: str, package: str) -> bool:
    return any(module == name or module.startswith(name + ".") for name in ALLOWED[package] | {package})


@pytest.mark.parametrize("package", FOLDERS)
def test_packages_import_only_what_lies_below_them(package: str) -> None:
    files = sorted((ROOT / FOLDERS[package]).rglob("*.py"))
    assert files
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in files
        for module in imported_modules(path)
        if module.split(".")[0] in FOLDERS and not is_allowed(module, package)
    ]
    assert wrong == []


# The rooms of soulchat_trainer, each with those that it may use.
ROOMS = {
    "chatglm": set(),
    "encoding": {"chatglm", "data"},
    "generation": {"chatglm", "encoding"},
    "evaluation": {"chatglm", "encoding", "generation", "data", "loading"},
}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_uses_only_the_rooms_below_it(room: str) -> None:
    used = {
        (node.module or "").split(".")[0]
        for path in (ROOT / "soulchat_trainer" / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level == 2
    }
    assert used <= ROOMS[room]


def test_the_walk_sees_a_forbidden_import(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("def f():\n    from soulchat_trainer.generation.engine import Decoding\n")
    assert [m for m in imported_modules(path) if not is_allowed(m, "hub_cards")] == [
        "soulchat_trainer.generation.engine.Decoding"
    ]


@pytest.mark.parametrize("package", ["soulchatcorpus", "soulchat_metrics", "hub_cards", "soulchat.cli"])
def test_light_packages_do_not_import_torch(package: str) -> None:
    code = f"import sys, {package}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_importing_our_packages_raises_no_deprecation_warning() -> None:
    code = "import soulchatcorpus, soulchat_metrics, hub_cards, soulchat.cli, soulchat_trainer"
    subprocess.run([sys.executable, "-W", "error::DeprecationWarning", "-c", code], cwd=ROOT, check=True)
