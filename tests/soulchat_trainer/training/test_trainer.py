"""SoulChatTrainer as a library class: data in, a trained model and whole checkpoints out."""

import inspect
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, DatasetDict
from transformers import CohereConfig, CohereForCausalLM, PreTrainedTokenizerFast, Trainer, TrainerCallback

from soulchat_metrics import score
from soulchat_trainer.chatglm import ChatGLMForConditionalGeneration, ChatGLMTokenizer
from soulchat_trainer.data import list_turns
from soulchat_trainer.generation.engine import generate_replies
from soulchat_trainer.training import trainer as training_trainer
from soulchat_trainer.training.arguments import SoulChatTrainingArguments
from soulchat_trainer.training.checkpoints import find_last_whole_checkpoint
from soulchat_trainer.training.trainer import REFUSED, SoulChatTrainer
from soulchatcorpus.schema import Conversation
from soulchatcorpus.turn_view import TurnView
from soulchatcorpus.turns import split_turns
from tests.hub_cards.conftest import hub, logged_in  # noqa: F401
from tests.hub_cards.server import LoopbackHub
from tests.limits import no_room_for_files_above
from tests.soulchat_trainer.training_parts import make_causal_model, make_chatglm, make_rows


def make_arguments(folder: Path, **changes: Any) -> SoulChatTrainingArguments:
    values = {
        "max_steps": 12,
        "per_device_train_batch_size": 8,
        "global_batch_size": 16,
        "learning_rate": 1e-2,
        "warmup_steps": 2,
        "max_source_length": 128,
        "max_target_length": 64,
        "max_new_tokens": 8,
        "save_steps": 4,
        "logging_steps": 1,
        "use_cpu": True,
        "disable_tqdm": True,
    }
    return SoulChatTrainingArguments(str(folder), **(values | changes))


def make_trainer(tokenizer: ChatGLMTokenizer, folder: Path, rows: Any = None, **changes: Any) -> SoulChatTrainer:
    return SoulChatTrainer(
        model=make_chatglm(tokenizer),
        args=make_arguments(folder, **changes),
        train_dataset=make_rows(60) if rows is None else rows,
        eval_dataset=make_rows(10, seed=5),
        processing_class=tokenizer,
    )


def losses(trainer: SoulChatTrainer) -> dict[int, float]:
    return {entry["step"]: entry["loss"] for entry in trainer.state.log_history if "loss" in entry}


