"""What a run reports at its end is the benchmark of the same turns, system texts or not."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from hub_cards.predictions import read_predictions
from hub_cards.results import Results, read_results
from soulchat_trainer.evaluation.run import BenchmarkOptions, run_benchmark
from soulchat_trainer.evaluation.tables import read_tables
from soulchat_trainer.generation import Decoding
from soulchat_trainer.train import main
from tests.soulchat_trainer.test_recipes import TINY
from tests.soulchat_trainer.training_parts import make_rows

SEED, TURNS = 7, 5
SYSTEM = "你是一位温柔的心理咨询师。"
FLAGS = ("--max_steps", "3", "--max_new_tokens", "6", "--disable_tqdm", "true", "--use_cpu")


@pytest.fixture(autouse=True)
def same_number_of_threads() -> Iterator[None]:
    number = torch.get_num_threads()
    yield
    torch.set_num_threads(number)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of conversations that begin with a system text, as most chat data sets have it."""
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for row in make_rows(60):
            messages = [{"role": "system", "content": SYSTEM}, *row["messages"]]
            file.write(json.dumps({"id": row["id"], "messages": messages}, ensure_ascii=False) + "\n")
    return path


@pytest.fixture(scope="module")
def run_folder(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What three steps of a run on that file leave."""
    folder = tmp_path_factory.mktemp("runs") / "out"
    train(rows, folder)
    return folder


def train(rows: Path, folder: Path) -> None:
    where = ("--dataset", str(rows), "--output_dir", str(folder), "--seed", str(SEED), "--num_test_turns", str(TURNS))
    main(["small", *where, *FLAGS, "--model_config", json.dumps(TINY), "--tokenizer_vocab_size", "420"])


def comparable(results: Results) -> list[dict]:
    """The rows of the systems without what differs between two measurements: names, places, seconds."""
    return [row.model_dump(exclude={"name", "folder", "seconds"}) for row in results.systems]


def test_a_run_on_conversations_with_system_texts_is_evaluated_and_described(run_folder: Path) -> None:
    results = read_results(run_folder / "results.json")
    assert [system.name for system in results.systems] == ["trained", "untrained", "retrieval"]
    assert all(system.samples == TURNS for system in results.systems)
    predictions = read_predictions(run_folder / "predictions.jsonl")
    assert [row.messages[0] for row in predictions] == [{"role": "system", "content": SYSTEM}] * TURNS
    assert "| trained | 5 |" in (run_folder / "README.md").read_text(encoding="utf-8")
    assert results.training.data_fingerprint not in (None, results.dataset.fingerprint)


def test_a_benchmark_of_the_same_turns_prints_the_same_numbers(rows: Path, run_folder: Path, tmp_path: Path) -> None:
    models = [str(run_folder), f"untrained:{run_folder}", "retrieval"]
    decoding = Decoding(max_new_tokens=6, seed=SEED)
    again = run_benchmark(
        BenchmarkOptions(models, tmp_path, str(rows), samples=TURNS, decoding=decoding, device="cpu")
    )
    results = read_results(run_folder / "results.json")
    assert comparable(results) == comparable(again)
    assert (results.dataset, results.decoding, results.references) == (
        again.dataset,
        again.decoding,
        again.references,
    )
    [table] = read_tables([run_folder, tmp_path])  # one table: side by side
    assert [system.name for system in table.systems] == [
        "trained",
        "untrained",
        "retrieval",
        "out",
        "untrained:out",
        "retrieval",
    ]
