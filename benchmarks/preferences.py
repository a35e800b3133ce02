"""Two DPO steps over the same pairs with this trainer and with TRL's:  python benchmarks/preferences.py

A model of Qwen 2's shape with a vocabulary of 152,000 tokens, all of its weights trained in float32, on a CPU by one
thread. Prompts are talks of the embedded sample up to a turn, chosen replies are those of the corpus, rejected ones
those of other talks. Each trainer runs in a process of its own, from the same weights; a step has all pairs, and the
loss of the second step tells whether it was the same work. TRL's trainer runs as it is by default, with the reference
model beside the trained one, and with the reference's log-probabilities computed before, as ours does always.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, load_dataset
from measuring import circumstances, forget_peak, memory_mb, write_results
from training import chat_tokenizer
from training_peers import SHAPE, VOCABULARY
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from soulchatcorpus.reading.pairs import PAIR_FEATURES

BATCH = 2  # pairs of a micro-batch
STEPS = 2
# Without a newline behind the last message, which TRL would learn with the reply and we do not.
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' }}"
    "{% if add_generation_prompt or not loop.last %}{{ '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TRAINERS: dict[str, dict[str, Any]] = {
    "soulchat": {},
    "trl": {},
    "trl, reference computed before": {"precompute_ref_log_probs": True},
}


def make_pairs(corpus: Dataset, number: int) -> Dataset:
    """The last turn of each talk, and the reply of the talk before it as the rejected one."""
    talks = [messages for messages in corpus["messages"] if messages[-1]["role"] == "assistant"][:number]
    rows = [
        {"prompt": talk[:-1], "chosen": talk[-1]["content"], "rejected": talks[place - 1][-1]["content"]}
        for place, talk in enumerate(talks)
    ]
    return Dataset.from_list(rows, features=PAIR_FEATURES)


def write_parts(folder: Path, pairs: Dataset, tokenizer: PreTrainedTokenizerFast) -> None:
    """Weights, tokenizer and pairs that every trainer starts from."""
    torch.manual_seed(0)
    tokenizer.chat_template = TEMPLATE
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = Qwen2Config(vocab_size=VOCABULARY, max_position_embeddings=4096, **ids, **SHAPE)
    Qwen2ForCausalLM(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    pairs.save_to_disk(folder / "pairs")


def run_one(name: str, folder: Path) -> dict[str, Any]:
    """One trainer, in this process."""
    torch.set_num_threads(1)
    pairs = Dataset.load_from_disk(folder / "pairs")
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    common: dict[str, Any] = {
        "per_device_train_batch_size": BATCH,
        "gradient_accumulation_steps": len(pairs) // BATCH,
        "max_steps": STEPS,
        "learning_rate": 1e-5,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "warmup_steps": 0,
        "lr_scheduler_type": "constant",  # the first step of our linear one has rate 0, as DeepSpeed's
    }
    forget_peak()
    held, start = memory_mb("VmRSS"), time.process_time()
    make = make_ours if name == "soulchat" else make_trl
    trainer = make(folder, model, tokenizer, pairs, common | TRAINERS[name])
    trainer.train()
    seconds = time.process_time() - start
    return {
        "cpu_seconds": seconds,
        "pairs_per_cpu_second": STEPS * len(pairs) / seconds,
        "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
        "peak_mb_above_model": memory_mb() - held,
        "peak_mb": memory_mb(),
    }


def make_ours(folder: Path, model: Any, tokenizer: Any, pairs: Dataset, common: dict[str, Any]) -> Any:
    """This trainer."""
    from soulchat_trainer.training.arguments import SoulChatTrainingArguments
    from soulchat_trainer.training.preference import PreferenceTrainer

    more = {"per_device_eval_batch_size": BATCH, "max_source_length": 3584, "global_batch_size": None}
    args = SoulChatTrainingArguments(str(folder / "ours"), objective="dpo", **common, **more)
    return PreferenceTrainer(model=model, args=args, train_dataset=pairs, processing_class=tokenizer)


def make_trl(folder: Path, model: Any, tokenizer: Any, pairs: Dataset, common: dict[str, Any]) -> Any:
    """TRL's DPOTrainer."""
    from trl import DPOConfig, DPOTrainer

    args = DPOConfig(str(folder / "trl"), **common, max_length=4096, bf16=False, gradient_checkpointing=False)
    rows = pairs.map(lambda row: {key: [{"role": "assistant", "content": row[key]}] for key in ("chosen", "rejected")})
    return DPOTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)


def compare(other: dict[str, Any], ours: dict[str, Any]) -> None:
    """What this trainer has of the other's time and memory, and how far their losses are apart."""
    other["ours_times_faster"] = other["cpu_seconds"] / ours["cpu_seconds"]
    other["ours_share_of_memory"] = ours["peak_mb_above_model"] / other["peak_mb_above_model"]
    other["loss_difference"] = max(abs(a - b) for a, b in zip(other["losses"], ours["losses"], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run_one(options.one[0], Path(options.one[1]))))
        return
    corpus = load_dataset("soulchatcorpus", "conversations")["train"]
    pairs = make_pairs(corpus, options.pairs)
    results = circumstances("torch", "transformers", "trl") | {
        "pairs": len(pairs),
        "steps": STEPS,
        "shape": SHAPE | {"vocab_size": VOCABULARY},
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_parts(folder, pairs, chat_tokenizer(corpus))
        for name in TRAINERS:
            command = [sys.executable, __file__, "--one", name, str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            lines = (done.stderr if done.returncode else done.stdout).strip().splitlines()
            results[name] = {"failed": lines[-1]} if done.returncode else json.loads(lines[-1])
            if name != "soulchat" and "failed" not in results[name]:
                compare(results[name], results["soulchat"])
    write_results("preferences", results)


if __name__ == "__main__":
    main()
