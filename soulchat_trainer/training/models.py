"""The tokenizer and the model that a recipe asks for."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from huggingface_hub.errors import StrictDataclassFieldValidationError
from transformers import BitsAndBytesConfig, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase, set_seed
from transformers.utils import logging

from ..chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration
from ..chatglm.sentencepiece_training import TooFewPieces
from ..chatglm.tokenization_chatglm import train_tokenizer
from ..encoding.styles import write_line
from ..generation.sampling import Decoding
from ..loading import (
    adapter_base,
    check_tied_tables,
    check_whole,
    load_adapter,
    load_config,
    load_tokenizer,
    load_weights,
    tokenizer_of,
)
from .arguments import RunArguments

logger = logging.get_logger(__name__)


def make_tokenizer(run: RunArguments, rows: Dataset, folder: Path, train: bool) -> PreTrainedTokenizerBase:
    """The tokenizer of a run: loaded by its name; or its own, kept in `folder`, trained there first if `train`."""
    if run.tokenizer_name_or_path is None and run.tokenizer_vocab_size is not None:
        if train:
            _train_tokenizer(rows, run.tokenizer_vocab_size, folder)
        return load_tokenizer(folder)
    if run.tokenizer_name_or_path is not None:
        return load_tokenizer(run.tokenizer_name_or_path)
    if run.model_name_or_path is None:
        raise ValueError(
            "model_config is given without a tokenizer; name tokenizer_vocab_size or tokenizer_name_or_path"
        )
    return load_tokenizer(tokenizer_of(run.model_name_or_path))


def _train_tokenizer(rows: Dataset, vocab_size: int, folder: Path) -> None:
    """Of the given size, or of the largest one that a small corpus has pieces for."""
    try:
        train_tokenizer(_texts(rows), vocab_size, folder)
    except TooFewPieces as error:
        logger.warning("tokenizer_vocab_size is %d; these texts have pieces for %d", vocab_size, error.allowed)
        train_tokenizer(_texts(rows), error.allowed, folder)


def _texts(rows: Dataset) -> Iterator[str]:
    if "messages" not in rows.column_names:
        yield from (row["prompt"] + row["completion"] for row in rows)
        return
    for messages in rows["messages"]:
        yield "".join(map(write_line, messages)).removesuffix("\n")


def make_model(run: RunArguments, tokenizer: PreTrainedTokenizerBase, seed: int) -> PreTrainedModel:
    """The model of a run: new weights from `model_config`, or loaded; with LoRA or a P-Tuning prefix if asked for.

    From an adapter's folder training goes on with that adapter.

    Raises:
        OSError: the model cannot be loaded.
        ValueError: the model, or the adapter, is not one that can be trained as asked.
    """
    set_seed(seed)
    if run.model_config is not None:
        values: Any = run.model_config  # a mapping: RunArguments reads JSON
        return ChatGLMForConditionalGeneration(new_config(values, tokenizer))
    name = str(run.model_name_or_path)
    base = adapter_base(name)
    changes = {}
    if run.pre_seq_len is not None:
        changes = {"pre_seq_len": run.pre_seq_len, "prefix_projection": run.prefix_projection}
    dtype = run.torch_dtype if run.torch_dtype == "auto" else getattr(torch, run.torch_dtype)
    config = load_config(base or name, **changes)
    if base is not None or run.lora_rank is not None:
        check_whole(base or name, config)
    quantization = nf4(dtype, config) if run.quantize is not None else None
    new_part = "prefix_encoder." if run.pre_seq_len is not None else None
    model = load_weights(base or name, dtype, config, quantization, new_part)
    if base is not None:
        return resume_adapter(model, name, run)
    if run.pre_seq_len is not None:
        return train_prefix(model)
    return add_lora(model, run) if run.lora_rank is not None else model


def describe_use(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, decoding: Decoding) -> None:
    """Let who loads the saved model sample as its run does, and its tokenizer cut at the model's window."""
    how = asdict(decoding)
    del how["seed"]  # `generate` has none
    model.generation_config.update(**how)  # top_k 0, too: transformers would cut at 50
    tokenizer.model_max_length = min(tokenizer.model_max_length, model.config.max_position_embeddings)


def new_config(values: dict, tokenizer: PreTrainedTokenizerBase) -> ChatGLMConfig:
    """A ChatGLM configuration whose vocabulary is the tokenizer's; the residual factor fits its own depth."""
    unknown = sorted(map(str, set(values) - set(ChatGLMConfig().to_dict())))
    if unknown:
        raise ValueError(f"model_config has unknown keys {', '.join(unknown)}; allowed: the fields of ChatGLMConfig")
    mask, gmask = tokenizer.convert_tokens_to_ids(["[MASK]", "[gMASK]"])
    own = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "mask_token_id": mask,
        "gmask_token_id": gmask,
    }
    if "num_layers" in values:
        own["residual_layers"] = values["num_layers"]
    try:
        return ChatGLMConfig(**{**own, **values})
    except (StrictDataclassFieldValidationError, TypeError) as error:
        raise ValueError(f"model_config does not fit the fields of ChatGLMConfig: {error}") from error


def nf4(dtype: torch.dtype | str, config: PreTrainedConfig) -> BitsAndBytesConfig:
    """QLoRA's 4 bits (Dettmers et al. 2023): NormalFloat, its constants quantised once more, computed in `dtype`.

    By bitsandbytes, which has the paper's format and which PEFT trains through on GPUs and CPUs alike; torchao's NF4
    has no support there.
    """
    computed = config.dtype if isinstance(dtype, str) else dtype
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=computed or torch.float32,
    )


def train_prefix(model: PreTrainedModel) -> PreTrainedModel:
    """P-Tuning v2: the prefix encoder, the one part that ChatGLM leaves to train, in float32 (the original's way)."""
    if model.config.model_type != "chatglm":
        raise ValueError(f"pre_seq_len (P-Tuning v2) is built into ChatGLM; {model.config.model_type} has no prefix")
    model.transformer.prefix_encoder.float()
    return model


def resume_adapter(model: PreTrainedModel, name: str, run: RunArguments) -> PreTrainedModel:
    """The model with the adapter in `name`, which is trained on as it is; its merged base would be another's weights.

    Raises:
        ValueError: a prefix, or LoRA of another rank than the adapter's, is asked for.
    """
    from peft import LoraConfig

    adapted = load_adapter(model, name, is_trainable=True)
    config = adapted.peft_config["default"]
    if run.pre_seq_len is not None or not isinstance(config, LoraConfig) or run.lora_rank not in (None, config.r):
        asked = f"pre_seq_len {run.pre_seq_len}" if run.pre_seq_len is not None else f"lora_rank {run.lora_rank}"
        raise ValueError(
            f"{name} is an adapter and {asked} is asked for; allowed: LoRA of its own rank, or `soulchat export` "
            "first, which merges it"
        )
    return adapted


def add_lora(model: PreTrainedModel, run: RunArguments) -> PreTrainedModel:
    """LoRA by PEFT: on ChatGLM's fused projections unless the recipe names others."""
    from peft import LoraConfig, TaskType, get_peft_model

    targets = run.lora_target_modules
    if targets is None and model.config.model_type == "chatglm":
        targets = ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=run.lora_rank,
        lora_alpha=run.lora_alpha,
        lora_dropout=run.lora_dropout,
        target_modules="all-linear" if targets == ["all-linear"] else targets,  # PEFT knows it as a lone word
    )
    adapted = get_peft_model(model, config)
    check_tied_tables(adapted)
    return adapted