def test_five_lines_train_a_model(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    trainer = make_trainer(chatglm_tokenizer, tmp_path)
    trainer.train()
    found = losses(trainer)
    assert found[12] < found[1] - 1
    state = json.loads((tmp_path / "checkpoint-12/trainer_state.json").read_text())
    info = state["stateful_callbacks"]["RunInfoCallback"]["args"]["run_info"]
    assert set(info) == {"created", "recipe", "git_revision", "versions", "hardware", "dataset"}
    assert len(info["dataset"]["fingerprint"]) == 64
    loaded = ChatGLMForConditionalGeneration.from_pretrained(tmp_path / "checkpoint-12")
    saved = loaded.generation_config
    assert (saved.do_sample, saved.top_p, saved.temperature, saved.max_new_tokens) == (True, 0.75, 0.95, 8)
    torch.testing.assert_close(loaded.state_dict(), trainer.model.state_dict())


def test_rows_of_turns_train_the_same(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    turns = [
        {"id": t.id, "conversation_id": t.conversation_id, "prompt": t.prompt, "completion": t.completion}
        for row in make_rows(60)
        for t in split_turns(Conversation(row["id"], row["messages"]))
    ]
    found = []
    for rows in (make_rows(60), Dataset.from_list(turns)):
        trainer = make_trainer(chatglm_tokenizer, tmp_path, rows, max_steps=3, save_strategy="no")
        trainer.train()
        found.append(losses(trainer))
    assert found[0] == found[1]


def test_a_turn_view_trains_the_same(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    rows = make_rows(60).add_column("topic", [None] * 60)
    found = []
    for given in (rows, TurnView(rows)):
        trainer = make_trainer(chatglm_tokenizer, tmp_path, given, max_steps=3, save_strategy="no")
        trainer.train()
        found.append((losses(trainer), trainer.evaluate(given)["eval_loss"], trainer.run_info["dataset"]))
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["list", "DatasetDict"])
def test_what_is_no_data_set_is_refused(kind: str, chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    rows = make_rows(3).to_list() if kind == "list" else DatasetDict(train=make_rows(3))
    with pytest.raises(ValueError, match=f"a data set is a {kind}; allowed: a Dataset or IterableDataset of"):
        make_trainer(chatglm_tokenizer, tmp_path, rows)


class StopAt(TrainerCallback):
    def __init__(self, step: int):
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        control.should_training_stop = state.global_step >= self.step
        return control


@pytest.mark.parametrize("changes", [{}, {"muon_learning_rate": 0.01, "max_tokens": 600}, {"streaming": True}])
@pytest.mark.parametrize("stop", [4, 8])  # an epoch has 7 steps
def test_a_resumed_run_logs_the_same_losses(
    chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path, changes: dict, stop: int
) -> None:
    """Bit for bit, with logs that do not fall on the checkpoint, in the first and the second epoch, and a stream."""
    changes = dict(changes)
    rows = make_rows(60).to_iterable_dataset() if changes.pop("streaming", False) else make_rows(60)
    whole = make_trainer(chatglm_tokenizer, tmp_path / "whole", rows, logging_steps=3, **changes)
    whole.train()
    stopped = make_trainer(chatglm_tokenizer, tmp_path / "parts", rows, logging_steps=3, **changes)
    stopped.add_callback(StopAt(stop + 1))
    stopped.train()
    resumed = make_trainer(chatglm_tokenizer, tmp_path / "parts", rows, logging_steps=3, **changes)
    resumed.train(resume_from_checkpoint=True)
    assert losses(resumed) == losses(whole)
    assert set(losses(whole)) == {3, 4, 6, 8, 9, 12}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"learning_rate": 1e-3}, "learning_rate is 0.01 there and 0.001 here"),
        ({"seed": 7}, "seed is 42 there and 7 here"),
        ({"global_batch_size": 8}, "samples_of_a_step is 16 there and 8 here"),
        ({"rows": 61}, "dataset is "),
        ({"num_layers": 1}, "parameters is "),
    ],
)
def test_another_runs_checkpoint_is_refused(
    changes: dict, line: str, chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path
) -> None:
    make_trainer(chatglm_tokenizer, tmp_path, max_steps=4).train()
    changes = dict(changes)
    rows, layers = make_rows(changes.pop("rows", 60)), changes.pop("num_layers", 2)
    trainer = SoulChatTrainer(
        model=make_chatglm(chatglm_tokenizer, num_layers=layers),
        args=make_arguments(tmp_path, max_steps=4, **changes),
        train_dataset=rows,
        processing_class=chatglm_tokenizer,
    )
    with pytest.raises(ValueError, match=f"checkpoint-4 is of another run: {line}"):
        trainer.train(resume_from_checkpoint=True)
    with pytest.raises(ValueError, match=r"holds a run already \(checkpoint-4\)"):
        trainer.train()


