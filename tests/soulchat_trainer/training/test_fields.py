"""Every field of transformers' arguments does what it says, as a test below or elsewhere shows, or is refused."""

import logging as python_logging
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from accelerate.utils import DynamoBackend
from transformers import EarlyStoppingCallback, Seq2SeqTrainingArguments
from transformers.utils import logging

from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.training.arguments import REFUSED, SoulChatTrainingArguments
from soulchat_trainer.training.checkpoints import list_checkpoints
from soulchat_trainer.training.trainer import SoulChatTrainer
from tests.paths import ROOT
from tests.soulchat_trainer.training_parts import make_chatglm, make_rows

COMMON = {
    "max_steps": 3,
    "per_device_train_batch_size": 4,
    "per_device_eval_batch_size": 4,
    "global_batch_size": None,
    "learning_rate": 1e-2,
    "warmup_steps": 0,
    "max_source_length": 128,
    "max_target_length": 64,
    "max_new_tokens": 4,
    "save_strategy": "no",
    "logging_steps": 1,
    "use_cpu": True,
    "disable_tqdm": True,
    "report_to": "none",
}
COSINE = {"lr_scheduler_type": "cosine_with_restarts"}
# Each changes the losses of a run of three steps, beside those of the same run without it.
CHANGES_LOSSES: dict[str, tuple[Any, dict[str, Any]]] = {
    "per_device_train_batch_size": (3, {}),
    "gradient_accumulation_steps": (2, {}),
    "learning_rate": (1e-3, {}),
    "lr_scheduler_type": ("cosine", {"warmup_steps": 1}),
    "lr_scheduler_kwargs": ({"num_cycles": 2}, COSINE),
    "warmup_steps": (4, {}),
    "optim": ("adafactor", {}),
    "optim_args": ("momentum=0.9", {"optim": "sgd"}),
    "weight_decay": (10.0, {}),
    "adam_beta1": (0.1, {}),
    "adam_beta2": (0.1, {}),
    "adam_epsilon": (1.0, {}),
    "max_grad_norm": (1e-4, {"optim": "sgd"}),
    "bf16": (True, {}),
    "neftune_noise_alpha": (5.0, {}),
    "label_smoothing_factor": (0.3, {}),
    "data_seed": (5, {}),
    "seed": (5, {}),
}
# What the model, the batches or the processes are handed: how to see it in a trainer.
IS_HANDED_ON: dict[str, tuple[Any, dict[str, Any], Any]] = {
    "dataloader_num_workers": (2, {}, lambda it: it.get_train_dataloader().num_workers == 2),
    "dataloader_persistent_workers": (
        True,
        {"dataloader_num_workers": 1},
        lambda it: it.get_train_dataloader().persistent_workers,
    ),
    "dataloader_prefetch_factor": (
        3,
        {"dataloader_num_workers": 1},
        lambda it: it.get_train_dataloader().prefetch_factor == 3,
    ),
    "dataloader_multiprocessing_context": (
        "spawn",
        {"dataloader_num_workers": 1},
        lambda it: "Spawn" in str(it.get_train_dataloader().multiprocessing_context),
    ),
    "dataloader_in_order": (False, {"dataloader_num_workers": 1}, lambda it: not it.get_train_dataloader().in_order),
    "per_device_eval_batch_size": (2, {}, lambda it: len(next(iter(it.get_eval_dataloader()))["input_ids"]) == 2),
    "ddp_find_unused_parameters": (True, {}, lambda it: it.accelerator.ddp_handler.find_unused_parameters),
    "ddp_bucket_cap_mb": (7, {}, lambda it: it.accelerator.ddp_handler.bucket_cap_mb == 7),
    "ddp_broadcast_buffers": (False, {}, lambda it: it.accelerator.ddp_handler.broadcast_buffers is False),
    "ddp_static_graph": (True, {}, lambda it: it.accelerator.ddp_handler.static_graph),
    "use_cache": (True, {}, lambda it: it.model.config.use_cache),
    "disable_tqdm": (
        False,
        {},
        lambda it: "LossBarCallback" in it.callback_handler.callback_list,
    ),
    "bf16_full_eval": (True, {}, lambda it: it.evaluate() and it.model.dtype == torch.bfloat16),
    "torch_compile": (
        True,
        {},
        lambda it: it.accelerator.state.dynamo_plugin.backend == DynamoBackend.INDUCTOR,
    ),
    "torch_compile_backend": (
        "eager",
        {},
        lambda it: it.accelerator.state.dynamo_plugin.backend == DynamoBackend.EAGER,
    ),
    "torch_compile_mode": (
        "reduce-overhead",
        {},
        lambda it: it.accelerator.state.dynamo_plugin.mode == "reduce-overhead",
    ),
}
# Where the machine that runs the tests cannot show an effect, or more processes than these tests have could.
NEEDS_MORE = {
    "dataloader_pin_memory": "a GPU",
    "fp16": "a GPU",
    "fp16_full_eval": "a GPU",
    "tf32": "a GPU of Ampere or later",
    "torch_empty_cache_steps": "a GPU",
    "use_liger_kernel": "a GPU; refused for ChatGLM",
    "liger_kernel_config": "a GPU",
    "optim_target_modules": "GaLore or APOLLO, which are not installed; refused without them",
    "average_tokens_across_devices": "two processes",
    "ddp_backend": "two processes",
    "ddp_timeout": "two processes",
    "local_rank": "two processes",
    "save_on_each_node": "two machines",
    "log_on_each_node": "two machines",
    "log_level_replica": "two processes",
    "trackio_space_id": "the Hub",
    "trackio_bucket_id": "the Hub",
    "trackio_static_space_id": "the Hub",
}
DETERMINISTIC = (
    "CUDA_LAUNCH_BLOCKING",
    "CUBLAS_WORKSPACE_CONFIG",
    "ASCEND_LAUNCH_BLOCKING",
    "HCCL_DETERMINISTIC",
    "FLASH_ATTENTION_DETERMINISTIC",
)
# Shown by a test of another file.
ELSEWHERE = {
    "auto_find_batch_size": "test_micro_batches_shrink_until_they_fit",
    "activation_checkpointing": "test_recipes_on_deepspeed",
    "gradient_checkpointing": "test_gradient_checkpointing_changes_nothing",
    "save_only_model": "test_a_model_alone_is_not_gone_on_from",
    "save_total_limit": "test_old_checkpoints_go_when_new_ones_are_whole",
    "load_best_model_at_end": "test_the_best_model_is_that_of_the_lowest_perplexity",
    "metric_for_best_model": "test_the_best_model_is_that_of_the_lowest_perplexity",
    "greater_is_better": "test_the_better_end_of_a_metric",
    "report_to": "test_tensorboard",
    "run_name": "test_trackio",
    "project": "test_trackio",
    "push_to_hub": "test_checkpoints_go_to_the_hub_with_our_card",
    "hub_model_id": "test_checkpoints_go_to_the_hub_with_our_card",
    "hub_strategy": "test_optimizer_states_are_not_pushed",
    "hub_token": "test_a_token_in_arguments_is_refused",
    "hub_revision": "test_a_push_goes_where_the_arguments_say",
    "hub_private_repo": "test_a_push_goes_where_the_arguments_say",
    "deepspeed": "test_recipes_on_deepspeed",
    "predict_with_generate": "test_a_prediction_is_a_reply",
}


