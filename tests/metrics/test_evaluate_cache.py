import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from soulchat_metrics import evaluate_cache
from soulchat_metrics.evaluate_cache import install_metric

FOLDER = Path("evaluate_modules", "metrics", "evaluate-metric--soulchat_metrics")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path))
    return tmp_path / FOLDER


def versions(cache: Path) -> list[str]:
    """The installed versions, newest first, as `evaluate` orders them."""
    files = sorted(cache.glob("*/soulchat_metrics.py"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return [path.parent.name for path in files]


def test_installs_once(cache):
    install_metric()
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    install_metric()
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before
    assert len(versions(cache)) == 1
    assert len(versions(cache)[0]) == 64


def test_what_a_cleaner_of_old_files_took_is_put_back(cache):
    install_metric()
    [version] = versions(cache)
    for name in ("soulchat_metrics.py", "bleu.py"):
        (cache / version / name).unlink()
    install_metric()
    assert versions(cache) == [version]
    assert {path.stem for path in (cache / version).glob("*.py")} == {*evaluate_cache.MODULES, "__init__"}
    assert sorted(path.name for path in cache.iterdir() if path.is_dir()) == [version]


def test_a_user_without_a_home(tmp_path, monkeypatch):
    for name in ("HOME", "HF_HOME", "HF_MODULES_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 2)  # of nobody that the system knows
    monkeypatch.chdir(tmp_path)
    install_metric()
    assert len(versions(tmp_path / "~" / ".cache" / "huggingface" / "modules" / FOLDER)) == 1


def test_a_new_version_and_then_the_old_one_become_the_newest(cache, tmp_path, monkeypatch):
    install_metric()
    [old] = versions(cache)
    os.utime(cache / old / "soulchat_metrics.py", ns=(1, 1))
    changed = tmp_path / "package"
    changed.mkdir()
    for module in evaluate_cache.MODULES:
        source = Path(evaluate_cache.__file__).with_name(f"{module}.py").read_text()
        (changed / f"{module}.py").write_text(source + "\n")
    with monkeypatch.context() as patch:
        patch.setattr(evaluate_cache, "__file__", str(changed / "evaluate_cache.py"))
        install_metric()
    new, second = versions(cache)
    assert second == old != new
    install_metric()
    assert versions(cache) == [old, new]


def test_many_processes_at_once(cache):
    program = "from soulchat_metrics.evaluate_cache import install_metric\ninstall_metric()"
    processes = [subprocess.Popen([sys.executable, "-W", "error", "-c", program]) for _ in range(4)]
    assert [process.wait(timeout=200) for process in processes] == [0] * 4
    assert len(versions(cache)) == 1
    assert sorted(path.name for path in cache.iterdir() if path.is_dir()) == versions(cache)


def test_another_process_that_was_faster_is_no_failure(cache, monkeypatch):
    rename = Path.rename

    def overtaken(folder: Path, target: Path) -> Path:
        shutil.copytree(folder, target)  # the other process's folder appears just before ours
        return rename(folder, target)

    monkeypatch.setattr(Path, "rename", overtaken)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        install_metric()
    assert sorted(path.name for path in cache.iterdir() if path.is_dir()) == versions(cache)


def test_a_home_that_cannot_be_written_is_told_and_harmless(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "file" / "modules"))
    with pytest.warns(UserWarning, match=r'evaluate.load\("soulchat_metrics"\) will not find .* set HF_MODULES_CACHE'):
        install_metric()


def test_evaluate_says_nothing_of_where_it_takes_the_metric_from(tmp_path):
    code = 'import evaluate, soulchat_metrics; evaluate.load("soulchat_metrics")'
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
