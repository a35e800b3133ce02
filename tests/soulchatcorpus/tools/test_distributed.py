import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from soulchatcorpus.tools.convert import convert

pytest.importorskip("datatrove")

from datatrove.executor import LocalPipelineExecutor

from soulchatcorpus.tools.distributed import CorpusConverter
from tests.paths import FIXTURES

SMILECHAT = FIXTURES / "corpus" / "smilechat"


def rows(folder: Path) -> list[dict]:
    files = sorted(folder.glob("*.parquet"))
    assert len(files) == 2
    return sorted((row for file in files for row in pq.read_table(file).to_pylist()), key=lambda row: row["id"])


def expected(tmp_path: Path, to: str) -> list[dict]:
    convert(SMILECHAT, tmp_path / "expected.parquet", to)
    return sorted(pq.read_table(tmp_path / "expected.parquet").to_pylist(), key=lambda row: row["id"])


@pytest.mark.parametrize("to", ["turns", "conversations"])
def test_two_local_tasks_give_what_convert_gives(tmp_path, to):
    steps = [CorpusConverter(str(SMILECHAT), str(tmp_path / "out"), to)]
    LocalPipelineExecutor(steps, tasks=2, workers=1, logging_dir=str(tmp_path / "logs")).run()
    assert rows(tmp_path / "out") == expected(tmp_path, to)


def test_rejected_records_of_a_task(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{\n{"id": 1, "messages": [{"role": "user", "content": "一"}]}')
    folders = {"source": str(tmp_path / "in"), "output": str(tmp_path / "out"), "rejects": str(tmp_path / "rejects")}
    steps = [CorpusConverter(**folders, to="conversations", on_error="skip")]
    executor = LocalPipelineExecutor(steps, tasks=1, workers=1, logging_dir=str(tmp_path / "logs"))
    executor.run()
    (rejected,) = (json.loads(line) for line in (tmp_path / "rejects" / "00000.jsonl").read_text().splitlines())
    assert rejected["place"] == "line 1"
    stats = json.loads((tmp_path / "logs" / "stats.json").read_text())
    assert stats[0]["stats"]["rejected"] == 1


def test_a_task_may_find_nothing_but_rejected_records(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"id": 1, "messages": [{"role": "user", "content": "一"}]}')
    (tmp_path / "in" / "b.jsonl").write_text("{")
    steps = [CorpusConverter(str(tmp_path / "in"), str(tmp_path / "out"), "conversations", on_error="skip")]
    LocalPipelineExecutor(steps, tasks=2, workers=1, logging_dir=str(tmp_path / "logs")).run()
    assert [row["id"] for row in pq.read_table(tmp_path / "out").to_pylist()] == ["1"]


def test_an_unknown_target():
    step = CorpusConverter(str(SMILECHAT), "out", "turn")
    with pytest.raises(ValueError, match="the target is 'turn'; allowed: turns, conversations, sharegpt, alpaca"):
        list(step.run())


@pytest.mark.slow
def test_two_tasks_on_ray(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    ray = pytest.importorskip("ray")
    from datatrove.executor import RayPipelineExecutor

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        steps = [CorpusConverter(str(SMILECHAT), str(tmp_path / "out"))]
        logs = str(tmp_path / "logs")
        RayPipelineExecutor(steps, tasks=2, workers=2, mem_per_cpu_gb=0.5, logging_dir=logs).run()
    finally:
        ray.shutdown()
    assert rows(tmp_path / "out") == expected(tmp_path, "turns")
