"""What is written down about the project itself: paths, commands, versions and bounds that must stay true."""

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from soulchatcorpus.reading import chats
from tests.paths import ROOT

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
HELD = {"torch"}  # one version has a CPU build, whatever the bounds admit


def read_pins(name: str) -> dict[str, str]:
    """The versions in a file of constraints by normalised name."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(package): version for package, version in pairs}


def read_requirements() -> list[Requirement]:
    """What the package and the extras of its users need."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = config["options.extras_require"]
    groups = [
        config["options"]["install_requires"],
        *(extras[name] for name in ("train", "making", "app", "excel", "fast")),
    ]
    return [Requirement(line) for group in groups for line in group.split("\n") if line]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("requirement", read_requirements(), ids=str)
def test_bounds_are_those_that_are_tested(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    lowest, tested = read_pins("constraints-lowest.txt")[name], read_pins("constraints.txt")[name]
    assert requirement.specifier.contains(tested)
    bounds = [Version(bound.version) for bound in requirement.specifier if bound.operator == ">="]
    if name not in HELD and bounds:
        assert [Version(lowest)] == bounds


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-lowest.txt"])
def test_torch_stays_where_it_is(name: str) -> None:
    assert read_pins(name)["torch"] == "2.13.0"


def test_what_gpu_machines_have_is_admitted() -> None:
    known = {"transformers": "5.17", "huggingface-hub": "1.33", "torch": "2.11"}
    requirements = {canonicalize_name(requirement.name): requirement for requirement in read_requirements()}
    assert all(requirements[name].specifier.contains(version) for name, version in known.items())


def test_every_path_that_contributors_are_told_of_exists() -> None:
    paths = re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|txt|cfg))`", CONTRIBUTING)
    roots = (ROOT, ROOT / "metrics/soulchat_metrics")
    made = {"results.json"}
    assert len(paths) > 25
    assert [path for path in paths if path not in made and not any((root / path).exists() for root in roots)] == []


def test_every_name_that_contributors_are_told_of_is_in_the_code() -> None:
    sections = re.split(r"^## ", CONTRIBUTING, flags=re.MULTILINE)
    how_to = "".join(section for section in sections if section.startswith("How to add"))
    names = set(re.findall(r"`(_?[A-Za-z]\w+)`", how_to)) - {"visitor"}
    python = [path for path in ROOT.glob("*/**/*.py") if ".venv" not in path.parts[len(ROOT.parts)]]
    code = "\n".join(path.read_text(encoding="utf-8") for path in python if path != Path(__file__))
    assert len(names) > 15
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", code)] == []


def test_the_example_format_reads_its_record() -> None:
    [example] = re.findall(r"```python\n(.*?)```", CONTRIBUTING, re.DOTALL)
    names = dict(vars(chats))
    exec(example, names)
    record = {"dialog": [{"speaker": "visitor", "text": "我很累"}]}
    [conversation] = names["read_visitor"](record, "7")
    assert conversation.id == "7"
    assert conversation.messages == [{"role": "user", "content": "我很累"}]


def test_every_make_target_that_is_named_exists() -> None:
    texts = [CONTRIBUTING, *(path.read_text(encoding="utf-8") for path in WORKFLOWS)]
    named = {
        target
        for text in texts
        for target in re.findall(r"(?:^|run: |`|; )make ([a-z]+(?:-[a-z]+)*)(?![-\w])", text, re.MULTILINE)
    }
    assert len(named) > 8
    assert named <= make_targets()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_only_call_make(path: Path) -> None:
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert commands
    assert [command for command in commands if not command.startswith(("make ", "sudo apt-get "))] == []


def test_pre_commit_accepts_its_configuration(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-config", ROOT / ".pre-commit-config.yaml"]
    environment = {
        **os.environ,
        "PRE_COMMIT_HOME": str(tmp_path),
    }  # it writes a log there, and a home may be read-only
    assert subprocess.run(command, cwd=ROOT, env=environment).returncode == 0


def test_pre_commit_runs_the_ruff_that_make_installs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    assert {hook["entry"].split()[0] for hook in hooks} == {".venv/bin/ruff"}


@pytest.mark.parametrize(
    "folder", ["soulchat", "soulchatcorpus", "metrics/soulchat_metrics", "hub_cards", "soulchat_trainer"]
)
def test_every_package_says_that_it_has_types(folder: str) -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    assert (ROOT / folder / "py.typed").is_file()
    assert "py.typed" in config["options.package_data"][folder.rpartition("/")[2]]


def test_every_data_file_of_a_package_is_packed() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    packages = config["options"]["packages"].split()
    folders = {name: ROOT / name.replace(".", "/") for name in packages}
    folders["soulchat_metrics"] = ROOT / "metrics/soulchat_metrics"
    packed = {
        path
        for name, patterns in config["options.package_data"].items()
        for pattern in patterns.split(",")
        for path in folders[name].glob(pattern.strip())
    }
    found = {path for folder in folders.values() for path in folder.rglob("*") if path.is_file()}
    left_out = {path for path in found - packed if path.suffix not in (".py", ".pyc")}
    assert sorted(str(path.relative_to(ROOT)) for path in left_out) == []
