"""The ledger's file: versions, foreign files, a full disk, and rows that are there when `add` returns."""

import sqlite3

import pytest

from soulchatcorpus.making.ledger import Entry, Ledger


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "out" / "ledger.sqlite")
    yield ledger
    ledger.close()


def test_a_row_is_there_for_others_when_add_returns(ledger):
    ledger.add(Entry("1", "hash", "p@1", "m", "accepted", prompt_tokens=3, completion_tokens=4, cost=0.5, reply="好"))
    with sqlite3.connect(ledger.path) as other:
        assert other.execute("SELECT record_id, status, reply FROM requests").fetchall() == [("1", "accepted", "好")]
    assert ledger.totals() == {"requests": 1, "prompt_tokens": 3, "completion_tokens": 4, "cost": 0.5}


def test_only_final_rows_count_as_done(ledger):
    ledger.add(Entry("1", "hash", "p@1", "m", "error", "http_500"))
    assert ledger.find_final("1", "hash") is None
    ledger.add(Entry("1", "hash", "p@1", "m", "rejected", "refusal"))
    assert ledger.find_final("1", "hash").reason == "refusal"
    assert ledger.find_final("1", "other hash") is None
    assert ledger.reopen_rejected() == 1
    assert ledger.find_final("1", "hash") is None


def test_an_unknown_status_is_refused(ledger):
    with pytest.raises(sqlite3.IntegrityError):
        ledger.add(Entry("1", "hash", "p@1", "m", "fine"))


def test_opening_again_keeps_the_rows(ledger):
    ledger.add(Entry("1", "hash", "p@1", "m", "accepted"))
    again = Ledger(ledger.path)
    assert again.find_final("1", "hash") == ledger.find_final("1", "hash")
    again.close()


def test_a_ledger_of_another_version_is_left_as_it_is(ledger):
    ledger.add(Entry("1", "hash", "p@1", "m", "accepted"))
    ledger.set_meta("schema_version", "9")
    with pytest.raises(ValueError, match=r"a ledger of version 9, .* nothing was changed"):
        Ledger(ledger.path)
    assert ledger.find_final("1", "hash") is not None


@pytest.mark.parametrize("content", [b"no database at all, only text" * 50, None])
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "ledger.sqlite"
    if content is None:
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE other (x)")
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="not a ledger"):
        Ledger(path)


def test_what_cannot_be_opened_or_read_is_one_clear_error(ledger, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder: unable to open"):
        Ledger(tmp_path / "folder")
    ledger._database.execute("DROP TABLE requests")
    with pytest.raises(OSError, match="no such table"):
        ledger.find_final("1", "hash")


def test_replies_can_be_judged_while_they_are_read(ledger):
    """More than are read at once."""
    for number in range(2_300):
        ledger.add(Entry(str(number), "hash", "p@1", "m", "accepted", reply="好"))
    for number, _ in ledger.replies():
        ledger.judge(number, "rejected", "too_few_rounds")
    assert [entry.record_id for _, entry in ledger.replies()] == [str(number) for number in range(2_300)]
    assert ledger.reopen_rejected() == 2_300


def test_a_full_disk_is_one_clear_error_and_nothing_is_lost(ledger):
    ledger.add(Entry("1", "hash", "p@1", "m", "accepted", reply="好"))
    pages = ledger._database.execute("PRAGMA page_count").fetchone()[0]
    ledger._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OSError, match="full; what was written before is kept"):
        ledger.add(Entry("2", "hash", "p@1", "m", "accepted", reply="长" * 500_000))
    with pytest.raises(OSError, match="full"):
        ledger.set_meta("note", "长" * 500_000)
    ledger._database.execute("PRAGMA max_page_count = 1000000")
    assert ledger.find_final("1", "hash").reply == "好"
    ledger.add(Entry("more", "hash", "p@1", "m", "accepted"))
