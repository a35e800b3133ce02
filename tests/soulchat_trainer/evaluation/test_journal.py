"""Replies kept on disk: what a stop leaves, what other settings do, whose time counts."""

from pathlib import Path

import pytest

from soulchat_trainer.evaluation.journal import Journal
from soulchat_trainer.generation import Reply

REPLIES = {"a": Reply("你好\n", True, 3), "b": Reply("", False, 0)}


def test_replies_round_trip_and_a_torn_line_is_written_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path, {"seed": 1})
    assert journal.read() == {}
    assert journal.seconds() == 0.0
    list(journal.write(iter([("a", REPLIES["a"])])))
    with (tmp_path / "replies-0.jsonl").open("ab") as file:
        file.write(b'{"id": "b", "te')
    assert Journal(tmp_path, {"seed": 1}).read() == {"a": REPLIES["a"]}
    list(journal.write(iter([("b", REPLIES["b"])])))
    assert journal.read() == REPLIES


@pytest.mark.parametrize("line", [b'{"id": "b', b'{"id": "b"}', b"[]"])
def test_a_broken_line_is_told_with_its_file(tmp_path: Path, line: bytes) -> None:
    journal = Journal(tmp_path, {})
    list(journal.write(REPLIES.items()))
    path = tmp_path / "replies-0.jsonl"
    path.write_bytes(line + b"\n" + path.read_bytes())
    with pytest.raises(ValueError, match=r"replies-0\.jsonl, line 1: (not JSON|needs a JSON object with id, text)"):
        journal.read()


def test_settings_that_could_not_be_written_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", fail)
        with pytest.raises(OSError, match="No space left"):
            Journal(tmp_path, {"seed": 1})
    assert Journal(tmp_path, {"seed": 1}).read() == {}
    (tmp_path / "settings.json").write_bytes(b"")
    with pytest.raises(ValueError, match=r"settings\.json: not JSON .*; allowed: a benchmark's own file, or another"):
        Journal(tmp_path, {"seed": 1})


def test_every_reply_is_on_disk_before_the_next_is_asked_for(tmp_path: Path) -> None:
    journal = Journal(tmp_path, {})

    def replies():
        yield "a", REPLIES["a"]
        assert set(journal.read()) == {"a"}
        yield "b", REPLIES["b"]

    list(journal.write(replies()))


def test_processes_write_their_own_files(tmp_path: Path) -> None:
    for rank, (key, reply) in enumerate(REPLIES.items()):
        list(Journal(tmp_path, {}, rank).write(iter([(key, reply)])))
    assert Journal(tmp_path, {}).read() == REPLIES
    assert Journal(tmp_path, {}).seconds() > 0


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    Journal(tmp_path, {"seed": 1, "model": "m"})
    with pytest.raises(ValueError, match=r"made with another seed; allowed: another `output`"):
        Journal(tmp_path, {"seed": 2, "model": "m"})


def test_replies_of_other_settings_can_be_deleted_instead(tmp_path: Path) -> None:
    """A run that is trained anew in its folder is scored anew; one that was stopped while it was scored goes on."""
    list(Journal(tmp_path, {"revision": "old"}).write([("1-1", Reply("a", True, 1))]))
    assert set(Journal(tmp_path, {"revision": "old"}, renew=True).read()) == {"1-1"}
    assert Journal(tmp_path, {"revision": "new"}, renew=True).read() == {}
    with pytest.raises(ValueError, match="another revision"):
        Journal(tmp_path, {"revision": "old"})
