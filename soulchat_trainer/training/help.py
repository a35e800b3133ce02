"""`train.py --help`: the flags that people set, in groups, with defaults; `--help all` has the others."""

import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields

from .arguments import RunArguments, SoulChatTrainingArguments

# Flags of transformers' own, whose help is a paragraph or more, in a line.
TRANSFORMERS = {
    "num_train_epochs": "Passes over the data, with --max_steps -1.",
    "seed": "Of new weights, order and replies.",
    "learning_rate": "The highest one (paper, section 3.2).",
    "lr_scheduler_type": "linear, cosine, constant_with_warmup, …",
    "weight_decay": "Of AdamW.",
    "max_grad_norm": "Longer gradients are scaled down to it.",
    "use_cpu": "Train on the CPU also where there is a GPU.",
    "bf16": "Mixed precision in bfloat16.",
    "fp16": "Mixed precision in float16 (the paper's).",
    "deepspeed": "zero2.json, zero3.json, zero3-offload.json, or a file.",
    "save_steps": "A checkpoint every so many steps.",
    "resume_from_checkpoint": "true: the last whole one; or its folder.",
    "eval_strategy": "no, steps (every --eval_steps), epoch: held-out loss while training.",
    "predict_with_generate": "Then also reply to held-out turns.",
    "report_to": "none, tensorboard, wandb, trackio, …",
    "push_to_hub": "Send checkpoints, results and card to the Hub.",
    "hub_model_id": "USER/NAME on the Hub.",
}
GROUPS = {
    "Model and data": (
        *("model_name_or_path", "model_config", "tokenizer_name_or_path", "tokenizer_vocab_size"),
        *("torch_dtype", "dataset", "test_dataset", "streaming"),
    ),
    "A part of the model": (
        *(
            "lora_rank",
            "lora_alpha",
            "lora_dropout",
            "lora_target_modules",
            "quantize",
            "pre_seq_len",
            "prefix_projection",
        ),
    ),
    "Samples": ("max_source_length", "max_target_length", "loss_on", "thinking", "glm_objective"),
    "Preferences": (
        *("objective", "beta", "label_smoothing", "sft_weight", "sft_on", "desirable_weight", "undesirable_weight"),
    ),
    "Steps": (
        *("max_steps", "max_epochs", "num_train_epochs", "global_batch_size"),
        *("per_device_train_batch_size", "max_tokens", "seed"),
    ),
    "Optimizer": (
        *("learning_rate", "warmup_steps", "warmup_type", "lr_scheduler_type", "weight_decay", "max_grad_norm"),
        "muon_learning_rate",
    ),
    "Machine": (*("use_cpu", "bf16", "fp16", "deepspeed", "activation_checkpointing"),),
    "Replies": ("num_test_turns", "top_p", "temperature", "max_new_tokens"),
    "Files and reports": (
        *("output_dir", "logging_steps", "save_steps", "save_total_limit"),
        *("resume_from_checkpoint", "eval_strategy", "predict_with_generate", "max_eval_replies"),
        *("report_to", "push_to_hub", "hub_model_id", "hub_base_model"),
    ),
}
HEAD = """\
usage: soulchat train RECIPE [--flag value …]            on this machine; --processes N for several GPUs
       accelerate launch --quiet train.py RECIPE [--flag value …]

Train, evaluate and describe a model as a recipe says, a name or a YAML file with flags as keys; flags override it.
Recipes that ship: {recipes}.
The value after a flag is its default; a recipe has its own.
"""
TAIL = "--help all lists every flag of transformers' Seq2SeqTrainingArguments as well."
INDENT = 35


def short_help(recipes: list[str]) -> str:
    """The flags in groups, a line each where the terminal is wide enough."""
    known = {field.name: field for cls in (SoulChatTrainingArguments, RunArguments) for field in fields(cls)}
    parts = [HEAD.format(recipes=", ".join(recipes))]
    for heading, names in GROUPS.items():
        parts += [f"{heading}:", *(line for name in names for line in _lines(known[name])), ""]
    return "\n".join([*parts, TAIL])


def _lines(field: Field) -> Iterator[str]:
    default = "" if field.default in (None, MISSING) else str(getattr(field.default, "value", field.default))
    flag = f"  --{field.name} {default}".rstrip()
    text = TRANSFORMERS.get(field.name) or field.metadata["help"]
    width = max(shutil.get_terminal_size((119, 50)).columns, 80) - INDENT
    first, *more = textwrap.wrap(text, width)
    yield f"{flag:<{INDENT - 1}} {first}"
    yield from (" " * INDENT + line for line in more)
