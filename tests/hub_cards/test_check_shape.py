"""YAML that is built otherwise than the Hub's keys are."""

from pathlib import Path
from typing import Any

import pytest

from hub_cards.check import check_folder, read_metadata
from hub_cards.check_shape import find_misshapen
from tests.paths import FIXTURES

SPLIT = {"name": "train", "num_bytes": 1, "num_examples": 1}


@pytest.mark.parametrize("card", sorted((FIXTURES / "hub").glob("*_*.md")), ids=str)
def test_our_own_cards_are_well_built(card: Path) -> None:
    assert list(find_misshapen(read_metadata(card.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    ("metadata", "messages"),
    [
        ({"language": "zh", "license": ["mit"], "title": None}, []),
        ({"dataset_info": {"splits": [SPLIT]}}, []),
        ({"configs": [{"config_name": "a", "data_files": "a.parquet"}]}, []),
        ({"language": 3}, ["language is 3; allowed: text"]),
        ({"language": ["zh", 3]}, ["language[1] is 3; allowed: text"]),
        ({"sdk": ["gradio"]}, ["sdk is ['gradio']; allowed: text"]),
        ({"configs": {"a": 1}}, ["configs is {'a': 1}; allowed: a list"]),
        ({"configs": [{"data_files": [{"split": "train"}]}]}, ["configs[0].data_files[0].path is missing"]),
        ({"dataset_info": "x"}, ["dataset_info is 'x'; allowed: keys with values"]),
        ({"dataset_info": [{"config_name": "a"}]}, ["dataset_info[0].splits is missing"]),
        (
            {"dataset_info": [{"config_name": "a", "splits": [SPLIT | {"num_examples": "x", "num_bytes": True}]}]},
            [
                "dataset_info[0].splits[0].num_bytes is True; allowed: a whole number",
                "dataset_info[0].splits[0].num_examples is 'x'; allowed: a whole number",
            ],
        ),
        ({"model-index": "x"}, ["model-index is 'x'; allowed: a list"]),
        (
            {"model-index": [{"results": [{"metrics": [None]}]}]},
            ["model-index[0].results[0].metrics[0] is None; allowed: keys with values"],
        ),
    ],
)
def test_each_thing_in_its_place(metadata: dict[str, Any], messages: list[str]) -> None:
    assert list(find_misshapen(metadata)) == messages


def test_the_linter_tells_it_and_goes_no_further(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nmodel-index: [1]\n---\n# x\n")
    (tmp_path / "results.json").write_text('{"schema_version": 1, "dataset": {"name": "x"}, "systems": []}')
    assert [str(found) for found in check_folder(tmp_path)] == [
        "README.md:1: model-index[0] is 1; allowed: keys with values"
    ]