def test_a_model_alone_is_not_gone_on_from(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    make_trainer(chatglm_tokenizer, tmp_path, max_steps=4, save_only_model=True).train()
    with pytest.raises(ValueError, match="checkpoint-4 holds the model alone"):
        make_trainer(chatglm_tokenizer, tmp_path, max_steps=4).train(resume_from_checkpoint=True)


KNOWN_ARGUMENTS = {"model", "args", "data_collator", "train_dataset", "eval_dataset", "processing_class"}


@pytest.mark.parametrize("name", REFUSED)
def test_an_argument_without_effect_is_refused(name: str, chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{name} is given; allowed: None: "):
        SoulChatTrainer(args=make_arguments(tmp_path), processing_class=chatglm_tokenizer, **{name: len})


def test_every_argument_of_transformers_is_known() -> None:
    found = set(inspect.signature(Trainer.__init__).parameters) - {"self"}
    assert found == KNOWN_ARGUMENTS | set(REFUSED) | {"callbacks", "optimizers"}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"model": None}, "model is None; allowed: a model and its tokenizer"),
        ({"processing_class": None}, "processing_class is None; allowed"),
        ({"eval_dataset": {"a": make_rows(2)}}, "a data set is a dict; allowed"),
        ({"eval_dataset": make_rows(2).select([])}, "a data set is empty; allowed"),
        ({"train_dataset": make_rows(2).select([])}, "a data set is empty; allowed"),
    ],
)
def test_what_a_trainer_is_not_made_of(
    changes: dict, line: str, chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path
) -> None:
    given = {"model": make_chatglm(chatglm_tokenizer), "processing_class": chatglm_tokenizer, **changes}
    with pytest.raises(ValueError, match=line):
        SoulChatTrainer(args=make_arguments(tmp_path), **given)


