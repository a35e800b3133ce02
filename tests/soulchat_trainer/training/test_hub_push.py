"""Snapshots of a checkpoint, and which of them are sent."""

import threading
from pathlib import Path
from typing import Any

import pytest

from hub_cards.publish import Target
from hub_cards.results import DataSet, Results, Training, read_results
from soulchat_trainer.training import hub_push
from soulchat_trainer.training.hub_push import HubPusher, take_snapshot


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint-4"
    (folder / "global_step4").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "results.json").write_bytes(b"old")
    return folder


def test_a_snapshot_outlives_its_checkpoint(checkpoint: Path) -> None:
    with take_snapshot(checkpoint, Results(dataset=DataSet(name="x"))) as snapshot:
        weights = Path(snapshot) / "model.safetensors"
        assert weights.samefile(checkpoint / "model.safetensors")
        (checkpoint / "model.safetensors").unlink()
        assert weights.read_bytes() == b"weights"
        assert read_results(Path(snapshot) / "results.json").dataset.name == "x"
        assert sorted(path.name for path in Path(snapshot).iterdir()) == ["model.safetensors", "results.json"]
    assert [path.name for path in checkpoint.parent.iterdir()] == ["checkpoint-4"]


def test_without_hard_links_it_is_copied(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(hub_push.os, "link", refuse)
    with take_snapshot(checkpoint, Results(dataset=DataSet(name="x"))) as snapshot:
        assert (Path(snapshot) / "model.safetensors").read_bytes() == b"weights"


def at_step(step: int) -> Results:
    return Results(dataset=DataSet(name="x"), training=Training(steps=step))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps of the results that are staged, instead of sending them."""
    steps: list[int] = []

    def stage(folder: Path, staged: Path, **kwargs: Any) -> None:
        steps.append(read_results(folder / "results.json").training.steps)

    monkeypatch.setattr(hub_push, "stage_model", stage)
    monkeypatch.setattr(hub_push, "publish_folder", lambda staged, target, **options: None)
    return steps


def test_the_newest_waits_and_the_last_is_never_skipped(
    checkpoint: Path, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, go_on = threading.Event(), threading.Event()

    def slow(staged: Path, target: Target, **options: Any) -> None:
        under_way.set()
        go_on.wait(10)

    monkeypatch.setattr(hub_push, "publish_folder", slow)
    pusher = HubPusher(Target("user/name", "model"))
    pusher.submit(checkpoint, at_step(1))
    assert under_way.wait(10)
    for step in (2, 3, 4):
        pusher.submit(checkpoint, at_step(step))
    go_on.set()
    pusher.finish()
    assert sent == [1, 4]


def test_a_failure_is_told_and_costs_nothing(
    checkpoint: Path, sent: list[int], monkeypatch: pytest.MonkeyPatch, told: pytest.LogCaptureFixture
) -> None:
    def fail(staged: Path, target: Target, **options: Any) -> None:
        raise ConnectionError("the Hub\nis away")

    monkeypatch.setattr(hub_push, "publish_folder", fail)
    pusher = HubPusher(Target("user/name", "model"))
    pusher.submit(checkpoint, at_step(1))
    pusher.finish()
    line = f"push to user/name failed (the Hub is away); training goes on, and the files are in {checkpoint}"
    assert line in told.text


def test_a_name_that_is_none_is_refused_before_training() -> None:
    with pytest.raises(ValueError, match="no/good/name"):
        HubPusher(Target("no/good/name", "model"))
