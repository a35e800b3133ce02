"""`make bench`: goes on where a benchmark fails, and says so; what is compared with the peers is the same data."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import bench, page
from tests.paths import ROOT


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("peers")


def test_a_failed_benchmark_is_named_and_the_next_one_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    done = tmp_path / "done"
    commands = {
        "first": [sys.executable, "-c", "raise SystemExit(3)"],
        "second": [sys.executable, "-c", f"open({str(done)!r}, 'w')"],
    }
    assert bench.run_all(commands) == ["first"]
    assert done.exists()
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "[1/2] first"
    assert lines[1].startswith("[1/2] first: exit code 3, ")
    assert lines[2] == "[2/2] second"


def test_the_exit_code_tells_that_one_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "run_all", lambda commands: ["metric", "page"])
    with pytest.raises(SystemExit, match="failed: metric, page"):
        bench.main()


def test_every_benchmark_of_the_list_is_there_and_the_page_is_last() -> None:
    assert all((bench.HERE / script).is_file() for script, *_ in bench.COMMANDS.values())
    assert list(bench.COMMANDS)[-1] == "page"


def test_the_copies_of_the_sample_keep_their_texts(peers: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "conversations.jsonl"
    peers.write_conversations(path, copies=2)
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert len({row["id"] for row in rows}) == len(rows) == 2 * 998
    assert [row["conversations"] for row in rows[:998]] == [row["conversations"] for row in rows[998:]]
    assert peers.our_converter(path, "conversations")["rows"] == len(rows)


def test_our_scores_of_the_pairs_are_those_of_the_preset(peers: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    peers.write_pairs(path, 20)
    slow, fast = (peers.our_metric(path, "llamafactory", fast)["scores"] for fast in (False, True))
    assert "|round:4|" in slow["signature"]
    assert [slow[name] for name in ("bleu-4", "rouge-l")] == [fast[name] for name in ("bleu-4", "rouge-l")]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["python", "-m", "pip", "install", "x"], "installing: ERROR: no such version"),
        (["python", "driver.py"], "running: ERROR: no such version"),
    ],
)
def test_a_peer_that_cannot_be_run_says_why(
    peers: ModuleType, monkeypatch: pytest.MonkeyPatch, command: list[str], expected: str
) -> None:
    def fail(peer: str) -> Path:
        raise subprocess.CalledProcessError(1, command, stderr="Looking up …\nERROR: no such version\n")

    monkeypatch.setattr(peers, "environment", fail)
    assert peers.compare("llamafactory", Path(), Path()) == {"failed": expected}


@pytest.mark.parametrize("peer", ["llamafactory", "ms_swift"])
def test_a_peers_environment_is_pinned(peers: ModuleType, peer: str) -> None:
    assert peer in peers.PEERS
    first, *lines = (peers.HERE / f"peer_{peer}.txt").read_text(encoding="utf-8").splitlines()
    assert first.startswith("# ")
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    assert not any(line.startswith("torch==") for line in lines)


def test_the_page_says_why_a_peer_could_not_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    results = {"pairs": 10, "peers": {"ms_swift": {"failed": "installing: ERROR: no such version"}}}
    monkeypatch.setattr(page, "results_of", lambda file: results)
    assert "| ms_swift | could not be run: `installing: ERROR: no such version` |" in page.peers()


def test_the_page_of_the_judge_has_the_limit_that_was_measured() -> None:
    """Means of three raters, nine of ten points the highest: coverage with 20 to 50 ratings, and from 100 on."""
    sizes = page.results_of("judge")["means of three raters"]["nine of ten at the top"]
    told = [
        [round(100 * judge["coverage"]) for size in list(sizes)[part] for judge in sizes[size].values()]
        for part in (slice(2), slice(2, None))
    ]
    few, many = (f"{min(shares)} to {max(shares)} %" for shares in told)
    text = (ROOT / "docs/judge.md").read_text(encoding="utf-8")
    assert f"covered in {few} with 20 to 50 ratings (in {many} from 100 on)" in text


def test_the_page_of_simulated_clients_has_the_numbers_of_its_result_file() -> None:
    text = (ROOT / "docs/simulate.md").read_text(encoding="utf-8")
    results = page.results_of("simulate")
    batch, store = results["batch"], results["store"]
    assert f"{batch['replies']} replies of {batch['tokens']:,} tokens took {batch['ratio']:.2f} times" in text
    assert f"at {store['turns_per_second']:,} messages a second" in text
    assert f"used {store['peak_memory_mb']} MB at its peak ({store['memory_before_mb']} MB of them" in text
    assert f"the files took {store['files_mb']} MB" in text
