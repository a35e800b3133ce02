"""results.json: what is taken, what is refused, and what of it a card is about."""

from pathlib import Path

import pytest

from hub_cards.results import check_results, lookup, metric_values, own_system, read_results
from tests.hub_cards.samples import make_results, write_json


def test_a_missing_value_is_none_at_any_depth() -> None:
    results = make_results(training=None)
    assert lookup(results, "dataset.splits.test") == 560
    assert lookup(results, "training.seconds") is None
    assert lookup(results, "dataset.name.more") is None
    assert lookup(None, "a") is None


def test_only_the_papers_metrics_that_were_measured_count() -> None:
    system = {"metrics": {"rouge-l": 1.5, "bleu-1": None, "meteor": 3.0}}
    assert metric_values(system) == {"ROUGE-L": 1.5}
    assert metric_values({}) == {}


@pytest.mark.parametrize(
    ("names", "own"),
    [
        (["trained", "untrained"], "trained"),
        (["user/some-model"], "user/some-model"),
        (["user/a", "user/b"], None),
        ([], None),
    ],
)
def test_the_cards_own_system(names: list[str], own: str | None) -> None:
    systems = [{"name": name, "kind": "model"} for name in names] + [{"name": "retrieval", "kind": "baseline"}]
    found = own_system(make_results(systems=systems))
    assert (found and found["name"]) == own


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 2}, "schema_version is 2; 1 is needed"),
        ({"dataset": {}}, "dataset.name is missing"),
        ({"systems": None}, "systems is missing"),
        ({"systems": [{"kind": "model"}]}, r"systems\[0\].name is missing"),
        ({"unigram": {"loss": float("nan")}}, "unigram.loss is nan"),
        ({"systems": [{"name": "a", "metrics": {"bleu-1": float("inf")}}]}, r"systems\[0\].metrics.bleu-1 is inf"),
    ],
)
def test_results_of_another_form_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_results(make_results(**changes))


def test_files_that_are_no_results(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    with pytest.raises(FileNotFoundError, match="no results"):
        read_results(path)
    path.write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        read_results(path)
    write_json(path, [])
    with pytest.raises(ValueError, match=r"results.json: results are list"):
        read_results(path)
