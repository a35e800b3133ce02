"""The download against a loopback server that answers as ModelScope does."""

import hashlib
import http.server
import json
import socket
import threading
from urllib.parse import parse_qs, urlparse

import datasets
import pytest

from soulchatcorpus.reading.json_stream import CorpusError
from soulchatcorpus.tools import release

CONVERSATIONS = [
    {
        "id": n,
        "topic": "成长",
        "messages": [{"role": "user", "content": f"第{n}句"}, {"role": "assistant", "content": "好"}],
    }
    for n in range(200)
]
CONTENT = json.dumps(CONVERSATIONS, ensure_ascii=False, indent=4).encode()
PATH = f"/api/v1/datasets/{release.DATASET}/repo"


class Publisher(http.server.BaseHTTPRequestHandler):
    """Lists one file and serves it with ranges; the server's attributes say what goes wrong."""

    def do_GET(self) -> None:
        url = urlparse(self.path)
        query = parse_qs(url.query)
        self.server.requests.append((url.path, self.headers.get("Range")))
        if url.path == f"{PATH}/tree":
            sha256 = self.server.sha256 or hashlib.sha256(self.server.content).hexdigest()
            file = {"Path": self.server.name, "Size": len(self.server.content), "Sha256": sha256}
            self._answer(200, json.dumps({"Code": 200, "Data": {"Files": [{"Path": "README.md"}, file]}}).encode())
        elif url.path == PATH and query["FilePath"] == [release.FILE]:
            self._serve_file()
        else:
            self._answer(404, b"")

    def _serve_file(self) -> None:
        start = 0
        if self.server.ranges and self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        rest = self.server.content[start:]
        cut = self.server.cuts.pop(0) if self.server.cuts else len(rest)
        self._answer(206 if start else 200, rest[:cut], len(rest))

    def _answer(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def publisher(monkeypatch, tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    server.content, server.name, server.sha256, server.ranges, server.cuts, server.requests = (
        CONTENT,
        release.FILE,
        None,
        True,
        [],
        [],
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("SOULCHAT_RELEASE_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(datasets.config, "DOWNLOADED_DATASETS_PATH", tmp_path / "downloads")
    yield server
    server.shutdown()
    server.server_close()


def test_download_shows_the_licence_note_and_checks_the_content(publisher, capsys):
    path = release.download()
    assert path.read_bytes() == CONTENT
    assert path.name == release.FILE
    assert "non-commercial research only" in capsys.readouterr().out
    assert release.download() == path
    assert [request for request, _ in publisher.requests].count(PATH) == 1


def test_a_download_that_is_cut_off_goes_on(publisher):
    publisher.cuts = [1000, 5000]
    assert release.download().read_bytes() == CONTENT
    ranges = [asked for path, asked in publisher.requests if path == PATH]
    assert ranges == [None, "bytes=1000-", "bytes=6000-"]


def test_a_download_goes_on_in_another_process(publisher, monkeypatch):
    monkeypatch.setattr(release, "MAX_ATTEMPTS", 1)
    publisher.cuts = [1000, 0]
    with pytest.raises(CorpusError, match=r"1,000 of .* bytes are kept in .*Other ways: get SoulChatCorpus-sft"):
        release.download()
    assert release.download().read_bytes() == CONTENT
    assert publisher.requests[-1] == (PATH, "bytes=1000-")


def test_a_server_without_ranges_starts_over(publisher):
    publisher.ranges, publisher.cuts = False, [1000]
    assert release.download().read_bytes() == CONTENT


def test_another_checksum_is_refused_and_not_kept(publisher, tmp_path):
    publisher.sha256 = "0" * 64
    with pytest.raises(CorpusError, match=r"SHA-256 [0-9a-f]{64} .* the publisher lists 0{64}"):
        release.download()
    assert not [path for path in (tmp_path / "downloads").rglob("*") if path.is_file()]


def test_a_publisher_without_the_file(publisher):
    publisher.name = "other.json"
    with pytest.raises(CorpusError, match=r"has no SoulChatCorpus.*; it has \['README\.md', 'other"):
        release.download()


def test_without_a_network(monkeypatch, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("SOULCHAT_RELEASE_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.setattr(datasets.config, "DOWNLOADED_DATASETS_PATH", tmp_path)
    with pytest.raises(
        CorpusError, match=r"cannot be fetched from http://127\.0\.0\.1:.*refused.*data_files=.*mirror"
    ):
        release.download()


def test_offline_with_an_earlier_download(publisher, monkeypatch):
    path = release.download()
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    assert release.download() == path


def test_load_dataset(publisher, tmp_path):
    import soulchatcorpus  # noqa: F401

    built = datasets.load_dataset("soulchatcorpus", source="release", cache_dir=str(tmp_path / "cache"))
    assert {split: len(built[split]) for split in built} == {"train": 170, "validation": 10, "test": 20}
    assert built["train"].features["topic"].int2str(built["train"][0]["topic"]) == "成长发展"
    publisher.content = json.dumps(CONVERSATIONS[:100]).encode()
    changed = datasets.load_dataset("soulchatcorpus", source="release", cache_dir=str(tmp_path / "cache"))
    assert sum(len(changed[split]) for split in changed) == 100
