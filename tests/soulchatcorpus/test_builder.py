import http.server
import json
import logging
import os
import shutil
import threading
from pathlib import Path

import datasets
import pytest
from datasets import (
    get_dataset_config_names,
    get_dataset_default_config_name,
    get_dataset_split_names,
    load_dataset,
    load_dataset_builder,
)

import soulchatcorpus  # noqa: F401
from soulchatcorpus import builder
from soulchatcorpus.reading import parts
from soulchatcorpus.reading.json_stream import CorpusError
from soulchatcorpus.splits import opening_key
from soulchatcorpus.tools.convert import convert
from tests.paths import FIXTURES

SMILECHAT = FIXTURES / "corpus" / "smilechat"
SPLITS = ["train", "validation", "test"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The embedded dialogues as a file of the user's, in the form of the release."""
    folder = tmp_path_factory.mktemp("source")
    records = []
    for split in SPLITS:
        for row in load_dataset("soulchatcorpus", "conversations", split=split):
            records.append({"id": int(row["id"]), "topic": None, "messages": row["messages"]})
    records.sort(key=lambda record: record["id"])
    (folder / "corpus.json").write_text(json.dumps(records, ensure_ascii=False, indent=4))
    return folder / "corpus.json"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(data) -> dict[str, list]:
    return {split: list(data[split]) for split in data}


def test_names(elsewhere):
    assert get_dataset_config_names("soulchatcorpus") == ["turns", "conversations"]
    assert get_dataset_default_config_name("soulchatcorpus") == "turns"
    assert get_dataset_split_names("soulchatcorpus") == SPLITS
    assert load_dataset_builder("soulchatcorpus").info.features == load_dataset("soulchatcorpus")["train"].features


@pytest.mark.parametrize("config", ["turns", "conversations"])
def test_the_package_gives_what_the_bare_folder_gives(elsewhere, config):
    folder = Path(builder.__file__).parent
    for part in ("README.md", "data"):
        copy = shutil.copytree if part == "data" else shutil.copy
        (elsewhere / "bare").mkdir(exist_ok=True)
        copy(folder / part, elsewhere / "bare" / part)
    bare, package = load_dataset("./bare", config), load_dataset("soulchatcorpus", config)
    assert rows(bare) == rows(package)
    assert {split: bare[split].features for split in bare} == {split: package[split].features for split in package}
    assert list(load_dataset("soulchatcorpus", config, split="test", streaming=True)) == list(package["test"])


def test_the_embedded_sample_is_whole_and_does_not_leak():
    conversations, turns = load_dataset("soulchatcorpus", "conversations"), load_dataset("soulchatcorpus")
    assert sum(map(len, conversations.values())) == 1000
    assert sum(map(len, turns.values())) == 5607
    openings = [{opening_key(m[0]["content"]) for m in conversations[split]["messages"]} for split in SPLITS]
    assert not (openings[0] & openings[1] | openings[0] & openings[2] | openings[1] & openings[2])
    for split in SPLITS:
        assert set(turns[split]["conversation_id"]) <= set(conversations[split]["id"])


@pytest.mark.parametrize("config", ["turns", "conversations"])
def test_the_user_s_files_streamed_and_in_processes(elsewhere, source, config, monkeypatch):
    monkeypatch.setattr(parts, "BATCH_CONVERSATIONS", 50)
    monkeypatch.setattr(parts, "SHARD_CONVERSATIONS", 200)
    files = {"data_files": str(source)}
    embedded = rows(load_dataset("soulchatcorpus", config))
    built = load_dataset("soulchatcorpus", config, cache_dir="one", **files)
    assert rows(built) == embedded
    assert rows(load_dataset("soulchatcorpus", config, streaming=True, **files)) == embedded
    assert rows(load_dataset("soulchatcorpus", config, num_proc=2, cache_dir="two", **files)) == embedded
    assert not list(Path("one").rglob("*.conversations"))
    sliced = load_dataset("soulchatcorpus", config, split="train[:10%]", cache_dir="one", **files)
    assert list(sliced) == embedded["train"][: round(len(embedded["train"]) * 0.1)]


def test_rows_are_those_of_convert(elsewhere, source):
    convert(source, "out.jsonl", "turns")
    nobody = {"client": None, "counsellor": None}
    converted = [json.loads(line) | nobody for line in Path("out.jsonl").read_text().splitlines()]
    built = load_dataset("soulchatcorpus", data_files=str(source), cache_dir="cache")
    everything = [row for split in built for row in built[split]]
    key = lambda row: row["id"]  # noqa: E731
    assert sorted(everything, key=key) == sorted(converted, key=key)


def test_a_folder(elsewhere):
    built = load_dataset("soulchatcorpus", "conversations", data_dir=str(SMILECHAT), cache_dir="cache")
    assert sorted(row["id"] for split in built for row in built[split]) == ["12941", "14978", "42053"]


def test_splits_that_the_user_named_are_kept(elsewhere, source):
    shutil.copy(SMILECHAT / "14978.json", "test.json")
    files = {"train": str(SMILECHAT / "12941.json"), "test": "test.json"}
    built = load_dataset("soulchatcorpus", "conversations", data_files=files, cache_dir="cache")
    assert {split: built[split]["id"][:] for split in built} == {"train": ["12941"], "test": ["test"]}
    streamed = load_dataset("soulchatcorpus", "conversations", data_files=files, streaming=True)
    assert rows(streamed) == rows(built)


@pytest.mark.parametrize("given", ["data_files", "data_dir"])
def test_a_changed_file_is_never_served_stale(elsewhere, given):
    Path("data").mkdir()
    path = Path("data/a.jsonl")
    options = {"data_files": "data/a.jsonl"} if given == "data_files" else {"data_dir": "data"}

    def load() -> list[str]:
        built = load_dataset("soulchatcorpus", cache_dir="cache", **options)
        return [row["completion"] for split in built for row in built[split]]

    messages = [{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}]
    path.write_text(json.dumps({"id": 1, "messages": messages}))
    before = path.stat()
    assert load() == ["二"]
    messages[1]["content"] = "三"
    path.write_text(json.dumps({"id": 1, "messages": messages}))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert load() == ["三"]


def test_bad_input_comes_as_it_is(elsewhere):
    Path("a.jsonl").write_text("{")
    with pytest.raises(CorpusError, match=r"a\.jsonl: record 1, line 1: broken JSON"):
        load_dataset("soulchatcorpus", data_files="a.jsonl", cache_dir="cache")
    assert not list(Path("cache").rglob("*.arrow"))
    with pytest.raises(CorpusError, match="source is 'relase'; allowed: release"):
        load_dataset("soulchatcorpus", source="relase")
    with pytest.raises(CorpusError, match="format is 'x'"):
        load_dataset("soulchatcorpus", data_files="a.jsonl", format="x", cache_dir="cache")


def test_options_that_name_no_corpus_or_two(elsewhere):
    Path("a.jsonl").write_text("{")
    with pytest.raises(CorpusError, match="source= and data_files= or data_dir= name two corpora"):
        load_dataset("soulchatcorpus", source="release", data_files="a.jsonl", cache_dir="cache")
    with pytest.raises(CorpusError, match=r"format='messages' is about files of yours, .* or source="):
        load_dataset("soulchatcorpus", format="messages", cache_dir="cache")


def test_a_corpus_without_turns(elsewhere):
    Path("a.jsonl").write_text('{"id": 1, "messages": [{"role": "user", "content": "一"}]}')
    assert len(load_dataset("soulchatcorpus", "conversations", data_files="a.jsonl", cache_dir="cache")["train"]) == 1
    with pytest.raises(CorpusError, match=r"no turn in .*a\.jsonl"):
        load_dataset("soulchatcorpus", data_files="a.jsonl", cache_dir="cache")


def test_skipped_records_and_the_report_lie_beside_the_data(elsewhere, source):
    Path("a.jsonl").write_text("{\n" + "\n".join(json.dumps(row) for row in json.loads(source.read_text())[:50]))
    built = load_dataset("soulchatcorpus", data_files="a.jsonl", on_error="skip", cache_dir="cache")
    folder = Path(built["train"].cache_files[0]["filename"]).parent
    (rejected,) = (json.loads(line) for line in (folder / "rejected.jsonl").read_text().splitlines())
    assert (rejected["text"], rejected["place"]) == ("{", "line 1")
    assert json.loads((folder / "report.json").read_text())["conversations"] == 50


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_what_streaming_skips_is_told(elsewhere, source, caplog, monkeypatch, split):
    monkeypatch.setattr(logging.getLogger("datasets"), "propagate", True)
    Path("a.jsonl").write_text("{\n" + "\n".join(json.dumps(row) for row in json.loads(source.read_text())[:50]))
    list(load_dataset("soulchatcorpus", data_files="a.jsonl", on_error="skip", streaming=True, split=split))
    assert "1 records were left out, the first: " in caplog.text


@pytest.mark.parametrize(("conversations", "test_turns"), [(5, 0), (20, 20)])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_smaller_test_split_is_stated(elsewhere, caplog, monkeypatch, conversations, test_turns, streaming):
    """As it is: where no opening has so few turns, a tenth of the corpus is nothing."""
    monkeypatch.setattr(datasets.utils.logging.get_logger("datasets"), "propagate", True)
    rounds = [{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}] * 10
    rows = [{"messages": [{"role": "user", "content": f"第{number}"}, *rounds[1:]]} for number in range(conversations)]
    Path("a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    built = load_dataset("soulchatcorpus", data_files="a.jsonl", cache_dir="cache", streaming=streaming)
    assert len(list(built.get("test", []))) == test_turns
    list(built["train"])
    assert f"The test split has {test_turns} of the {conversations * 10} turns" in caplog.text
    assert "paper" not in caplog.text


def talk(text: str) -> str:
    return json.dumps({"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "嗯"}]}) + "\n"


@pytest.mark.parametrize("names", [("train.jsonl", "test.jsonl"), ("my-train-1.jsonl", "my-test-1.jsonl")])
def test_a_folder_of_named_splits_keeps_them(elsewhere, names):
    Path("data").mkdir()
    for name, start in zip(names, ("a", "b"), strict=True):
        Path("data", name).write_text("".join(talk(f"{start}{number}") for number in range(10)))
    built = load_dataset("soulchatcorpus", data_dir="data", cache_dir="cache")
    plain = load_dataset("json", data_dir="data", cache_dir="json")
    assert {split: built[split].num_rows for split in built} == {"train": 10, "test": 10}
    assert {split: plain[split].num_rows for split in plain} == {"train": 10, "test": 10}
    assert all(row["prompt"].startswith("用户：b") for row in built["test"])
    Path("data/other.jsonl").write_text(talk("c"))
    with pytest.raises(CorpusError, match=r"\.jsonl is named for a split and other\.jsonl is not; allowed: data_f"):
        load_dataset("soulchatcorpus", data_dir="data", cache_dir="cache")


def test_folders_of_named_splits(elsewhere):
    for split in ("train", "dev"):
        Path("data", split).mkdir(parents=True)
        Path("data", split, "1.jsonl").write_text(talk(split))
    built = load_dataset("soulchatcorpus", data_dir="data", cache_dir="cache")
    assert {split: built[split].num_rows for split in built} == {"train": 1, "validation": 1}


def test_a_named_split_without_turns_is_refused(elsewhere):
    Path("a.jsonl").write_text(talk("一"))
    Path("b.jsonl").write_text('{"messages": [{"role": "user", "content": "一"}]}')
    with pytest.raises(CorpusError, match=r"split test has no turn, .*; allowed: config conversations"):
        load_dataset("soulchatcorpus", data_files={"train": "a.jsonl", "test": "b.jsonl"}, cache_dir="cache")


@pytest.mark.parametrize("name", ["数据[1].jsonl", "a*b?.jsonl"])
def test_brackets_in_names(elsewhere, name):
    Path(name).write_text(talk("一"))
    for given in (name, [str(elsewhere / name)], {"train": name}):
        assert load_dataset("soulchatcorpus", data_files=given, cache_dir="cache", split="train").num_rows == 1


def test_a_pattern_without_a_match_is_named(elsewhere):
    with pytest.raises(CorpusError, match=r"data_files is 'no\*\.jsonl', which matches no file for split train"):
        load_dataset("soulchatcorpus", data_files="no*.jsonl", cache_dir="cache")


def test_a_changed_address_is_never_served_stale(elsewhere):
    """The server names no version: no ETag, and a time of change that stays the same."""
    served = {"text": talk("一")}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = served["text"].encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data if self.command == "GET" else b"")

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/a.jsonl"
        for text in ("一", "二"):
            served["text"] = talk(text)
            built = load_dataset("soulchatcorpus", data_files=address, cache_dir="cache", split="train")
            assert built["prompt"][0] == f"用户：{text}\n心理咨询师："
        server.shutdown()
