"""Defaults and their sources; a global batch on any number of processes; what a recipe may not ask at once."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Seq2SeqTrainingArguments
from transformers.utils import logging

from soulchat_trainer.training.arguments import (
    CHANGED_DEFAULTS,
    REFUSED,
    SAYS_ACTIVATION_CHECKPOINTING,
    RunArguments,
    SoulChatTrainingArguments,
)

# Before transformers 5.23 the other name, which is still read since.
KWARGS = "activation_checkpointing_kwargs" if SAYS_ACTIVATION_CHECKPOINTING else "gradient_checkpointing_kwargs"


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
        ({"optim_args": "a=1"}, "optim_args is a=1; allowed with optim adamw_torch_fused, which reads none: none"),
        ({"optim_target_modules": "x", "optim": "sgd"}, "optim_target_modules is x; allowed with optim sgd, which"),
        ({KWARGS: {"a": 1}}, "allowed while (activation|gradient)_checkpointing is (None|False): none"),
        ({"liger_kernel_config": {"a": 1}}, "allowed while use_liger_kernel is False: none"),
        ({"dataloader_prefetch_factor": 2}, "factor is 2; allowed while dataloader_num_workers is 0: none"),
        ({"dataloader_persistent_workers": True}, "allowed while dataloader_num_workers is 0: none"),
        ({"dataloader_multiprocessing_context": "fork"}, "allowed while dataloader_num_workers is 0: none"),
        ({"do_eval": True}, "do_eval is True; allowed while eval_strategy is no: none"),
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
