"""What results.json and trainer_state.json tell of a run."""

from datasets import DatasetDict
from transformers import TrainerState

from soulchat_trainer.data import corpus_fingerprint
from soulchat_trainer.training.run_info import describe_rows, describe_run, describe_training
from tests.soulchat_trainer.training_parts import make_rows


def test_a_run_names_recipe_versions_and_data() -> None:
    info = describe_run("demo", {"name": "mine"})
    assert (info["recipe"], info["dataset"]) == ("demo", {"name": "mine"})
    assert {"soulchat", "torch", "transformers", "datasets"} <= set(info["versions"])
    assert info["created"].endswith("+00:00")


def test_rows_without_a_name() -> None:
    rows = make_rows(2, rounds=1)
    found = describe_rows(rows)
    assert found["splits"] == {"train": 2}
    assert found["fingerprint"] == corpus_fingerprint(DatasetDict(train=rows))
    assert describe_rows(make_rows(2).to_iterable_dataset()) == {"name": "unnamed"}


def test_training_is_summed_up_from_the_log() -> None:
    state = TrainerState(global_step=3)
    state.log_history = [
        {"loss": 4.0, "seconds": 1.0, "tokens": 100, "samples": 5},
        {"eval_loss": 9.0},
        {"loss": 2.0, "seconds": 3.0, "tokens": 300, "samples": 7},
    ]
    found = describe_training(state, {"max_steps": 3, "hub_token": "secret", "deepspeed": None}, parameters=8)
    assert found == {
        "seconds": 4.0,
        "steps": 3,
        "samples": 12,
        "tokens": 400,
        "tokens_per_second": 100.0,
        "parameters": 8,
        "arguments": {"max_steps": 3},
        "loss_first": 4.0,
        "loss_last": 2.0,
    }


def test_a_run_without_steps_has_no_speed() -> None:
    found = describe_training(TrainerState(), {}, parameters=8)
    assert (found["tokens_per_second"], found["loss_first"], found["loss_last"]) == (None, None, None)
