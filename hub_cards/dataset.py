"""From a corpus folder to the files of a dataset repository: shards, figures, card."""

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from .build_report import BUILD_CARD, FIGURES, collect_build, find_reports
from .cards import BUILD_FILE, render_dataset_card
from .check import read_metadata
from .metadata import BENCHMARK_FILE, benchmark_yaml, dataset_metadata, dump_yaml
from .parquet import Splits, dataset_info, find_splits, read_tables, write_shards
from .sources import Origin, check_terms, find_origins, terms_of
from .staging import stage_file

if TYPE_CHECKING:
    from datasets import DatasetInfo

CARD = "README.md"
LICENCE_FILE = "LICENSE"
OURS = ("*.parquet", *FIGURES, BUILD_FILE, LICENCE_FILE, BENCHMARK_FILE)


def stage_dataset(
    folder: Path,
    staged: Path,
    *,
    repo_id: str,
    reports: Sequence[Path] = (),
    is_private: bool = False,
    has_right: bool = False,
) -> None:
    """Lay out in `staged`, an empty folder, what is published of the corpus in `folder`.

    The output of `soulchat corpus build` gets its card from what the build and the steps before it counted; any other
    folder needs a README.md, whose text is kept and whose sizes are made exact.

    Args:
        folder: Parquet files by config and split, with card.json or README.md.
        repo_id: where it goes; the card's usage lines name it.
        reports: folders of the steps before the build; the numbered neighbours of `folder` where none is given.
        is_private: whether that is a private repository.
        has_right: the user says that they may store it there though its terms forbid passing it on.

    Raises:
        FileNotFoundError: no folder, no Parquet files, or a folder of a step without numbers.
        ValueError: the terms of a source forbid it, or none are stated.
    """
    splits = find_splits(folder)
    origins = _origins(folder, splits)
    check_terms(origins, is_private=is_private, has_right=has_right)
    infos = _lay_out(splits, staged)
    if (folder / BUILD_CARD).is_file():
        text = _card_of_build(staged, find_reports(folder, reports), repo_id, infos, origins)
    else:
        text = _card_with_sizes(folder, repo_id, infos)
    (staged / CARD).write_text(text, encoding="utf-8")
    with_test = [config for config, paths in splits.items() if "test" in paths]
    if with_test:
        config = "turns" if "turns" in with_test else with_test[0]
        (staged / BENCHMARK_FILE).write_text(benchmark_yaml(repo_id, config), encoding="utf-8")
    if f"license_link: {LICENCE_FILE}\n" in text:
        (staged / LICENCE_FILE).write_text(terms_of(origins), encoding="utf-8")


def _origins(folder: Path, splits: Splits) -> list[Origin]:
    """Where the records come from: their own columns, and for what these do not say the folder and its README.md."""
    found: dict[tuple[str, str | None], Origin] = {}
    # The configs hold the same records in another form: each is counted once, as a conversation if there are any.
    for config in sorted(splits, key=lambda config: config != "conversations"):
        paths = [path for paths in splits[config].values() for path in paths]
        for origin in find_origins(read_tables(paths, columns=["source", "licence"])):
            found.setdefault((origin.source, origin.licence), origin)
    has_card = (folder / CARD).is_file()
    if not found and not has_card:
        raise ValueError(
            f"{folder} has no README.md and its records no columns source and licence; allowed: either of them"
        )
    licence = read_metadata((folder / CARD).read_text(encoding="utf-8")).get("license") if has_card else None
    if not found:
        return [Origin(folder.resolve().name, licence)]
    return [
        origin if origin.licence or origin.known else replace(origin, licence=licence) for origin in found.values()
    ]


def _lay_out(splits: Splits, staged: Path) -> dict[str, "DatasetInfo"]:
    infos = {}
    for config, paths_of in splits.items():
        counts = {split: write_shards(paths, staged / config, split) for split, paths in paths_of.items()}
        shards = {split: sorted((staged / config).glob(f"{split}-*.parquet")) for split in paths_of}
        infos[config] = dataset_info(config, shards, counts)
    return infos


def _card_of_build(
    staged: Path, steps: Sequence[Path], repo_id: str, infos: dict[str, "DatasetInfo"], origins: list[Origin]
) -> str:
    """The card of a build; its numbers and figures are laid out beside it."""
    figures = {name: step / name for step in steps for name in FIGURES if (step / name).is_file()}
    for path in figures.values():
        stage_file(path, path.parent, staged)
    build = collect_build(steps)
    build["origins"] = [asdict(origin) for origin in origins]
    (staged / BUILD_FILE).write_bytes(orjson.dumps(build, option=orjson.OPT_INDENT_2) + b"\n")
    return render_dataset_card(
        build,
        repo_id=repo_id,
        infos=infos,
        patterns=_patterns(infos),
        figures={name: FIGURES[name] for name in figures},
    )


def _card_with_sizes(folder: Path, repo_id: str, infos: dict[str, "DatasetInfo"]) -> str:
    """The folder's own card with the files and sizes as they are published."""
    text = (folder / CARD).read_text(encoding="utf-8")
    # Calls that read these very files; what else the package can load stays as it is.
    plain = rf'load_dataset\("{re.escape(folder.resolve().name)}"(?=\)|, "\w+"\))'
    text = re.sub(plain, f'load_dataset("{repo_id}"', text)
    metadata = dataset_metadata(read_metadata(text), _patterns(infos), infos)
    body = text.split("---\n", 2)[2]
    return f"---\n{dump_yaml(metadata)}---\n{body}"


def _patterns(infos: dict[str, "DatasetInfo"]) -> dict[str, dict[str, str]]:
    return {config: {split: f"{config}/{split}-*.parquet" for split in info.splits} for config, info in infos.items()}
