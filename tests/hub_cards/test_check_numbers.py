"""Numbers in a card that are not those of the files beside it."""

from pathlib import Path

import pytest

from hub_cards.check import check_folder
from hub_cards.dataset import stage_dataset
from hub_cards.model import stage_model
from tests.hub_cards.samples import CARD, make_corpus_folder, make_model_folder, make_results, write_json


@pytest.fixture
def model(tmp_path: Path) -> Path:
    staged = tmp_path / "staged"
    staged.mkdir()
    stage_model(make_model_folder(tmp_path / "run"), staged, repo_id="user/name")
    return staged


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    staged = tmp_path / "staged"
    staged.mkdir()
    stage_dataset(make_corpus_folder(tmp_path / "made", CARD), staged, repo_id="user/made")
    return staged


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def messages(folder: Path) -> list[str]:
    return [finding.message for finding in check_folder(folder)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("| 4.568 |", "| 3.568 |", "trained, loss reads 3.568, in results.json 4.568"),
        ("| BLEU-1 | 11.50 |", "| BLEU-1 | 1.50 |", "BLEU-1, low reads 1.50, in results.json 11.50"),
        ("| steps | 400 |", "| steps | 30,000 |", "steps reads 30,000, in results.json 400"),
        ("| torch | 2.13.0 |", "| torch | 1.0 |", "torch, version reads 1.0, in results.json 2.13.0"),
        ("| steps | 400 |\n", "", "Training: the row of steps is missing"),
        ("| steps | 400 |\n", "| steps | 400 |\n| kappa | 1 |\n", "Training: kappa is not in results.json"),
        ("## Training\n", "## How\n", "Training: the table that begins with parameters is missing"),
        ("value: 12.5\n", "value: 33.78\n", "model-index: BLEU-1 is 33.78, in results.json 12.5"),
    ],
)
def test_a_number_of_the_card_that_was_changed(model: Path, old: str, new: str, message: str) -> None:
    edit(model / "README.md", old, new)
    assert message in messages(model)


def test_the_line_of_the_wrong_number_is_told(model: Path) -> None:
    edit(model / "README.md", "| steps | 400 |", "| steps | 4 |")
    [finding] = check_folder(model)
    assert (model / "README.md").read_text().splitlines()[finding.line - 1] == "| steps | 4 |"


def test_results_that_are_newer_than_the_card(model: Path) -> None:
    results = make_results(unigram=None)
    (model / "results.json").unlink()
    write_json(model / "results.json", results)
    assert messages(model) == [
        "unigram model's loss reads 6.250, in results.json not measured",
        "unigram model's perplexity reads 518.00, in results.json not measured",
    ]


def test_eval_results_that_were_changed(tmp_path: Path) -> None:
    staged = tmp_path / "staged"
    staged.mkdir()
    data = ("user/data", "abc")
    stage_model(make_model_folder(tmp_path / "run"), staged, repo_id="user/name", dataset=data, is_benchmark=True)
    edit(staged / ".eval_results" / "soulchat_metrics.yaml", "value: 12.5", "value: 13.5")
    assert messages(staged) == ["differs from what results.json says"]


def test_no_results_or_broken_ones(model: Path) -> None:
    (model / "results.json").unlink()
    assert messages(model) == ["is not there; allowed: with what the model was measured by"]
    (model / "results.json").write_text("{")
    assert "not JSON" in messages(model)[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "name: test\n    num_bytes: 192\n    num_examples: 3",
            "name: test\n    num_bytes: 192\n    num_examples: 4",
            "dataset_info: turns/test states 4 rows, the files hold 3",
        ),
        ("- n<1K", "- 1M<n<10M", "size_categories is ['1M<n<10M']; 9 rows are n<1K"),
    ],
)
def test_sizes_that_the_files_do_not_have(corpus: Path, old: str, new: str, message: str) -> None:
    text = (corpus / "README.md").read_text()
    if old not in text:
        old = old.replace("192", text.split("name: test\n    num_bytes: ")[1].split("\n")[0])
        new = new.replace("192", old.split("num_bytes: ")[1].split("\n")[0])
    assert messages(corpus) == []
    edit(corpus / "README.md", old, new)
    assert messages(corpus) == [message]
