"""Whether the numbers in a card are those of the files beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from soulchatcorpus.files import read_object

from .cards import BUILD_FILE, model_card_of, render_dataset_card
from .check_metadata import as_list
from .finding import Finding, numbered_prose
from .metadata import EVAL_RESULTS_FILE, eval_results_yaml, size_category, stated_infos
from .results import RESULTS_FILE, read_results

CARD = "README.md"


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of a Markdown table: its line, and its cells by column."""

    line: int
    cells: list[str]


def check_model_numbers(metadata: dict[str, Any], text: str, folder: Path) -> Iterator[Finding]:
    """Compare tables, `model-index` and `.eval_results` with what results.json makes of them."""
    if not (folder / RESULTS_FILE).is_file():
        yield Finding(RESULTS_FILE, None, "is not there; allowed: with what the model was measured by")
        return
    try:
        expected = model_card_of(folder)
    except ValueError as error:
        yield Finding(RESULTS_FILE, None, str(error))
        return
    yield from _compare_tables(text, expected, RESULTS_FILE)
    index, expected_index = (_index_values(head) for head in (metadata, yaml.safe_load(expected.split("---\n")[1])))
    for metric in sorted(index.keys() | expected_index.keys(), key=str):
        if index.get(metric) != expected_index.get(metric):
            found, right = index.get(metric, "missing"), expected_index.get(metric, "not measured")
            yield Finding(CARD, 1, f"model-index: {metric} is {found}, in {RESULTS_FILE} {right}")
    path = folder / EVAL_RESULTS_FILE
    if path.is_file() and path.read_text(encoding="utf-8") != eval_results_yaml(read_results(folder / RESULTS_FILE)):
        yield Finding(EVAL_RESULTS_FILE, None, f"differs from what {RESULTS_FILE} says")


def check_dataset_numbers(metadata: dict[str, Any], text: str, folder: Path) -> Iterator[Finding]:
    """Compare `dataset_info` and the size category with the Parquet files, and tables with build.json."""
    if (folder / BUILD_FILE).is_file() and metadata.get("dataset_info"):
        yield from _check_build(metadata, text, folder)
    infos = metadata.get("dataset_info") or []
    infos = {info.get("config_name", "default"): info for info in (infos if isinstance(infos, list) else [infos])}
    rows_of = {}
    for config in metadata.get("configs") or []:
        name = config.get("config_name", "default")
        stated = {split["name"]: split["num_examples"] for split in infos.get(name, {}).get("splits", [])}
        for files in as_list(config.get("data_files")):
            if not isinstance(files, dict) or not isinstance(files.get("path"), str) or "split" not in files:
                yield Finding(CARD, 1, f"config {name}: data_files has {files!r}; needed are a split and its path")
                continue
            split = f"{name}/{files['split']}"
            rows_of[split] = sum(pq.ParquetFile(path).metadata.num_rows for path in folder.glob(files["path"]))
            if stated.get(files["split"]) != rows_of[split]:
                told = stated.get(files["split"], "no number of")
                yield Finding(CARD, 1, f"dataset_info: {split} states {told} rows, the files hold {rows_of[split]}")
    names = [config["config_name"] for config in metadata.get("configs") or [] if config.get("default")]
    num_rows = sum(rows for split, rows in rows_of.items() if not names or split.startswith(f"{names[0]}/"))
    category = metadata.get("size_categories")
    if category not in ([size_category(num_rows)], size_category(num_rows)):
        yield Finding(CARD, 1, f"size_categories is {category}; {num_rows} rows are {size_category(num_rows)}")


def _check_build(metadata: dict[str, Any], text: str, folder: Path) -> Iterator[Finding]:
    """Compare the tables of a corpus's card with its build.json."""
    build = read_object(folder / BUILD_FILE)
    infos = stated_infos(metadata)
    patterns: dict[str, dict[str, str]] = {config: {} for config in infos}
    expected = render_dataset_card(build, repo_id="user/name", infos=infos, patterns=patterns, figures={})
    yield from _compare_tables(text, expected, BUILD_FILE)


def _compare_tables(text: str, expected: str, source: str) -> Iterator[Finding]:
    tables, expected_tables = _tables(text), _tables(expected)
    for key, rows in expected_tables.items():
        heading, columns = key[0], key[1:]
        if key not in tables:
            yield Finding(
                CARD, None, f"{heading}: the table that begins with {next(iter(rows), 'nothing')} is missing"
            )
            continue
        found = tables[key]
        for name, row in rows.items():
            if name not in found:
                yield Finding(CARD, None, f"{heading}: the row of {name} is missing")
                continue
            for column, right, cell in zip(columns, row.cells, found[name].cells, strict=True):
                if cell != right:
                    where = f"{name}, {column}" if column else name
                    yield Finding(CARD, found[name].line, f"{where} reads {cell}, in {source} {right}")
        for name in found.keys() - rows.keys():
            yield Finding(CARD, found[name].line, f"{heading}: {name} is not in {source}")


def _tables(text: str) -> dict[tuple[str, ...], dict[str, _Row]]:
    """Markdown tables by heading and columns; rows by their first cell."""
    tables: dict[tuple[str, ...], dict[str, _Row]] = {}
    heading, key = "", None
    for number, line in numbered_prose(text):
        if line.startswith("#"):
            heading = line.lstrip("# ").strip()
        if not line.startswith("|"):
            key = None
            continue
        cells = [cell.strip() for cell in line.replace("\\|", "\0").strip().strip("|").split("|")]
        if key is None:
            key = (heading, *cells)
            tables.setdefault(key, {})
        elif set("".join(cells)) - set("-: "):
            tables[key][cells[0]] = _Row(number, (cells + [""] * len(key))[: len(key) - 1])
    return tables


def _index_values(metadata: dict[str, Any]) -> dict[str, float]:
    """Values of `model-index` by the metric's shown name."""
    return {
        metric.get("name", metric.get("type")): metric.get("value")
        for model in metadata.get("model-index") or []
        for result in model.get("results") or []
        for metric in result.get("metrics") or []
    }
