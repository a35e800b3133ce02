"""The page of other projects' recipes: its tables come from the result file, and that from the code of today."""

import importlib
import json
from types import ModuleType

import pytest

from soulchat_metrics import PRESETS, RECIPES
from tests.paths import ROOT


@pytest.fixture(scope="module")
def recipes() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        return importlib.import_module("recipes")


def test_the_tables_are_rendered_from_the_result_file(recipes: ModuleType) -> None:
    assert recipes.updated() == recipes.PAGE.read_text(encoding="utf-8")


def test_every_preset_but_the_papers_was_held_to_its_source(recipes: ModuleType) -> None:
    results = json.loads((recipes.RESULTS / "recipes.json").read_text(encoding="utf-8"))
    assert results["pairs"] == 2000
    assert results["presets"].keys() == PRESETS.keys() - {"paper"}
    for preset, row in results["presets"].items():
        assert row["source"] == RECIPES[preset].source
        assert row["largest_difference"] < 1e-9


def test_the_demos_replies_have_the_scores_of_the_page(recipes: ModuleType) -> None:
    results = json.loads((recipes.RESULTS / "recipes.json").read_text(encoding="utf-8"))
    for preset, row in recipes.demo_table()["recipes"].items():
        expected = results["demo"]["recipes"][preset]
        for name in (*recipes.BLEU, *recipes.ROUGE):
            assert row[name] == pytest.approx(expected[name], abs=1e-9)


def test_twenty_pairs_live(recipes: ModuleType) -> None:
    for row in recipes.compare(*recipes.sample_pairs(20)).values():
        assert row["largest_difference"] < 1e-9
