"""LLaMA-Factory's step in `benchmarks/training.py peers`; runs in its own environment (benchmarks/peers.py).

    python benchmarks/train_llamafactory.py FOLDER CONVERSATIONS

Its own model loading, collator and trainer, on token ids that are ready (`tokenized_path`), with its length-grouped
batches. Its packing mixes conversations, or wants flash attention; its Liger kernels want a GPU.
"""

import json
import sys
from pathlib import Path
from typing import Any

from llamafactory.data import SFTDataCollatorWith4DAttentionMask, get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_model, load_tokenizer
from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer
from training_step import measure_step, model_and_rows, step_arguments


def load(folder: Path, conversations: int) -> dict[str, Any]:
    """Arguments, tokenizer, data and model, as its `run_sft` loads them."""
    model, tokens = model_and_rows(folder)
    wanted = {"stage": "sft", "do_train": True, "finetuning_type": "full", "template": "empty", "dataset": "ready"}
    wanted |= {"model_name_or_path": str(model), "tokenized_path": str(tokens), "output_dir": str(folder / "factory")}
    wanted |= {"disable_gradient_checkpointing": True, "train_sampling_strategy": "group_by_length"}
    model_args, data_args, training_args, finetuning_args, _ = get_train_args(wanted | step_arguments(conversations))
    tokenizers = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(tokenizers["tokenizer"], data_args)
    return {
        "parts": (model_args, training_args, finetuning_args, template, tokenizers),
        "data": get_dataset(template, model_args, data_args, training_args, stage="sft", **tokenizers),
        "model": load_model(tokenizers["tokenizer"], model_args, finetuning_args, training_args.do_train),
    }


def make(loaded: dict[str, Any]) -> CustomSeq2SeqTrainer:
    """Its trainer, as `run_sft` makes it."""
    model_args, training_args, finetuning_args, template, tokenizers = loaded["parts"]
    collator = SFTDataCollatorWith4DAttentionMask(
        template=template,
        model=loaded["model"],
        pad_to_multiple_of=8,
        label_pad_token_id=-100,
        attn_implementation=loaded["model"].config._attn_implementation,
        compute_dtype=model_args.compute_dtype,
        **tokenizers,
    )
    return CustomSeq2SeqTrainer(
        model=loaded["model"],
        args=training_args,
        finetuning_args=finetuning_args,
        data_collator=collator,
        **loaded["data"],
        **tokenizers,
    )


if __name__ == "__main__":
    folder, conversations = Path(sys.argv[1]), int(sys.argv[2])
    print(json.dumps(measure_step(lambda: load(folder, conversations), make, conversations)))
