"""The `datasets` builder behind `load_dataset("soulchatcorpus", …)`: configs turns and conversations.

Without data files it serves the embedded sample. The user's files are read once: every conversation is put on disk
under its split, and the rows are made from there, in as many processes as asked for. Streaming makes the rows while it
reads, which costs one reading for each split that is asked for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import orjson
import pyarrow as pa
import xxhash

from .reading.corpus import OnError, Report, list_files
from .reading.json_stream import CorpusError
from .reading.parts import EmbeddedFile, Shard, ShardWriter, Source, Stream
from .schema import FEATURES
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

    def create_config_id(self, config_kwargs: dict, custom_features: datasets.Features | None = None) -> str:
        """The cache's key: from the content of local source files, not from their names and dates alone."""
        kwargs = dict(config_kwargs)
        files = [file for split in (self.data_files or {}).values() for file in split]
        if not files and self.data_dir:
            files = list_files(self.data_dir)
        local = [Path(file) for file in files if not _is_remote(file)]
        if local:
            kwargs["content"] = hash_files(local)
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
        super().__init__(*args, hash=hash or hash_package(), **kwargs)

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
                raise CorpusError(f"unknown source {config.source!r}, allowed: release")
            if config.data_files is not None or config.data_dir:
                raise CorpusError("source= and data_files= or data_dir= name two corpora, allowed: one of them")
            files = {"train": [release.download()]}
        elif config.data_files is not None:
            if dl_manager.is_streaming and any(
                _is_remote(file) for split in config.data_files.values() for file in split
            ):
                raise CorpusError("streaming=True reads local files only; without it remote ones are downloaded first")
            downloaded = {split: dl_manager.download(list(files)) for split, files in config.data_files.items()}
            files = {str(split): [Path(file) for file in downloaded[split]] for split in downloaded}
        elif config.data_dir:
            files = {"train": list_files(config.data_dir)}
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
        return filled


def _is_remote(file: object) -> bool:
    return "://" in str(file)


def hash_package() -> str:
    """Of this package's code and embedded data: what an older version built is not served by this one."""
    return hash_files(sorted([*FOLDER.glob("*.py"), *FOLDER.glob("reading/*.py"), *FOLDER.glob("data/*.parquet")]))


def hash_files(files: Iterable[Path]) -> str:
    """Of the files' names and contents, in 128 bits."""
    digest = xxhash.xxh3_128()
    for path in files:
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
