"""Defaults and their sources; a global batch on any number of processes; what a recipe may not ask at once."""

from dataclasses import fields
from typing import Any

import pytest
from transformers import Seq2SeqTrainingArguments

from soulchat_trainer.training.arguments import CHANGED_DEFAULTS, RunArguments, SoulChatTrainingArguments


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
