"""Recorded training openings hold hashes only, and tell what was seen."""

from pathlib import Path

import pytest

from soulchat_trainer.evaluation.seen import OPENINGS_FILE, count_seen, find_openings, write_openings

SEEN = "用户：我睡不着\n心理咨询师："
LATER = "用户：我睡不着\n心理咨询师：多久了？\n用户：很久\n心理咨询师："
OTHER = "用户：我很难过\n心理咨询师："


def test_openings(tmp_path: Path) -> None:
    write_openings(tmp_path, [LATER, SEEN])
    path = tmp_path / OPENINGS_FILE
    assert len(path.read_text().splitlines()) == 1
    assert "睡" not in path.read_text()
    assert count_seen(path, [SEEN, LATER, OTHER]) == 2
    (tmp_path / "next").mkdir()
    write_openings(tmp_path / "next", [OTHER], base=path)
    assert count_seen(tmp_path / "next" / OPENINGS_FILE, [SEEN, OTHER]) == 2
    path.write_text("我睡不着")
    with pytest.raises(ValueError, match="hexadecimal"):
        count_seen(path, [SEEN])


def test_a_checkpoint_has_seen_what_its_run_has(tmp_path: Path) -> None:
    write_openings(tmp_path, [SEEN])
    for name in ("checkpoint-3", "another"):
        (tmp_path / name).mkdir()
    assert find_openings(str(tmp_path / "checkpoint-3")) == tmp_path.resolve() / OPENINGS_FILE
    assert find_openings(str(tmp_path / "another")) is None
