"""Defaults and their sources; a global batch on any number of processes; what a recipe may not ask at once."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Seq2SeqTrainingArguments
from transformers.utils import logging

from soulchat_trainer.training.arguments import CHANGED_DEFAULTS, REFUSED, RunArguments, SoulChatTrainingArguments


def test_every_changed_default_has_its_source() -> None:
    ours = {field.name: field.default for field in fields(SoulChatTrainingArguments)}
    changed = {f.name for f in fields(Seq2SeqTrainingArguments) if f.default != ours[f.name]}
    assert changed == set(CHANGED_DEFAULTS)


@pytest.mark.parametrize(("processes", "steps"), [(1, 8), (2, 4), (4, 2), (8, 1)])
def test_batch_80_is_kept(processes: int, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    args = SoulChatTrainingArguments(use_cpu=True)
    args.gradient_accumulation_steps = 1
    args._keep_global_batch_size(processes)
    assert args.gradient_accumulation_steps == steps


def test_a_number_of_processes_that_cannot_make_80_is_refused() -> None:
    args = SoulChatTrainingArguments(use_cpu=True)
    with pytest.raises(ValueError, match=r"global_batch_size is 80, but 3 processes x 10"):
        args._keep_global_batch_size(3)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({}, "either model_name_or_path or model_config"),
        ({"model_name_or_path": "x", "model_config": {}}, "either model_name_or_path or model_config"),
        ({"model_config": [1]}, r"model_config is \[1\]; allowed: a mapping"),
        ({"model_config": {}, "pre_seq_len": 4}, "lora_rank and pre_seq_len need a loaded one"),
        ({"model_name_or_path": "x", "lora_rank": 4, "pre_seq_len": 4}, "two ways of training"),
    ],
)
def test_what_does_not_go_together(values: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        RunArguments(**values)


def test_sizes_of_a_model_may_be_json() -> None:
    assert RunArguments(model_config='{"num_layers": 2}').model_config == {"num_layers": 2}


# What transformers itself does with a field, here as there.
LEFT_TO_TRANSFORMERS = {
    "auto_find_batch_size",
    "label_smoothing_factor",
    "output_dir",
    "per_device_train_batch_size",
    "num_train_epochs",
    "max_steps",
    "learning_rate",
    "lr_scheduler_type",
    "lr_scheduler_kwargs",
    "warmup_steps",
    "optim",
    "optim_args",
    "weight_decay",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "optim_target_modules",
    "gradient_accumulation_steps",
    "average_tokens_across_devices",
    "max_grad_norm",
    "bf16",
    "fp16",
    "bf16_full_eval",
    "fp16_full_eval",
    "tf32",
    "activation_checkpointing",
    "activation_checkpointing_kwargs",
    "gradient_checkpointing",
    "gradient_checkpointing_kwargs",
    "torch_compile",
    "torch_compile_backend",
    "torch_compile_mode",
    "use_liger_kernel",
    "liger_kernel_config",
    "use_cache",
    "neftune_noise_alpha",
    "torch_empty_cache_steps",
    "logging_strategy",
    "logging_steps",
    "logging_first_step",
    "log_on_each_node",
    "include_num_input_tokens_seen",
    "log_level",
    "log_level_replica",
    "disable_tqdm",
    "report_to",
    "run_name",
    "project",
    "trackio_space_id",
    "trackio_bucket_id",
    "trackio_static_space_id",
    "eval_strategy",
    "eval_steps",
    "eval_delay",
    "per_device_eval_batch_size",
    "prediction_loss_only",
    "eval_on_start",
    "save_only_model",
    "save_strategy",
    "save_steps",
    "save_on_each_node",
    "save_total_limit",
    "push_to_hub",
    "hub_token",
    "hub_private_repo",
    "hub_model_id",
    "hub_strategy",
    "hub_revision",
    "load_best_model_at_end",
    "metric_for_best_model",
    "greater_is_better",
    "ignore_data_skip",
    "restore_callback_states_from_checkpoint",
    "full_determinism",
    "seed",
    "data_seed",
    "use_cpu",
    "dataloader_num_workers",
    "dataloader_pin_memory",
    "dataloader_persistent_workers",
    "dataloader_prefetch_factor",
    "dataloader_multiprocessing_context",
    "dataloader_in_order",
    "ddp_find_unused_parameters",
    "ddp_bucket_cap_mb",
    "ddp_broadcast_buffers",
    "ddp_static_graph",
    "ddp_backend",
    "ddp_timeout",
    "deepspeed",
    "debug",
    "skip_memory_metrics",
    "do_train",
    "do_eval",
    "resume_from_checkpoint",
    "local_rank",
    "predict_with_generate",
}


def test_every_field_of_transformers_is_known() -> None:
    """A new one is either refused or looked at and entered above."""
    found = {field.name for field in fields(Seq2SeqTrainingArguments) if field.init}
    assert found <= LEFT_TO_TRANSFORMERS | set(REFUSED)
    assert not LEFT_TO_TRANSFORMERS & set(REFUSED)


@pytest.mark.parametrize("name", REFUSED)
def test_a_field_without_effect_is_refused(name: str) -> None:
    default = {field.name: field.default for field in fields(Seq2SeqTrainingArguments)}[name]
    other: Any = {True: False, False: True}.get(default, "other") if isinstance(default, bool) else "other"
    if name in ("remove_unused_columns", "logging_nan_inf_filter"):
        other = True  # the default of the parent, not ours
    with pytest.raises(ValueError, match=rf"^{name} is {other}; allowed: "):
        SoulChatTrainingArguments(use_cpu=True, **{name: other})


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("given", [{}, {"use_cpu": True}])
def test_without_a_gpu_bfloat16_takes_the_cpu_and_says_so(
    given: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.get_logger("transformers"), "propagate", True)
    args = SoulChatTrainingArguments(str(tmp_path), bf16=True, **given)
    assert (args.use_cpu, args.device.type) == (True, "cpu")
    assert ("there is no GPU here, so the run takes the CPU" in caplog.text) == (not given)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"max_epochs": 0.0}, r"max_epochs is 0\.0; allowed: more than 0, or none"),
        ({"lr_scheduler_kwargs": {"a": 1}}, "lr_scheduler_kwargs is .*; allowed with linear: none"),
        ({"lr_scheduler_type": "cosine", "warmup_type": "linear"}, "allowed: log, unless lr_scheduler_type is linear"),
        ({"muon_learning_rate": 0.1, "optim_args": "a=1"}, "are not Muon's"),
        ({"metric_for_best_model": "accuracy"}, "accuracy; allowed: loss, perplexity; BLEU"),
        ({"metric_for_best_model": "bleu-4"}, "bleu-4; allowed: loss, perplexity; BLEU"),
        ({"metric_for_best_model": "perplexity", "greater_is_better": True}, "allowed for perplexity: the other"),
    ],
)
def test_fields_that_contradict_each_other(values: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        SoulChatTrainingArguments(use_cpu=True, **values)


@pytest.mark.parametrize(("name", "greater"), [("perplexity", False), ("eval_loss", False), ("eval_bleu-4", True)])
def test_the_better_end_of_a_metric(name: str, greater: bool) -> None:
    args = SoulChatTrainingArguments(use_cpu=True, metric_for_best_model=name, predict_with_generate=True)
    assert args.greater_is_better is greater
