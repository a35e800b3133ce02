"""One training step, measured alike whichever trainer makes it; needs torch and transformers alone, so that it runs in
the environments of peers, too.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from measuring import forget_peak, memory_mb

BATCH = 2  # conversations of a micro-batch
Loaded = TypeVar("Loaded")


def step_arguments(conversations: int) -> dict[str, Any]:
    """What every trainer is told: one step over all conversations, nothing written."""
    return {
        "per_device_train_batch_size": BATCH,
        "gradient_accumulation_steps": -(-conversations // BATCH),
        "max_steps": 1,
        "learning_rate": 1e-5,
        "warmup_steps": 0,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": not torch.cuda.is_available(),
        "disable_tqdm": True,
    }


def measure_step(load: Callable[[], Loaded], make: Callable[[Loaded], Any], conversations: int) -> dict[str, Any]:
    """The step of the trainer that `make` makes of what `load` has loaded; what loading costs does not count."""
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    loaded = load()
    forget_peak()
    held, start, clock = memory_mb("VmRSS"), time.process_time(), time.perf_counter()
    trainer = make(loaded)
    made = time.process_time() - start
    trainer.train()
    seconds, wall = time.process_time() - start, time.perf_counter() - clock
    log = next(entry for entry in trainer.state.log_history if "loss" in entry)
    return {
        "cpu_seconds": seconds,
        "cpu_seconds_of_preparation": made,
        "conversations_per_cpu_second": conversations / seconds,
        "wall_seconds": wall,
        "loss": float(log["loss"]),
        "peak_mb_above_model": memory_mb() - held,
        **({"peak_gpu_mb": torch.cuda.max_memory_allocated() / 2**20} if torch.cuda.is_available() else {}),
    }


def model_and_rows(folder: Path) -> tuple[Path, Path]:
    """Where the weights with their tokenizer lie, and the token ids of the conversations with their labels."""
    return folder / "model", folder / "tokens"
