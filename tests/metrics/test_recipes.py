import pandas
import pytest

from soulchat_metrics import METRIC_NAMES, PRESETS, RECIPES, compare_recipes, score

PREDICTIONS, REFERENCES = ["我能理解 你的感受. 3.5", "慢慢来"], ["我理解你的感受。3.5", "不着急，慢慢来"]


def test_every_preset_says_where_it_comes_from():
    assert RECIPES.keys() == PRESETS.keys()


def test_a_row_for_each_recipe_with_what_its_project_prints():
    table = compare_recipes(iter(PREDICTIONS), iter(REFERENCES))
    assert list(table) == list(PRESETS)
    for preset, row in table.items():
        expected = score(PREDICTIONS, REFERENCES, preset)
        assert row["signature"] == expected["signature"]
        printed = {name: value for name, value in row.items() if value is not None and name != "signature"}
        assert printed == {name: expected[name] for name in RECIPES[preset].metrics}
    assert [name for name in METRIC_NAMES if table["longbench"][name] is not None] == ["rouge-l"]


def test_the_same_texts_have_other_numbers_under_other_recipes():
    table = pandas.DataFrame(compare_recipes(PREDICTIONS, REFERENCES)).T
    assert len(set(table["bleu-4"].dropna().astype(float).round(2))) == 5


def test_what_score_refuses_is_refused():
    with pytest.raises(ValueError, match="predictions is one set"):
        compare_recipes({"我"}, ["我"])
