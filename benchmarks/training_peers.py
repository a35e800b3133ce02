"""One training step over the same conversations with this trainer and with TRL's, for `benchmarks/training.py peers`.

A model of Qwen 2's shape with a vocabulary of 152,000 tokens, loss on the counsellor's turns only, one optimizer step
over all conversations in float32; on a CPU by one thread. Each trainer runs in a process of its own, from the same
weights. The losses tell whether it was the same work.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from measuring import forget_peak, memory_mb, write_results
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

VOCABULARY = 152_000
SHAPE = {
    "hidden_size": 384,
    "intermediate_size": 1024,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}
BATCH = 2  # conversations of a micro-batch
# The same text as ChatML; the marks tell TRL which of it is the counsellor's.
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}{% if m['role'] == 'assistant' %}"
    "{% generation %}{{ m['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}"
    "{% else %}{{ m['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# What TRL recommends for speed: length-grouped batches, packing. Its loss is computed in chunks by default.
TRAINERS: dict[str, dict[str, Any]] = {
    "soulchat": {},
    "trl": {},
    "trl, packing": {"packing": True},
    "trl, grouped by length": {"train_sampling_strategy": "group_by_length"},
}


def write_parts(folder: Path, corpus: Dataset, tokenizer: PreTrainedTokenizerFast, conversations: int) -> None:
    """Weights, tokenizer and conversations that every trainer starts from."""
    torch.manual_seed(0)
    tokenizer.chat_template = TEMPLATE
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = Qwen2Config(vocab_size=VOCABULARY, max_position_embeddings=4096, **ids, **SHAPE)
    Qwen2ForCausalLM(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    corpus.select(range(conversations)).select_columns(["id", "messages"]).save_to_disk(folder / "rows")


def run_one(name: str, folder: Path) -> dict[str, Any]:
    """One trainer, in this process."""
    cpu = not torch.cuda.is_available()
    if cpu:
        torch.set_num_threads(1)
    rows = Dataset.load_from_disk(folder / "rows")
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    common: dict[str, Any] = {
        "per_device_train_batch_size": BATCH,
        "gradient_accumulation_steps": -(-len(rows) // BATCH),
        "max_steps": 1,
        "learning_rate": 1e-5,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": cpu,
        "disable_tqdm": True,
    }
    forget_peak()
    held, start, clock = memory_mb("VmRSS"), time.process_time(), time.perf_counter()
    if name == "soulchat":
        trainer = make_ours(folder, model, tokenizer, rows, common)
    else:
        trainer = make_trl(folder, model, tokenizer, rows, common | TRAINERS[name])
    made = time.process_time() - start
    trainer.train()
    seconds, wall = time.process_time() - start, time.perf_counter() - clock
    log = next(entry for entry in trainer.state.log_history if "loss" in entry)
    return {
        "cpu_seconds": seconds,
        "cpu_seconds_of_preparation": made,
        "conversations_per_cpu_second": len(rows) / seconds,
        "wall_seconds": wall,
        "loss": log["loss"],
        "peak_mb_above_model": memory_mb() - held,
        **({} if cpu else {"peak_gpu_mb": torch.cuda.max_memory_allocated() / 2**20}),
    }


def make_ours(folder: Path, model: Any, tokenizer: Any, rows: Dataset, common: dict[str, Any]) -> Any:
    """This trainer: one pass over a conversation, batches by length, the head on labelled positions."""
    from soulchat_trainer.training.arguments import SoulChatTrainingArguments
    from soulchat_trainer.training.trainer import SoulChatTrainer

    limits = {"max_source_length": 3584, "max_target_length": 512, "loss_on": "every_turn", "global_batch_size": None}
    args = SoulChatTrainingArguments(str(folder / "ours"), **common, **limits, warmup_steps=0)
    return SoulChatTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)


def make_trl(folder: Path, model: Any, tokenizer: Any, rows: Dataset, common: dict[str, Any]) -> Any:
    """TRL's SFTTrainer with loss on the counsellor's turns."""
    from trl import SFTConfig, SFTTrainer

    args = SFTConfig(
        str(folder / "trl"),
        **common,
        assistant_only_loss=True,
        max_length=4096,
        bf16=False,
        gradient_checkpointing=False,
        warmup_steps=0,
    )
    rows = rows.select_columns(["messages"])
    return SFTTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)


def measure_peers(
    corpus: Dataset, tokenizer: PreTrainedTokenizerFast, conversations: int, head: dict[str, Any]
) -> None:
    """All trainers, one after the other; after each the results so far are written below `head`."""
    results = head | {"conversations": conversations, "shape": SHAPE | {"vocab_size": VOCABULARY}}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_parts(folder, corpus, tokenizer, conversations)
        for name in TRAINERS:
            command = [sys.executable, __file__, name, str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            lines = (done.stderr if done.returncode else done.stdout).strip().splitlines()
            results[name] = {"failed": lines[-1]} if done.returncode else json.loads(lines[-1])
            if "failed" not in results[name]:
                compare(results[name], results["soulchat"])
            write_results("training-peers", results)


def compare(other: dict[str, Any], ours: dict[str, Any]) -> None:
    """What this trainer has of the other's time and memory, and how far their losses are apart."""
    other["ours_times_faster"] = other["cpu_seconds"] / ours["cpu_seconds"]
    other["ours_share_of_memory"] = ours["peak_mb_above_model"] / other["peak_mb_above_model"]
    other["loss_difference"] = other["loss"] - ours["loss"]


if __name__ == "__main__":
    print(json.dumps(run_one(sys.argv[1], Path(sys.argv[2]))))
