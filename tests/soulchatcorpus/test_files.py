"""Files that are whole or not there."""

import os
import shutil
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash

from soulchatcorpus.files import (
    check_new,
    making,
    parquet_writer,
    parse_yaml,
    read_object,
    replacing,
    transaction,
    working_in,
    write_json,
    write_lines,
    write_text,
)


def temporary_of(path: Path) -> Path:
    return path.with_name(f".{xxhash.xxh3_64_hexdigest(path.name.encode())}.{os.getpid()}.tmp")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"null", r"a\.json is null; allowed: a JSON object"),
        (b"[{}]", r"a\.json is of type list; allowed: a JSON object"),
        (b"1e3", r"a\.json is of type float; allowed: a JSON object"),
        (b"", r"a\.json is not JSON \(.*\); allowed: a JSON object"),
        (b"{\xff}", r"a\.json is not JSON \(.*\); allowed: a JSON object"),
        (b'{"a": ' * 100_000, r"a\.json is not JSON \(.*\); allowed: a JSON object"),
    ],
)
def test_a_json_file_without_an_object(content: bytes, line: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=line):
        read_object(tmp_path / "a.json")


def test_an_object_of_a_json_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"limits": [0.0, Infinity], "名": null}')
    assert read_object(tmp_path / "a.json") == {"limits": [0.0, float("inf")], "名": None}


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "a.jsonl"
    write_lines(path, [{"id": "old"}])
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_lines(path, [{"id": "new"}, {"id": object()}])
    assert path.read_text() == '{"id":"old"}\n'
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_full_disk_leaves_what_was_there_and_names_the_file(tmp_path):
    """/dev/full takes no byte: writing there is what a full disk is like."""
    path = tmp_path / "a.txt"
    write_text(path, "old")
    temporary_of(path).symlink_to("/dev/full")
    with pytest.raises(OSError, match=f"No space left on device: '{path}'$"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_in_the_way_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError, match=f"Is a directory: '{tmp_path / 'a'}'$"):
        write_text(tmp_path / "a", "text")


def test_another_file_that_fails_inside_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"), replacing(tmp_path / "a") as file:
        file.write((tmp_path / "missing").read_bytes())
    assert list(tmp_path.iterdir()) == []


def test_the_bytes_are_on_the_disk_before_the_old_file_goes(tmp_path, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        called = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, called=called: (done.append(name), called(*given))[1])
    write_text(tmp_path / "a", "text")
    assert done == ["fsync", "replace"]


def test_private_is_for_the_owner_only(tmp_path):
    write_json(tmp_path / "a", {}, private=True)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_json_is_indented(tmp_path):
    write_json(tmp_path / "new" / "a.json", {"名": 1})
    assert (tmp_path / "new" / "a.json").read_text() == '{\n  "名": 1\n}\n'


def test_a_transaction_is_done_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.sqlite"
    with transaction(path) as database:
        database.execute("CREATE TABLE words (word TEXT)")

    def fail() -> None:
        with transaction(path) as database:
            database.execute("INSERT INTO words VALUES ('half')")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with transaction(path) as database:
        database.execute("INSERT INTO words VALUES ('whole')")
    with transaction(path) as database:
        [row] = database.execute("SELECT word FROM words").fetchall()
    assert (row[0], row["word"]) == ("whole", "whole")


def test_what_sqlite_refuses_names_the_file(tmp_path):
    (tmp_path / "a.sqlite").write_bytes(b"no database, but more than its head is long" * 3)
    with (
        pytest.raises(OSError, match=r"a\.sqlite: file is not a database; nothing was changed"),
        transaction(tmp_path / "a.sqlite"),
    ):
        pass


def test_parquet_is_compressed_by_zstd(tmp_path):
    table = pa.table({"word": ["一", "二"]})
    with replacing(tmp_path / "a.parquet") as file, parquet_writer(file, table.schema) as writer:
        writer.write_table(table)
    assert pq.read_table(tmp_path / "a.parquet") == table
    assert pq.read_metadata(tmp_path / "a.parquet").row_group(0).column(0).compression == "ZSTD"


def test_one_folder_has_one_run(tmp_path):
    with (
        working_in(tmp_path / "out", "soulchat corpus clean"),
        pytest.raises(OSError, match=rf"in use by soulchat corpus clean \(process {os.getpid()} on \S+, since 2"),
        working_in(tmp_path / "out", "soulchat corpus build"),
    ):
        pass
    with pytest.raises(KeyError), working_in(tmp_path / "out", "x"):
        raise KeyError
    with working_in(tmp_path / "out", "y"):
        (tmp_path / "out" / "a").touch()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


