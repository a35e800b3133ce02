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
    "hub_cards": {
        "soulchatcorpus.schema",
        "soulchatcorpus.files",
        "soulchatcorpus.wanted",
        "soulchatcorpus.care.privacy",
    },
    "soulchat_trainer": {"soulchatcorpus", "soulchat_metrics", "hub_cards"},
    "soulchat": {"soulchatcorpus", "soulchat_metrics", "hub_cards", "soulchat_trainer"},
}
# The rooms of soulchat_trainer, each with those that it may import beside FOUNDATION; what else there is lies on top.
FOUNDATION = {"data", "environment", "loading", "unreadable"}
ROOMS = {
    "chatglm": set(),
    "encoding": {"chatglm"},
    "generation": {"chatglm", "encoding"},
    "training": {"chatglm", "encoding", "generation"},
    "evaluation": {"chatglm", "encoding", "generation"},
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


def imported_rooms(path: Path, root: Path) -> Iterator[str]:
    """The rooms (or root modules) of the package in `root` that a file of it imports, absolutely or relatively."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            here = path.relative_to(root).parts[: -node.level]
            module = node.module.split(".") if node.module else []
            yield from ([*here, *module, alias.name][0] for alias in node.names)
    yield from (name.split(".")[1] for name in imported_modules(path) if name.startswith(f"{root.name}."))


def wrong_rooms(root: Path) -> list[str]:
    files = {path: path.relative_to(root).parts[0].removesuffix(".py") for path in sorted(root.rglob("*.py"))}
    return [
        f"{path.relative_to(root)} imports {room}"
        for path, own in files.items()
        if own in FOUNDATION or own in ROOMS
        for room in imported_rooms(path, root)
        if room not in {own, *FOUNDATION, *ROOMS.get(own, set())}
    ]


def test_the_rooms_of_the_trainer_import_only_what_lies_below_them() -> None:
    assert wrong_rooms(ROOT / "soulchat_trainer") == []
    assert {path.name for path in (ROOT / "soulchat_trainer").iterdir() if any(path.glob("*.py"))} == {
        *ROOMS,
        "recipes",
    }


def test_the_walk_sees_an_arrow_back(tmp_path: Path) -> None:
    root = tmp_path / "soulchat_trainer"
    (root / "training").mkdir(parents=True)
    (root / "training" / "trainer.py").write_text("from ..evaluation.table1 import row\nfrom . import arguments\n")
    (root / "loading.py").write_text("from soulchat_trainer.chatglm import ChatGLMConfig\nfrom .data import rows\n")
    assert wrong_rooms(root) == ["loading.py imports chatglm", "training/trainer.py imports evaluation"]


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


@pytest.mark.parametrize("package", ["hub_cards", "soulchat.cli"])
def test_a_command_starts_without_datasets(package: str) -> None:
    """Half a second, which each command and each completion would wait for."""
    code = f"import sys, {package}; sys.exit('datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_importing_our_packages_raises_no_deprecation_warning() -> None:
    code = "import soulchatcorpus, soulchat_metrics, hub_cards, soulchat.cli, soulchat_trainer"
    subprocess.run([sys.executable, "-W", "error::DeprecationWarning", "-c", code], cwd=ROOT, check=True)
