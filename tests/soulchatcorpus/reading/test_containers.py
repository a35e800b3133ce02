import bz2
import json
import lzma
import os
import zipfile

import pytest

from soulchatcorpus.reading.containers import list_files
from soulchatcorpus.reading.corpus import Report, read_corpus
from soulchatcorpus.reading.json_stream import CorpusError

RECORD = json.dumps({"messages": [{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}]}) + "\n"


def test_bzip2_is_read(tmp_path):
    (tmp_path / "a.jsonl.bz2").write_bytes(bz2.compress(RECORD.encode()))
    assert len(list(read_corpus(tmp_path))) == 1


def test_archives_are_told_plainly(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.jsonl.zip", "w") as archive:
        archive.writestr("a.jsonl", RECORD)
    with pytest.raises(CorpusError, match=r"a\.jsonl\.zip: a zip archive; allowed: the files in it, unpacked"):
        list(read_corpus(tmp_path / "a.jsonl.zip"))
    (tmp_path / "b.jsonl.xz").write_bytes(lzma.compress(RECORD.encode()))
    with pytest.raises(CorpusError, match=r"b\.jsonl\.xz: an xz archive; allowed: the file in it, unpacked"):
        list(read_corpus(tmp_path / "b.jsonl.xz"))
    (tmp_path / "c.xlsx").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(100))
    with pytest.raises(CorpusError, match=r"an Office file of before 2007"):
        list(read_corpus(tmp_path / "c.xlsx"))
    (tmp_path / "d.jsonl").write_text(RECORD)
    report = Report()
    assert len(list(read_corpus(tmp_path, on_error="skip", report=report))) == 1
    assert report.rejected == 3


@pytest.mark.parametrize(
    "name", ["数据[1].jsonl", "[a].jsonl", "a*b?.jsonl", "字" * 83 + ".jsonl", "a" * 249 + ".jsonl"]
)
def test_names(tmp_path, name):
    (tmp_path / name).write_text(RECORD)
    assert [len(list(read_corpus(path))) for path in (tmp_path / name, tmp_path)] == [1, 1]


def test_names_that_are_not_utf8(tmp_path):
    folder = tmp_path / os.fsdecode("数据".encode("gbk"))
    folder.mkdir()
    (folder / os.fsdecode("咨询".encode("gbk") + b".jsonl")).write_text(RECORD + "{\n")
    report = Report()
    with (tmp_path / "rejects").open("wb") as report.rejects:
        (talk,) = read_corpus(folder, on_error="skip", report=report)
    assert talk.id.startswith(r"\xd7\xc9")
    assert json.loads((tmp_path / "rejects").read_text())["file"].endswith(r"\xca\xfd\xbe\xdd/\xd7\xc9ѯ.jsonl")
    with pytest.raises(CorpusError, match=r"\.jsonl: record 2, line 2: broken JSON"):
        list(read_corpus(folder))
    with pytest.raises(CorpusError, match="no such file or folder"):
        list_files(folder / "nothing")


def test_skipping_goes_on_after_deep_nesting(tmp_path):
    deep = '{"a": ' + "[" * 900 + "]" * 900 + "}\n"
    (tmp_path / "a.jsonl").write_text(RECORD + deep + deep.replace("900", "2000") + RECORD)
    report = Report()
    with (tmp_path / "rejects").open("wb") as report.rejects:
        assert len(list(read_corpus(tmp_path / "a.jsonl", on_error="skip", report=report))) == 2
    assert len((tmp_path / "rejects").read_text().splitlines()) == report.rejected == 2
