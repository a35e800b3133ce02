"""results.json: what is taken, what is refused, and what of it a card is about."""

from pathlib import Path

import pytest

from hub_cards.results import System, check_results, read_results
from tests.hub_cards.samples import make_results, write_json


def test_only_the_papers_metrics_that_were_measured_count() -> None:
    assert System(name="a", metrics={"rouge-l": 1.5, "bleu-1": None, "meteor": 3.0}).measured == {"ROUGE-L": 1.5}
    assert System(name="a").measured == {}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results = check_results(make_results())
    results.write(path)
    assert read_results(path) == results
    assert results.decoding.arguments == {"do_sample": True, "top_p": 0.75, "temperature": 0.95, "max_new_tokens": 128}


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
    found = check_results(make_results(systems=systems)).own
    assert (found and found.name) == own


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 2}, "schema_version is 2; allowed: 1"),
        ({"dataset": {}}, "dataset.name is missing"),
        ({"systems": None}, "systems is None; allowed: a valid list"),
        ({"systems": [{"kind": "model"}]}, r"systems.0.name is missing"),
        ({"unigram": {"loss": float("nan")}}, "unigram.loss is nan; allowed: a finite number"),
        ({"systems": [{"name": "a", "metrics": {"bleu-1": float("inf")}}]}, r"systems.0.metrics.bleu-1 is inf"),
        ({"sistems": []}, "sistems is unknown"),
    ],
)
def test_results_of_another_form_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_results(make_results(**changes))


def test_files_that_are_no_results(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    with pytest.raises(FileNotFoundError, match="is not there; allowed: a model with the numbers"):
        read_results(path)
    path.write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        read_results(path)
    write_json(path, [])
    with pytest.raises(ValueError, match=r"results.json: the whole is of another kind"):
        read_results(path)
