"""The open SoulChatCorpus release, fetched from its publisher: `load_dataset("soulchatcorpus", source="release")`.

ModelScope lists a data set's files with their sizes and SHA-256 sums, and serves them with HTTP ranges, so a download
that was cut off goes on where it stopped and is checked at its end.
"""

import hashlib
import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import datasets
from datasets.utils import logging, tqdm

from ..reading.json_stream import CorpusError

logger = logging.get_logger(__name__)

DATASET = "YIRONGCHEN/SoulChatCorpus"
FILE = "SoulChatCorpus-sft-multi-Turn.json"
BLOCK_BYTES = 1 << 20
TIMEOUT_SECONDS = 30
MAX_ATTEMPTS = 5  # in a row without a single byte

LICENCE_NOTE = (
    f"{DATASET}: the header of its card says Apache-2.0, the body says non-commercial research only. ChatGPT rewrote "
    "its conversations from single-turn questions and answers. Use it by the stricter of the two."
)


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """The publisher's word on the file: its size in bytes and the SHA-256 of its content."""

    size: int
    sha256: str


def look_up() -> ReleaseFile:
    """The file as the publisher lists it now, or as it was last downloaded where the publisher cannot be reached.

    Raises:
        CorpusError: neither the one nor the other, or the publisher has no such file.
    """
    try:
        return _ask_publisher()
    except CorpusError as unreachable:
        kept = sorted(_folder().glob(f"soulchatcorpus-*/{FILE}"), key=lambda path: path.stat().st_mtime)
        if not kept:
            raise
        logger.warning(f"{unreachable}. Using the file downloaded earlier, {kept[-1]}")
        return ReleaseFile(kept[-1].stat().st_size, kept[-1].parent.name.removeprefix("soulchatcorpus-"))


def download() -> Path:
    """The release's file in the cache of `datasets`, downloaded where it is not there yet, after its licence note.

    Raises:
        CorpusError: no network, or what came is not what the publisher lists.
    """
    listed = look_up()
    path = _folder() / f"soulchatcorpus-{listed.sha256}" / FILE
    if path.exists():
        return path
    print(LICENCE_NOTE)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    _fetch(part, listed.size)
    found = _sha256(part)
    if found != listed.sha256:
        part.unlink()
        raise CorpusError(
            f"{FILE}: SHA-256 {found} after the download, the publisher lists {listed.sha256}; try again"
        )
    os.replace(part, path)
    return path


def _ask_publisher() -> ReleaseFile:
    if datasets.config.HF_HUB_OFFLINE:
        raise _unreachable("offline mode is on (HF_HUB_OFFLINE)")
    query = {"Revision": "master", "Recursive": "True", "PageNumber": 1, "PageSize": 200}
    try:
        with _open(_url("repo/tree", query)) as response:
            files = json.load(response)["Data"]["Files"]
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(error) from None
    except (ValueError, KeyError, TypeError) as error:
        raise _unreachable(f"its answer is no list of files ({error!r})") from None
    for file in files:
        if file["Path"] == FILE:
            return ReleaseFile(int(file["Size"]), file["Sha256"])
    raise CorpusError(f"{DATASET} at {_endpoint()} has no {FILE}; it has {[file['Path'] for file in files]}")


def _fetch(part: Path, size: int) -> None:
    """Append to `part` until it has `size` bytes."""
    have = part.stat().st_size if part.exists() else 0
    attempts = 0
    with tqdm(total=size, initial=have, unit="B", unit_scale=True, desc=FILE) as bar:
        while have < size:
            before, problem = have, "the connection ends early"
            try:
                have = _fetch_once(part, have, bar)
            except (OSError, http.client.HTTPException) as error:
                problem, have = str(error), part.stat().st_size if part.exists() else 0
            attempts = 0 if have > before else attempts + 1
            if attempts == MAX_ATTEMPTS:
                raise _unreachable(f"{problem}; {have:,} of {size:,} bytes are kept in {part}")
    if have > size:
        part.unlink()
        raise CorpusError(f"{FILE}: {have:,} bytes came, the publisher lists {size:,}; try again")


def _fetch_once(part: Path, have: int, bar: tqdm) -> int:
    url = _url("repo", {"Source": "SDK", "Revision": "master", "FilePath": FILE})
    with _open(url, {"Range": f"bytes={have}-"} if have else {}) as response:
        if response.status != 206 and have:  # the server knows no ranges: from the start
            bar.reset()
            have = 0
        with part.open("ab" if have else "wb") as file:
            while block := response.read(BLOCK_BYTES):
                have += file.write(block)
                bar.update(len(block))
    return have


def _folder() -> Path:
    return Path(datasets.config.DOWNLOADED_DATASETS_PATH)


def _endpoint() -> str:
    """The publisher, or a mirror of it."""
    return os.environ.get("SOULCHAT_RELEASE_ENDPOINT", "https://www.modelscope.cn")


def _url(action: str, query: dict) -> str:
    return f"{_endpoint()}/api/v1/datasets/{DATASET}/{action}?{urllib.parse.urlencode(query)}"


def _open(url: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": "soulchatcorpus"} | (headers or {}))
    return urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)


def _unreachable(cause: object) -> CorpusError:
    return CorpusError(
        f"{DATASET} cannot be fetched from {_endpoint()}: {cause}. Other ways: get {FILE} by other means and pass "
        f"data_files='…/{FILE}', name a mirror in SOULCHAT_RELEASE_ENDPOINT, or leave out source= for the embedded "
        "sample"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