def test_a_killed_run_leaves_its_folder_free(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from soulchatcorpus.files import working_in\n"
        "with working_in(Path(sys.argv[1]), 'first'):\n    print('here', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline() == "here\n"
        with pytest.raises(OSError, match=f"in use by first .process {run.pid} "), working_in(tmp_path, "second"):
            pass
        run.kill()
    with working_in(tmp_path, "third"):
        assert (tmp_path / ".lock").read_text().startswith("third (process ")
    assert list(tmp_path.iterdir()) == []


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (BOMB, r"line 2 has the alias \*a0; allowed: values that are written out"),
        ("a: &a [*a]", r"line 1 has the alias \*a"),
        ("a: &a {b: 1}\nc: {<<: *a}", r"line 2 has the alias \*a"),
        ("[" * 100_000, "is nested more than 50 deep"),
        (b"a: \xff", "byte 3 is no UTF-8; allowed: YAML in UTF-8"),
        (b"a: \x00", "special characters are not allowed"),
        ("a: [", "at line 1, column 5: a: .*; allowed: YAML"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
    ],
)
def test_yaml_that_is_none_or_grows_is_refused_in_a_line(text, line):
    with pytest.raises(ValueError, match=line) as error:
        parse_yaml(text)
    assert "\n" not in str(error.value)


def test_yaml_with_anchors_alone_is_read():
    assert parse_yaml("\ufeffa: &a 1\nb: 用户".encode()) == {"a": 1, "b": "用户"}


def test_a_name_is_held_by_the_one_who_makes_it(tmp_path):
    path = tmp_path / "new" / "a.jsonl"
    with (
        making(path, "soulchat corpus convert"),
        pytest.raises(OSError, match=rf"a\.jsonl is in use by soulchat corpus convert \(process {os.getpid()} on"),
        making(path, "another"),
    ):
        pass
    assert not path.parent.exists()
    with making(path, "one"), making(path.with_name("b"), "other"):
        check_new(path)
        path.touch()
        with pytest.raises(FileExistsError, match=r"a\.jsonl already exists; allowed: another name$"):
            check_new(path)
    assert list(path.parent.iterdir()) == [path]
    path.with_name("b").symlink_to("nowhere")
    with pytest.raises(FileExistsError, match="b already exists"):
        check_new(path.with_name("b"))


def test_what_a_killed_run_left_of_a_file_goes_when_it_is_made_again(tmp_path):
    """It may be as large as a disk has room for. What was left of others stays: they may be at work."""
    code = (
        "import os, signal, sys; from pathlib import Path; from soulchatcorpus.files import making, replacing\n"
        "path = Path(sys.argv[1])\n"
        "with making(path, 'x'), replacing(path) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path, other = tmp_path / "a.jsonl", tmp_path / ".0123456789abcdef.1.tmp"
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    other.touch()
    assert len(list(tmp_path.glob(".*.tmp"))) == 2
    with making(path, "x"):
        write_text(path, "whole")
    assert sorted(tmp_path.iterdir()) == [other, path]


def test_who_removes_his_folder_does_not_free_it_for_a_third(tmp_path):
    """The second came after all was gone, with a lock of his own."""
    folder = tmp_path / "out"
    with ExitStack() as second:
        with working_in(folder, "first"):
            shutil.rmtree(folder)
            second.enter_context(working_in(folder, "second"))
        with pytest.raises(OSError, match="in use by second"), working_in(folder, "third"):
            pass


def test_where_no_hidden_file_can_be_made_the_one_that_was_asked_for_is_named(tmp_path):
    """As in a folder that is read-only; these fail for root as well."""
    temporary_of(tmp_path / "a").symlink_to(tmp_path / "nowhere" / "a")
    with pytest.raises(OSError, match=f"No such file or directory: '{tmp_path / 'a'}'$"):
        write_text(tmp_path / "a", "text")
    (tmp_path / "out" / ".lock").mkdir(parents=True)
    with pytest.raises(OSError, match=f"Is a directory: '{tmp_path / 'out'}'$"), working_in(tmp_path / "out", "x"):
        pass


@pytest.mark.parametrize("name", ["file", "file/inside"])
def test_a_file_is_no_folder_to_work_in(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    refused = pytest.raises(NotADirectoryError, match=rf"{name} is a file, or lies in one; allowed: a folder")
    with refused, working_in(tmp_path / name, "x"):
        raise AssertionError
    assert (tmp_path / "file").read_bytes() == b"kept"