def make(tokenizer: ChatGLMTokenizer, folder: Path, **changes: Any) -> SoulChatTrainer:
    return SoulChatTrainer(
        model=make_chatglm(tokenizer),
        args=SoulChatTrainingArguments(str(folder), **(COMMON | changes)),
        train_dataset=make_rows(20),
        eval_dataset=make_rows(6, seed=5),
        processing_class=tokenizer,
    )


def run(tokenizer: ChatGLMTokenizer, folder: Path, **changes: Any) -> SoulChatTrainer:
    trainer = make(tokenizer, folder, **changes)
    trainer.train()
    return trainer


def logged(trainer: SoulChatTrainer, key: str = "loss") -> dict[int, float]:
    return {entry["step"]: entry[key] for entry in trainer.state.log_history if key in entry}


def saved(folder: Path) -> list[str]:
    return [path.name for path in reversed(list_checkpoints(folder))]


@pytest.mark.parametrize("name", CHANGES_LOSSES)
def test_it_changes_the_losses(name: str, chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    value, more = CHANGES_LOSSES[name]
    more = {"max_steps": 5, **more}  # the rate of the first two steps is 0
    without = run(chatglm_tokenizer, tmp_path, **more)
    found = run(chatglm_tokenizer, tmp_path, **(more | {name: value}))
    assert logged(found) != logged(without)


@pytest.fixture
def eager_again() -> Iterator[None]:
    """accelerate keeps in the environment what was to be compiled."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("BACKEND", "MODE", "USE_FULLGRAPH", "USE_DYNAMIC"):
            patch.setenv(f"ACCELERATE_DYNAMO_{name}", "no" if name == "BACKEND" else "default")
            patch.delenv(f"ACCELERATE_DYNAMO_{name}")
        yield


@pytest.mark.usefixtures("eager_again")
@pytest.mark.parametrize("name", IS_HANDED_ON)
def test_it_is_handed_on(name: str, chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    value, more, shows = IS_HANDED_ON[name]
    assert shows(make(chatglm_tokenizer, tmp_path, **(more | {name: value})))
    assert not shows(make(chatglm_tokenizer, tmp_path, **more))


def test_max_steps_num_train_epochs(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    assert run(chatglm_tokenizer, tmp_path, max_steps=2).state.global_step == 2
    one, two = (run(chatglm_tokenizer, tmp_path, max_steps=-1, num_train_epochs=n).state for n in (1, 2))
    assert (one.epoch, two.epoch, two.global_step) == (1, 2, 2 * one.global_step)


def test_output_dir_save_strategy_save_steps(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    for name, changes, steps in (
        ("no", {}, []),
        ("steps", {"save_strategy": "steps", "save_steps": 2}, [2, 3]),
        ("epoch", {"save_strategy": "epoch", "max_steps": -1, "num_train_epochs": 2}, [10, 20]),
    ):
        run(chatglm_tokenizer, tmp_path / name, **changes)
        assert [int(found.removeprefix("checkpoint-")) for found in saved(tmp_path / name)] == steps


def test_logging_strategy_logging_steps_logging_first_step(
    chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path
) -> None:
    assert list(logged(run(chatglm_tokenizer, tmp_path, logging_steps=2))) == [2, 3]
    assert list(logged(run(chatglm_tokenizer, tmp_path, logging_steps=2, logging_first_step=True))) == [1, 2, 3]
    assert list(logged(run(chatglm_tokenizer, tmp_path, logging_strategy="no"))) == [3]


def test_include_num_input_tokens_seen(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    counted = run(chatglm_tokenizer, tmp_path, include_num_input_tokens_seen="all")
    assert counted.state.num_input_tokens_seen > 0
    assert run(chatglm_tokenizer, tmp_path).state.num_input_tokens_seen == 0


def test_log_level(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    before = logging.get_verbosity()
    try:
        make(chatglm_tokenizer, tmp_path, log_level="error")
        assert logging.get_verbosity() == python_logging.ERROR
    finally:
        logging.set_verbosity(before)


def test_eval_strategy_eval_steps_eval_delay_eval_on_start_do_eval(
    chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path
) -> None:
    steps = {"eval_strategy": "steps", "eval_steps": 1}
    assert list(logged(run(chatglm_tokenizer, tmp_path), "eval_loss")) == []
    assert list(logged(run(chatglm_tokenizer, tmp_path, **steps), "eval_loss")) == [1, 2, 3]
    assert list(logged(run(chatglm_tokenizer, tmp_path, **steps, eval_delay=2), "eval_loss")) == [2, 3]
    assert list(logged(run(chatglm_tokenizer, tmp_path, **steps, eval_on_start=True), "eval_loss")) == [0, 1, 2, 3]
    assert run(chatglm_tokenizer, tmp_path, **steps, do_eval=True).args.do_eval


def test_skip_memory_metrics(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    assert "train_mem_cpu_alloc_delta" in make(chatglm_tokenizer, tmp_path, skip_memory_metrics=False).train().metrics
    assert "train_mem_cpu_alloc_delta" not in make(chatglm_tokenizer, tmp_path).train().metrics


def test_debug(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    hooks = [
        len(run(chatglm_tokenizer, tmp_path, debug=value).model._forward_hooks) for value in ("", "underflow_overflow")
    ]
    assert hooks == [0, 1]


def test_full_determinism(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:  # it sets variables, too
        for name in (
            "CUDA_LAUNCH_BLOCKING",
            "CUBLAS_WORKSPACE_CONFIG",
            "ASCEND_LAUNCH_BLOCKING",
            "HCCL_DETERMINISTIC",
            "FLASH_ATTENTION_DETERMINISTIC",
        ):
            patch.setenv(name, "")
        try:
            run(chatglm_tokenizer, tmp_path, full_determinism=True)
            assert torch.are_deterministic_algorithms_enabled()
        finally:
            torch.use_deterministic_algorithms(False)


def test_use_cpu() -> None:
    assert SoulChatTrainingArguments(use_cpu=True).device.type == "cpu"


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize(
    "name",
    sorted(
        {"activation_checkpointing_kwargs", "gradient_checkpointing_kwargs"}
        & {field.name for field in fields(SoulChatTrainingArguments)}
    ),
)
def test_activation_checkpointing_kwargs_gradient_checkpointing_kwargs(
    name: str, chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path
) -> None:
    with pytest.raises((TypeError, ValueError), match="nonsense"):
        run(chatglm_tokenizer, tmp_path, **{name.removesuffix("_kwargs"): True, name: {"nonsense": True}})


def test_resume_from_checkpoint_ignore_data_skip(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    """Go on with the batches that come next; without the skip with the first ones again."""
    steps = {"save_strategy": "steps", "save_steps": 2, "max_steps": 6, "save_total_limit": None}
    whole = logged(run(chatglm_tokenizer, tmp_path, **steps))
    checkpoint = str(tmp_path / "checkpoint-2")
    assert logged(run(chatglm_tokenizer, tmp_path, **steps, resume_from_checkpoint=checkpoint)) == whole
    again = logged(run(chatglm_tokenizer, tmp_path, **steps, resume_from_checkpoint=checkpoint, ignore_data_skip=True))
    assert again[2] == whole[2]
    assert again[3] != whole[3]


def test_restore_callback_states_from_checkpoint(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    steps = {"save_strategy": "steps", "save_steps": 1, "eval_strategy": "steps", "eval_steps": 1}
    best = {"load_best_model_at_end": True, "metric_for_best_model": "loss"}

    def patience(**changes: Any) -> float:
        trainer = make(chatglm_tokenizer, tmp_path, **steps, **best, **changes)
        trainer.add_callback(EarlyStoppingCallback(7 if not changes else 9))
        trainer.train(resume_from_checkpoint=True if changes else None)
        [callback] = [c for c in trainer.callback_handler.callbacks if isinstance(c, EarlyStoppingCallback)]
        return callback.early_stopping_patience

    assert patience() == 7
    assert patience(restore_callback_states_from_checkpoint=True) == 7
    assert patience(restore_callback_states_from_checkpoint=False) == 9


def test_a_push_goes_where_the_arguments_say(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    hub = {"push_to_hub": True, "hub_model_id": "user/tiny", "hub_revision": "one", "hub_private_repo": True}
    target = make(chatglm_tokenizer, tmp_path, **hub, hub_base_model="user/base").pusher.target
    assert (target.repo_id, target.revision, target.private) == ("user/tiny", "one", True)


def test_every_field_is_refused_or_shown() -> None:
    """A new one of transformers' is to be entered above."""
    found = {field.name for field in fields(Seq2SeqTrainingArguments) if field.init}
    here = Path(__file__).read_text(encoding="utf-8")
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests/soulchat_trainer").rglob("test_*.py"))
    assert [name for name in ELSEWHERE.values() if f"def {name}(" not in tests] == []
    named = {name for name in found if any(name in line for line in here.splitlines() if line.startswith("def test_"))}
    shown = set(CHANGES_LOSSES) | set(IS_HANDED_ON) | set(NEEDS_MORE) | set(ELSEWHERE) | named
    assert found <= shown | set(REFUSED), transformers.__version__
    assert not shown & set(REFUSED)
