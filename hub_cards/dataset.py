"""From a corpus folder to the files of a dataset repository: shards, figures, card."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pyarrow as pa
from datasets import DatasetInfo

from .cards import render_dataset_card
from .check import read_metadata
from .metadata import VOCABULARY, dataset_metadata, dump_yaml
from .parquet import Splits, dataset_info, find_splits, read_tables, write_shards
from .sources import Origin, check_terms, find_origins, terms_of

CARD = "README.md"
LICENCE_FILE = "LICENSE"
BUILD_FILE = "build.json"
FIGURES = {"topics.png": "Topics of the conversations", "wordcloud.png": "Words of the counsellors"}
OURS = ("*.parquet", *FIGURES, BUILD_FILE, LICENCE_FILE)


def stage_dataset(
    folder: Path, staged: Path, *, repo_id: str, is_private: bool = False, has_right: bool = False
) -> None:
    """Lay out in `staged`, an empty folder, what is published of the corpus in `folder`.

    A folder with a build.json (`soulchat corpus build`) gets its card from there; any other needs a README.md, whose
    text is kept and whose sizes are made exact.

    Args:
        folder: Parquet files by config and split, with build.json or README.md.
        repo_id: where it goes; the card's usage lines name it.
        is_private: whether that is a private repository.
        has_right: the user says that they may store it there though its terms forbid passing it on.

    Raises:
        FileNotFoundError: no folder, no Parquet files, or neither build.json nor README.md.
        ValueError: the terms of a source forbid it, or none are stated.
    """
    splits = find_splits(folder)
    origins = _origins(folder, splits)
    check_terms(origins, is_private=is_private, has_right=has_right)
    infos = _lay_out(splits, staged)
    for name in (*FIGURES, BUILD_FILE):
        if (folder / name).is_file():
            (staged / name).symlink_to((folder / name).resolve())
    if any(origin.licence not in VOCABULARY["licences"] for origin in origins) or len(origins) > 1:
        (staged / LICENCE_FILE).write_text(terms_of(origins), encoding="utf-8")
    (staged / CARD).write_text(_card(folder, staged, repo_id, infos, origins), encoding="utf-8")


def _origins(folder: Path, splits: Splits) -> list[Origin]:
    """Where the records come from: from their own columns, else from the licence of the folder's README.md."""
    origins = find_origins(_all_tables(splits))
    if origins:
        return origins
    if not (folder / CARD).is_file():
        raise ValueError(
            f"{folder}: the records have no columns source and licence, and there is no README.md with one"
        )
    metadata = read_metadata((folder / CARD).read_text(encoding="utf-8"))
    return [Origin(folder.resolve().name, metadata.get("license"))]


def _all_tables(splits: Splits) -> Iterator[pa.Table]:
    """One config is enough: the others hold the same records in another form."""
    for paths in next(iter(splits.values())).values():
        yield from read_tables(paths, columns=["source", "licence"])


def _lay_out(splits: Splits, staged: Path) -> dict[str, DatasetInfo]:
    infos = {}
    for config, paths_of in splits.items():
        counts = {split: write_shards(paths, staged / config, split) for split, paths in paths_of.items()}
        shards = {split: sorted((staged / config).glob(f"{split}-*.parquet")) for split in paths_of}
        infos[config] = dataset_info(config, shards, counts)
    return infos


def _card(folder: Path, staged: Path, repo_id: str, infos: dict[str, DatasetInfo], origins: list[Origin]) -> str:
    patterns = {
        config: {split: f"{config}/{split}-*.parquet" for split in info.splits} for config, info in infos.items()
    }
    if (folder / BUILD_FILE).is_file():
        build = orjson.loads((folder / BUILD_FILE).read_bytes())
        figures = {name: caption for name, caption in FIGURES.items() if (staged / name).exists()}
        return render_dataset_card(
            build, repo_id=repo_id, infos=infos, patterns=patterns, origins=origins, figures=figures
        )
    text = (folder / CARD).read_text(encoding="utf-8")
    text = text.replace(f'load_dataset("{folder.resolve().name}"', f'load_dataset("{repo_id}"')
    metadata = dataset_metadata(read_metadata(text), patterns, infos)
    body = text.split("---\n", 2)[2]
    return f"---\n{dump_yaml(metadata)}---\n{body}"
