"""The `datasets` builder behind `load_dataset("soulchatcorpus", …)`: configs turns and conversations.

Without data files it serves the embedded sample. The user's files are read once: every conversation is put on disk
under its split, and the rows are made from there, in as many processes as asked for. Streaming makes the rows while it
reads, which costs one reading for each split that is asked for.
"""

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import orjson
import pyarrow as pa
import xxhash

from .features import FEATURES
from .reading.containers import list_splits
from .reading.corpus import OnError, Report
from .reading.json_stream import CorpusError
from .reading.parts import EmbeddedFile, Shard, ShardWriter, Source, Stream
from .splits import SPLITS
from .tools import release

FOLDER = Path(__file__).parent
VERSION = datasets.Version("1.0.0")


@dataclass(eq=False)
class SoulChatCorpusConfig(datasets.BuilderConfig):
    """Options of `load_dataset("soulchatcorpus", name, data_files=…, data_dir=…, **options)`.

    Attributes:
        source: "release" downloads the open SoulChatCorpus release from its publisher.
        format: one of `formats.FORMATS`; by default recognised by content.
        on_error: "raise" at the first bad record, or "skip" it into rejected.jsonl beside the built data set.
    """

    source: str | None = None
    format: str | None = None
    on_error: OnError = "raise"
    sources: dict[str, list[Path]] = field(default_factory=dict, init=False)  # the files by split, all on this machine

    def create_config_id(self, config_kwargs: dict, custom_features: datasets.Features | None = None) -> str:
        """The cache's key: from the content of the source files, not from their names and dates alone."""
        kwargs = dict(config_kwargs)
        if self.data_files is not None:
            self.sources = {str(split): _download(files) for split, files in self.data_files.items()}
        elif self.data_dir:
            self.sources = list_splits(self.data_dir)
        if self.sources:
            kwargs["content"] = [f"{split} {hash_files(files)}" for split, files in self.sources.items()]
        elif self.source == "release":
            kwargs["content"] = release.look_up().sha256
        return super().create_config_id(kwargs, custom_features)


class SoulChatCorpus(datasets.ArrowBasedBuilder):
    """Counselling conversations as turns (prompt, completion) or as conversations (messages)."""

    VERSION = VERSION
    BUILDER_CONFIG_CLASS = SoulChatCorpusConfig
    BUILDER_CONFIGS = [SoulChatCorpusConfig(name=name, version=VERSION) for name in FEATURES]
    DEFAULT_CONFIG_NAME = "turns"

    def __init__(self, *args: Any, hash: str | None = None, **kwargs: Any) -> None:
        given = kwargs.get("data_files")
        if given is not None and not isinstance(given, datasets.data_files.DataFilesDict):
            kwargs["data_files"] = _escape(given, Path(kwargs.get("data_dir") or ""))
        super().__init__(*args, hash=hash or hash_package(), **kwargs)
        for split, files in (self.config.data_files or {}).items():
            if not files:
                raise CorpusError(f"data_files is {given!r}, which matches no file for split {split}")

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=FEATURES[self.config.name])

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        source = self._source(dl_manager)
        parts: Mapping[str, Sequence[EmbeddedFile | Stream | Shard]]
        if source is None:
            data = FOLDER / "data"
            parts = {split: [EmbeddedFile(data / f"{self.config.name}-{split}.parquet")] for split in SPLITS}
        elif dl_manager.is_streaming:
            parts = {split: [Stream(source, split)] for split in source.splits}
        else:
            parts = self._shards(source)
        return [datasets.SplitGenerator(name=split, gen_kwargs={"parts": parts[split]}) for split in parts]

    def _generate_tables(self, parts: list) -> Iterator[tuple[tuple[int, int], pa.Table]]:
        for number, part in enumerate(parts):
            for index, table in enumerate(part.tables(self.config.name)):
                yield (number, index), table
        # Arrow's pool keeps what it freed; give it back before the built files are mapped into memory.
        pa.default_memory_pool().release_unused()

    def _source(self, dl_manager: Any) -> Source | None:
        """The files to read, None for the embedded sample."""
        config = self.config
        if config.source is not None:
            if config.source != "release":
                raise CorpusError(f"source is {config.source!r}; allowed: release")
            if config.data_files is not None or config.data_dir:
                raise CorpusError("source= and data_files= or data_dir= name two corpora; allowed: one of them")
            files = {"train": [release.download()]}
        elif config.data_files is not None:
            remote = any(_is_remote(file) for split in config.data_files.values() for file in split)
            if dl_manager.is_streaming and remote:
                raise CorpusError("streaming=True reads local files only; without it remote ones are downloaded first")
            files = config.sources
        elif config.data_dir:
            files = config.sources
        elif config.format is not None:
            raise CorpusError(
                f"format={config.format!r} is about files of yours, and there are none: give data_files= or data_dir= "
                'too, or source="release" for the open release'
            )
        else:
            return None
        return Source(files, config.format, config.on_error)

    def _shards(self, source: Source) -> dict[str, list[Shard]]:
        """Read everything once, into conversations on disk by split; rejected.jsonl and report.json stay beside."""
        folder = Path(self._output_dir)
        report = Report()
        writers = {split: ShardWriter(folder, split, self.config.name) for split in source.splits}
        with (folder / "rejected.jsonl").open("wb") as report.rejects:
            for split, conversations in source.tables(report):
                writers[split].add(conversations)
        if not report.rejected:
            (folder / "rejected.jsonl").unlink()
        (folder / "report.json").write_bytes(orjson.dumps(report.to_dict(), option=orjson.OPT_INDENT_2))
        source.log(report)
        parts = {split: writer.finish() for split, writer in writers.items()}
        filled = {split: parts[split] for split in parts if writers[split].has_rows}  # datasets loads no empty split
        if not filled:
            raise CorpusError(f"no turn in {source.files}: no counsellor's message comes after one of the user's")
        if source.is_split and (empty := [split for split in parts if split not in filled]):
            raise CorpusError(
                f"split {empty[0]} has no turn, no counsellor's message comes after one of the user's; allowed: "
                "config conversations, or the other splits alone"
            )
        return filled


def _is_remote(file: object) -> bool:
    return "://" in str(file)


def _download(files: datasets.data_files.DataFilesList) -> list[Path]:
    """The files on this machine, as they are now: a server that names no version is asked for all of a file again."""
    if not any(_is_remote(file) for file in files):
        return [Path(file) for file in files]
    download = datasets.DownloadConfig(force_download=not all(files.origin_metadata))
    return [Path(path) for path in datasets.DownloadManager(download_config=download).download(list(files))]


def _escape(given: Any, base: Path) -> Any:
    """Patterns of files; a name that a file really has stands for that file, whatever brackets are in it."""
    if isinstance(given, Mapping):
        return {split: _escape(patterns, base) for split, patterns in given.items()}
    if isinstance(given, list | tuple | set):
        return [_escape(pattern, base) for pattern in given]
    is_file = not _is_remote(given) and (base / given).is_file()
    return glob.escape(str(given)) if is_file else given


def hash_package() -> str:
    """Of this package's code and embedded data: what an older version built is not served by this one."""
    return hash_files(sorted([*FOLDER.glob("*.py"), *FOLDER.glob("reading/*.py"), *FOLDER.glob("data/*.parquet")]))


def hash_files(files: Iterable[Path]) -> str:
    """Of the files' names and contents, in 128 bits."""
    digest = xxhash.xxh3_128()
    for path in files:
        digest.update(os.fsencode(path.name) + b"\0")
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
