"""What a run is: recipe, data and their fingerprint, package versions, git revision; and how its training went."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import Dataset, DatasetDict
from transformers import PreTrainedModel, TrainerState

from ..data import corpus_fingerprint, describe_dataset
from ..environment import describe_environment
from .arguments import PREFERENCE_FIELDS, SoulChatTrainingArguments
from .checkpoints import count_parameters

if TYPE_CHECKING:
    from peft import PeftModel


# The arguments that decide a run's weights.
DECIDING = (
    *("seed", "data_seed", "max_steps", "max_epochs", "num_train_epochs"),
    *("learning_rate", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "warmup_type"),
    *("optim", "optim_args", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm"),
    *("muon_learning_rate", "neftune_noise_alpha", "label_smoothing_factor", "bf16", "fp16"),
    *("max_source_length", "max_target_length", "max_tokens", "loss_on", "thinking", "glm_objective"),
    *("objective", *PREFERENCE_FIELDS),
)


def describe_run(recipe: str | None, dataset: dict[str, Any]) -> dict[str, Any]:
    """The parts of results.json that are known before training."""
    return {**describe_environment(), "recipe": recipe, "dataset": dataset}


def describe_corpus(name: str, corpus: DatasetDict) -> dict[str, Any]:
    """The `dataset` part of results.json before anything is evaluated, with the fingerprint of all rows."""
    return describe_dataset(name, corpus, corpus_fingerprint(corpus)).model_dump()


def describe_rows(rows: Any) -> dict[str, Any]:
    """The `dataset` part for rows that were handed over without a name."""
    if not isinstance(rows, Dataset):
        return {"name": "unnamed"}
    return describe_corpus(rows.info.dataset_name or "unnamed", DatasetDict(train=rows))


def run_identity(
    args: SoulChatTrainingArguments, model: "PreTrainedModel | PeftModel", dataset: dict[str, Any]
) -> dict[str, Any]:
    """What tells a run from others: every value that decides its weights; not how many processes share the work."""
    values = args.to_dict()
    identity = {name: values[name] for name in DECIDING}
    identity["samples_of_a_step"] = (
        args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
        if args.max_tokens is None
        else None
    )
    identity["dataset"] = dataset.get("fingerprint") or dataset["name"]
    identity["model"] = f"{model.config.model_type} of {Path(model.config.name_or_path).name or 'new weights'}"
    identity["parameters"] = count_parameters(model)
    identity["trained_parameters"] = count_parameters(model, trainable_only=True)
    return identity


def describe_training(state: TrainerState, arguments: dict[str, Any], parameters: int) -> dict[str, Any]:
    """The `training` part of results.json, from the trainer's log; arguments without tokens and empty ones."""
    steps = [entry for entry in state.log_history if "loss" in entry]
    seconds, tokens = (sum(entry[key] for entry in steps) for key in ("seconds", "tokens"))
    return {
        "seconds": seconds,
        "steps": state.global_step,
        "samples": sum(entry["samples"] for entry in steps),
        "tokens": tokens,
        "tokens_per_second": tokens / seconds if seconds else None,
        "parameters": parameters,
        "arguments": {
            key: value for key, value in arguments.items() if value is not None and not key.endswith("_token")
        },
        "loss_first": steps[0]["loss"] if steps else None,
        "loss_last": steps[-1]["loss"] if steps else None,
    }
