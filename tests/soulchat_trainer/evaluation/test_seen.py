"""Recorded training openings hold hashes only, and tell what was seen."""

from pathlib import Path

import pytest

from soulchat_trainer.evaluation.seen import OPENINGS_FILE, find_openings, has_seen, write_openings

SEEN, OTHER, NEW = "我睡不着", "我很难过", "你好"


def test_openings(tmp_path: Path) -> None:
    write_openings(tmp_path, [SEEN, SEEN])
    path = tmp_path / OPENINGS_FILE
    assert len(path.read_text().splitlines()) == 1
    assert "睡" not in path.read_text()
    assert has_seen(path, [OTHER, SEEN])
    assert not has_seen(path, [OTHER])
    (tmp_path / "next").mkdir()
    write_openings(tmp_path / "next", [OTHER], base=path)
    for opening, is_seen in ((SEEN, True), (OTHER, True), (NEW, False)):
        assert has_seen(tmp_path / "next" / OPENINGS_FILE, [opening]) == is_seen
    path.write_text("我睡不着")
    with pytest.raises(ValueError, match="hexadecimal"):
        has_seen(path, [SEEN])


def test_a_checkpoint_has_seen_what_its_run_has(tmp_path: Path) -> None:
    write_openings(tmp_path, [SEEN])
    for name in ("checkpoint-3", "another"):
        (tmp_path / name).mkdir()
    assert find_openings(str(tmp_path / "checkpoint-3")) == tmp_path.resolve() / OPENINGS_FILE
    assert find_openings(str(tmp_path / "another")) is None
