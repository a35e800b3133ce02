"""ms-swift's step in `benchmarks/training.py peers`; runs in its own environment (benchmarks/peers.py).

    python benchmarks/train_ms_swift.py FOLDER CONVERSATIONS

Its own model loading, collator and trainer, on token ids that are ready, with length-grouped batches. Its packing and
its batches without padding want flash attention; its Liger kernels want a GPU.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import load_from_disk
from swift.model import get_model_processor
from swift.template import get_template
from swift.trainers import Seq2SeqTrainer, Seq2SeqTrainingArguments
from training_step import measure_step, model_and_rows, step_arguments


def load(folder: Path) -> tuple[Any, Any, Any]:
    """Model, template and data."""
    path, tokens = model_and_rows(folder)
    model, tokenizer = get_model_processor(
        str(path), torch_dtype=torch.float32, model_type="qwen2", device_map="cpu", use_hf=True
    )
    template = get_template(tokenizer, template_type="chatml")
    template.set_mode("train")
    return model, template, load_from_disk(str(tokens))["train"]


def make(loaded: tuple[Any, Any, Any], folder: Path, conversations: int) -> Seq2SeqTrainer:
    """Its trainer."""
    model, template, rows = loaded
    args = Seq2SeqTrainingArguments(
        str(folder / "swift"),
        **step_arguments(conversations),
        gradient_checkpointing=False,
        train_sampling_strategy="group_by_length",
        check_model=False,
    )
    return Seq2SeqTrainer(model=model, args=args, template=template, train_dataset=rows)


if __name__ == "__main__":
    folder, conversations = Path(sys.argv[1]), int(sys.argv[2])
    print(
        json.dumps(
            measure_step(lambda: load(folder), lambda loaded: make(loaded, folder, conversations), conversations)
        )
    )