@pytest.mark.parametrize("name", ["dataloader_prefetch_factor", "dataloader_num_workers"])
def test_workers_of_a_stream_are_refused(name: str, chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    rows = make_rows(6).to_iterable_dataset()
    with pytest.raises(ValueError, match=rf"{name} is 2; allowed with a stream: none"):
        make_trainer(chatglm_tokenizer, tmp_path, rows, **{"dataloader_num_workers": 2, name: 2})


def test_shifted_labels_are_refused(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    trainer = make_trainer(chatglm_tokenizer, tmp_path, save_strategy="no")
    batch = {"input_ids": None, "attention_mask": None, "labels": None, "shift_labels": None}
    with pytest.raises(ValueError, match="a batch has attention_mask, input_ids, labels, shift_labels; allowed"):
        trainer.training_step(trainer.model, batch)


def test_the_best_model_is_that_of_the_lowest_perplexity(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    """The parent kept the worst: all but a loss are to grow."""
    changes = {"eval_strategy": "steps", "eval_steps": 4, "load_best_model_at_end": True}
    trainer = make_trainer(chatglm_tokenizer, tmp_path, metric_for_best_model="perplexity", **changes)
    trainer.train()
    found = {e["step"]: e["eval_perplexity"] for e in trainer.state.log_history if "eval_perplexity" in e}
    assert trainer.state.best_metric == min(found.values()) < max(found.values())


def test_a_finished_run_is_resumed_to_its_end(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    """Not one step beyond; its evaluation may have been what was stopped."""
    whole = make_trainer(chatglm_tokenizer, tmp_path)
    whole.train()
    resumed = make_trainer(chatglm_tokenizer, tmp_path)
    resumed.train(resume_from_checkpoint=True)
    assert losses(resumed) == losses(whole)
    assert resumed.state.global_step == 12
    torch.testing.assert_close(resumed.model.state_dict(), whole.model.state_dict(), rtol=0, atol=0)


def test_nothing_to_resume_is_an_error(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no whole checkpoint"):
        make_trainer(chatglm_tokenizer, tmp_path).train(resume_from_checkpoint=True)
    with pytest.raises(ValueError, match="resume_from_checkpoint is nowhere; allowed: true, or a folder"):
        make_trainer(chatglm_tokenizer, tmp_path).train(resume_from_checkpoint="nowhere")


def test_a_nan_loss_stops_and_leaves_the_last_good_checkpoint(
    chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path
) -> None:
    class Poison(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            if state.global_step == 6:
                torch.nn.init.constant_(model.transformer.final_layernorm.weight, math.nan)

    trainer = make_trainer(chatglm_tokenizer, tmp_path)
    trainer.add_callback(Poison())
    with pytest.raises(ValueError, match=r"the loss is nan after step 6; .* last good checkpoint is \S+checkpoint-4"):
        trainer.train()
    assert find_last_whole_checkpoint(tmp_path).name == "checkpoint-4"


@pytest.mark.parametrize("zero3", [False, True])
def test_weights_that_are_not_finite_are_not_saved(
    zero3: bool, chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path
) -> None:
    """Nor where ZeRO-3 holds this process's part of them beside each parameter."""

    class PoisonAfter(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            if state.global_step == 8:
                weight = model.transformer.final_layernorm.weight
                if zero3:
                    weight.ds_tensor = torch.full((3,), math.inf)
                else:
                    torch.nn.init.constant_(weight, math.inf)

    trainer = make_trainer(chatglm_tokenizer, tmp_path)
    trainer.add_callback(PoisonAfter())
    with pytest.raises(ValueError, match=r"weights are not finite at step 8; .*checkpoint-4"):
        trainer.train()
    assert find_last_whole_checkpoint(tmp_path).name == "checkpoint-4"


def test_a_full_disk_stops_with_a_line(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    stopped = make_trainer(chatglm_tokenizer, tmp_path)
    stopped.add_callback(StopAt(5))
    stopped.train()
    trainer = make_trainer(chatglm_tokenizer, tmp_path)
    with (
        no_room_for_files_above(30_000),
        pytest.raises(OSError, match=r"checkpoint of step 8 could not be written .*last good checkpoint is .*-4"),
    ):
        trainer.train(resume_from_checkpoint=True)
    resumed = make_trainer(chatglm_tokenizer, tmp_path)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == 12


def test_old_checkpoints_go_when_new_ones_are_whole(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    make_trainer(chatglm_tokenizer, tmp_path, save_steps=2).train()
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-10", "checkpoint-12"]


def test_the_arguments_are_as_they_were_after_training(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    trainer = make_trainer(chatglm_tokenizer, tmp_path, save_total_limit=1)
    trainer.train()
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-12"]
    assert trainer.args.save_total_limit == 1


def test_training_again_warms_up_again(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    trainer = make_trainer(chatglm_tokenizer, tmp_path, max_steps=4, save_strategy="no")
    rates = []
    for _ in range(2):
        trainer.train()
        rates.append([entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry])
    assert rates[0] == rates[1]
    assert len(set(rates[0])) > 1


def test_held_out_loss_is_the_mean_over_tokens(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    """Whatever the batch size."""
    found = [
        make_trainer(chatglm_tokenizer, tmp_path, per_device_eval_batch_size=size).evaluate()["eval_loss"]
        for size in (1, 7, 64)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-6) == pytest.approx(found[2], rel=1e-6)


def test_predict_and_evaluate_take_rows_of_ones_own(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    trainer = make_trainer(chatglm_tokenizer, tmp_path)
    other = make_rows(7, seed=6)
    assert trainer.evaluate(other)["eval_loss"] != trainer.evaluate()["eval_loss"]
    with pytest.raises(ValueError, match=r"^predict_with_generate is False; allowed for predict: True"):
        trainer.predict(other)
    trainer.args.predict_with_generate = True
    with pytest.raises(ValueError, match=r"^test_dataset is None; allowed: rows of conversations or turns"):
        trainer.predict(None)
    trainer.args.predict_with_generate = False
    for ask in (trainer.evaluate, trainer.predict):
        with pytest.raises(ValueError, match=r"^num_beams is given; allowed: none: replies are drawn as top_p"):
            ask(other, num_beams=2)
    with pytest.raises(ValueError, match="eval_dataset is a stream"):
        trainer.evaluate(other.to_iterable_dataset())


def test_a_stream_tells_what_it_cut(
    chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path, told: pytest.LogCaptureFixture
) -> None:
    """In the words that rows which are tokenized first have, counted over what was read."""
    limits = {"max_source_length": 24, "max_target_length": 8, "max_steps": 1, "save_strategy": "no"}
    whole = make_trainer(chatglm_tokenizer, tmp_path, **limits)
    streamed = make_trainer(chatglm_tokenizer, tmp_path, make_rows(60).to_iterable_dataset(), **limits)
    told.clear()
    streamed.train()
    line = whole.train_dataset.describe_cuts(24, 8)
    assert " 0 targets" not in line
    assert line in told.text


def test_evaluation_replies_and_scores(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    metrics = make_trainer(chatglm_tokenizer, tmp_path, predict_with_generate=True, max_eval_replies=5).evaluate()
    assert {"eval_loss", "eval_perplexity", "eval_bleu-4", "eval_rouge-l"} <= set(metrics)
    assert 0 <= metrics["eval_rouge-l"] <= 100


def test_a_prediction_is_a_reply(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    trainer = make_trainer(chatglm_tokenizer, tmp_path, predict_with_generate=True, max_eval_replies=1)
    turns = list_turns(rows := make_rows(4, seed=6))
    output = trainer.predict(rows)
    assert output.label_ids.tolist() == [turn.completion for turn in turns]
    talks, ids = [turn.context for turn in turns], [turn.id for turn in turns]
    alone = generate_replies(trainer.model, chatglm_tokenizer, talks, ids, trainer.args.decoding(), 1)
    assert output.predictions.tolist() == [reply.text for reply in alone]
    assert output.metrics["test_loss"] == trainer.evaluate(rows)["eval_loss"]
    assert output.metrics["test_bleu-1"] == score(output.predictions.tolist(), output.label_ids.tolist())["bleu-1"]


def test_chatglm_refuses_every_turn_loss(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bidirectional"):
        make_trainer(chatglm_tokenizer, tmp_path, loss_on="every_turn")


def test_a_causal_model_trains_on_every_turn(causal_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    trainer = SoulChatTrainer(
        model=make_causal_model(causal_tokenizer),
        args=make_arguments(tmp_path, loss_on="every_turn", max_source_length=400, max_steps=6),
        train_dataset=make_rows(40),
        processing_class=causal_tokenizer,
    )
    trainer.train()
    found = losses(trainer)
    assert len(trainer.train_dataset) == 40
    assert found[6] < found[1]


def make_causal_trainer(tokenizer: PreTrainedTokenizerFast, folder: Path, **changes: Any) -> SoulChatTrainer:
    limits = {"loss_on": "every_turn", "max_source_length": 400, "max_steps": 6, "save_strategy": "no"}
    return SoulChatTrainer(
        model=make_causal_model(tokenizer),
        args=make_arguments(folder, **(limits | changes)),
        train_dataset=make_rows(40),
        eval_dataset=make_rows(10, seed=5),
        processing_class=tokenizer,
    )


@pytest.mark.parametrize("changes", [{}, {"global_batch_size": 12, "per_device_train_batch_size": 3}])
def test_a_causal_model_computes_logits_on_labelled_positions(
    causal_tokenizer: PreTrainedTokenizerFast, tmp_path: Path, changes: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the losses of the model's own way, with accumulation too; afterwards it is as it was."""
    widths = []
    trainer = make_causal_trainer(causal_tokenizer, tmp_path, **changes)
    handle = trainer.model.lm_head.register_forward_hook(lambda module, args, output: widths.append(output.numel()))
    trainer.train()
    handle.remove()
    monkeypatch.setattr(training_trainer, "LARGEST_DIFFERENCE", -1.0)
    own = make_causal_trainer(causal_tokenizer, tmp_path, **changes)
    own.train()
    assert own.labelled_head is None
    assert losses(trainer) == pytest.approx(losses(own), rel=1e-5)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(own.evaluate()["eval_loss"], rel=1e-5)
    batch = next(iter(trainer.get_train_dataloader()))
    assert max(widths[4:]) < batch["input_ids"].numel() * len(causal_tokenizer)
    assert trainer.model(**batch).logits.shape[:2] == batch["input_ids"].shape


def test_a_model_that_keeps_its_own_loss_says_so(
    causal_tokenizer: PreTrainedTokenizerFast, tmp_path: Path, told: pytest.LogCaptureFixture
) -> None:
    """Here logits are scaled behind the head, as Cohere does."""

    def make(**changes: Any) -> SoulChatTrainer:
        trainer = make_causal_trainer(causal_tokenizer, tmp_path, max_steps=1, **changes)
        config = CohereConfig(**(trainer.model.config.to_dict() | {"model_type": "cohere", "logit_scale": 5.0}))
        model = CohereForCausalLM(config)
        return SoulChatTrainer(
            model=model, args=trainer.args, train_dataset=make_rows(40), processing_class=causal_tokenizer
        )

    make().train()
    assert "cohere keeps its own loss, with logits at every position" in told.text
    with pytest.raises(ValueError, match=r"label_smoothing_factor is 0.1; allowed for cohere: 0"):
        make(label_smoothing_factor=0.1).train()


@pytest.mark.parametrize("kind", ["chatglm", "causal"])
def test_labels_are_smoothed_where_they_are_predicted(
    kind: str, chatglm_tokenizer: ChatGLMTokenizer, causal_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    """A smoothing of nearly nothing changes a loss by nearly nothing; the held-out loss is the likelihood."""

    def make(smoothing: float) -> SoulChatTrainer:
        changes = {"label_smoothing_factor": smoothing, "max_steps": 2, "save_strategy": "no"}
        if kind == "chatglm":
            return make_trainer(chatglm_tokenizer, tmp_path, **changes)
        return make_causal_trainer(causal_tokenizer, tmp_path, **changes)

    plain, nearly, much = make(0.0), make(1e-9), make(0.3)
    for trainer in (plain, nearly, much):
        trainer.train()
    assert losses(nearly) == pytest.approx(losses(plain), rel=1e-6)
    assert abs(losses(much)[1] - losses(plain)[1]) > 1e-3
    assert make(0.3).evaluate()["eval_loss"] == make(0.0).evaluate()["eval_loss"]


class NoRoom(TrainerCallback):
    """A device on which only so many rows fit."""

    def __init__(self, rows: int):
        self.rows, self.seen = rows, []

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        def refuse(module: Any, call: Any, kwargs: dict[str, Any]) -> None:
            self.seen.append(len(kwargs["input_ids"]))
            if module.training and len(kwargs["input_ids"]) > self.rows:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")

        self.handle = model.register_forward_pre_hook(refuse, with_kwargs=True)


@pytest.mark.parametrize("max_tokens", [None, 400])
def test_micro_batches_shrink_until_they_fit(
    chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path, max_tokens: int | None
) -> None:
    """And a step sees as many samples as before, in the same order by length."""
    changes = {"max_steps": 4, "save_strategy": "no", "max_tokens": max_tokens, "learning_rate": 1e-9}
    trainer = make_trainer(chatglm_tokenizer, tmp_path, auto_find_batch_size=True, **changes)
    no_room = NoRoom(4)
    trainer.add_callback(no_room)
    trainer.train()
    assert trainer.state.global_step == 4
    assert max(no_room.seen) > 4
    assert max(no_room.seen[-8:]) <= 4
    samples = [entry["samples"] for entry in trainer.state.log_history if "samples" in entry]
    whole = make_trainer(chatglm_tokenizer, tmp_path, **changes)
    whole.train()
    if max_tokens is None:
        assert samples[-3:] == [e["samples"] for e in whole.state.log_history if "samples" in e][-3:]
    assert trainer.args.gradient_accumulation_steps == whole.args.gradient_accumulation_steps


def test_each_size_is_tried_once_and_what_failed_is_not_counted(
    causal_tokenizer: PreTrainedTokenizerFast, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changes = {"max_steps": 2, "save_strategy": "no", "logging_steps": 1, "use_cpu": True, "disable_tqdm": True}

    def make() -> SoulChatTrainer:
        return SoulChatTrainer(
            model=make_causal_model(causal_tokenizer),
            args=SoulChatTrainingArguments(
                str(tmp_path),
                per_device_train_batch_size=8,
                global_batch_size=8,
                max_source_length=256,
                max_target_length=64,
                auto_find_batch_size=True,
                **changes,
            ),
            train_dataset=make_rows(40),
            processing_class=causal_tokenizer,
        )

    trainer = make()
    trainer.add_callback(NoRoom(2))
    trainer.train()
    told = [line for line in caplog.messages if line.startswith("micro-batches")]
    assert told == [f"micro-batches of {size} samples, {8 // size} of them a step" for size in (4, 2)]
    assert [entry["samples"] for entry in trainer.state.log_history if "samples" in entry] == [8, 8]
    trainer = make()
    trainer.add_callback(NoRoom(0))
    with pytest.raises(ValueError, match="a micro-batch of one sample does not fit into the memory; allowed"):
        trainer.train()


def test_a_stream_cannot_look_for_a_batch_size(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    trainer = make_trainer(chatglm_tokenizer, tmp_path, make_rows(60).to_iterable_dataset(), auto_find_batch_size=True)
    with pytest.raises(ValueError, match="auto_find_batch_size needs rows that can be read again"):
        trainer.train()


def test_glm_objective_is_chatglms(causal_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="glm_objective is ChatGLM's"):
        SoulChatTrainer(
            model=make_causal_model(causal_tokenizer),
            args=make_arguments(tmp_path, glm_objective=True),
            processing_class=causal_tokenizer,
        )


def push_arguments(**changes: Any) -> dict[str, Any]:
    return {"push_to_hub": True, "hub_model_id": "user/tiny", "hub_strategy": "every_save", **changes}


def test_checkpoints_go_to_the_hub_with_our_card(
    chatglm_tokenizer: ChatGLMTokenizer,
    tmp_path: Path,
    logged_in: LoopbackHub,  # noqa: F811
) -> None:
    trainer = make_trainer(chatglm_tokenizer, tmp_path, **push_arguments())
    trainer.train()
    trainer.push_to_hub()
    files = logged_in.repo("model", "user/tiny").files()
    assert {"README.md", "model.safetensors", "config.json", "ice_text.model"} <= set(files)
    assert files["model.safetensors"] == (tmp_path / "model.safetensors").read_bytes()
    card = files["README.md"].decode()
    assert "None dataset" not in card
    assert "SoulChat" in card


def test_a_base_in_a_folder_is_named_for_the_card(
    chatglm_tokenizer: ChatGLMTokenizer,
    tmp_path: Path,
    logged_in: LoopbackHub,  # noqa: F811
) -> None:
    make_chatglm(chatglm_tokenizer).save_pretrained(tmp_path / "base")

    def make(**changes: Any) -> SoulChatTrainer:
        return SoulChatTrainer(
            model=ChatGLMForConditionalGeneration.from_pretrained(tmp_path / "base"),
            args=make_arguments(tmp_path / "out", **push_arguments(max_steps=2, **changes)),
            train_dataset=make_rows(60),
            processing_class=chatglm_tokenizer,
        )

    with pytest.raises(ValueError, match=r"loaded from the folder .*base, .* say with hub_base_model"):
        make()
    trainer = make(hub_base_model="THUDM/chatglm-6b")
    trainer.train()
    trainer.push_to_hub()
    files = logged_in.repo("model", "user/tiny").files()
    assert "base_model: THUDM/chatglm-6b\n" in files["README.md"].decode()
    assert not any(
        str(tmp_path).encode() in content for name, content in files.items() if name.endswith((".md", ".json"))
    )


def test_a_hub_that_is_away_costs_no_step(
    chatglm_tokenizer: ChatGLMTokenizer,
    tmp_path: Path,
    logged_in: LoopbackHub,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    logged_in.fail("GET", ".*", 503, times=1000)
    trainer = make_trainer(chatglm_tokenizer, tmp_path, **push_arguments())
    trainer.train()
    trainer.push_to_hub()
    assert trainer.state.global_step == 12
    assert f"the files are in {tmp_path}" in caplog.text


def test_optimizer_states_are_not_pushed(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hub_strategy is all_checkpoints; allowed: end or every_save"):
        make_trainer(chatglm_tokenizer, tmp_path, **push_arguments(hub_strategy="all_checkpoints"))


def test_a_token_in_arguments_is_refused(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="HF_TOKEN"):
        make_trainer(chatglm_tokenizer, tmp_path, **push_arguments(hub_token="hf_secret"))
