"""One training step over the same conversations with this trainer and with others, for `benchmarks/training.py peers`.

A model of Qwen 2's shape with a vocabulary of 152,000 tokens, loss on the counsellor's turns only, one optimizer step
over all conversations in float32; on a CPU by one thread. Each trainer runs in a process of its own, from the same
weights. The losses tell whether it was the same work.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, DatasetDict
from measuring import write_results
from peers import environment, run
from training_step import measure_step, model_and_rows, step_arguments
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from soulchat_trainer.encoding.chat_template import ChatTemplateEncoder
from soulchat_trainer.encoding.collator import SampleDataset
from soulchat_trainer.encoding.spans import encode_dataset

VOCABULARY = 152_000
MAX_SOURCE, MAX_TARGET = 3072, 1024  # TRL's 4,096 together; no reply is cut, so that all learn the same tokens
SHAPE = {
    "hidden_size": 384,
    "intermediate_size": 1024,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}
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
    "llamafactory": {},
    "ms_swift": {},
    "trl": {},
    "trl, packing": {"packing": True},
    "trl, grouped by length": {"train_sampling_strategy": "group_by_length"},
}
# In environments of their own, on token ids that are ready; what they recommend for speed stands in their scripts.
ELSEWHERE = {"llamafactory": "train_llamafactory.py", "ms_swift": "train_ms_swift.py"}


def write_parts(folder: Path, corpus: Dataset, tokenizer: PreTrainedTokenizerFast, conversations: int) -> None:
    """Weights, tokenizer and conversations that every trainer starts from."""
    torch.manual_seed(0)
    tokenizer.chat_template = TEMPLATE
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = Qwen2Config(vocab_size=VOCABULARY, max_position_embeddings=4096, **ids, **SHAPE)
    Qwen2ForCausalLM(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    rows = corpus.select(range(conversations)).select_columns(["id", "messages"])
    rows.save_to_disk(folder / "rows")
    samples = SampleDataset(encode_dataset(rows, ChatTemplateEncoder(tokenizer, MAX_SOURCE, MAX_TARGET, "every_turn")))
    tokens = [
        {name: samples[number][name].tolist() for name in ("input_ids", "labels")} for number in range(len(samples))
    ]
    DatasetDict(train=Dataset.from_list(tokens)).save_to_disk(folder / "tokens")


def run_one(name: str, folder: Path) -> dict[str, Any]:
    """One trainer, in this process."""
    rows = Dataset.load_from_disk(folder / "rows")
    path, _ = model_and_rows(folder)

    def load() -> tuple[Any, Any]:
        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
        return model, AutoTokenizer.from_pretrained(path)

    def make(loaded: tuple[Any, Any]) -> Any:
        common = step_arguments(len(rows))
        if name == "soulchat":
            return make_ours(folder, *loaded, rows, common)
        return make_trl(folder, *loaded, rows, common | TRAINERS[name])

    return measure_step(load, make, len(rows))


def make_ours(folder: Path, model: Any, tokenizer: Any, rows: Dataset, common: dict[str, Any]) -> Any:
    """This trainer: one pass over a conversation, batches by length, the head on labelled positions."""
    from soulchat_trainer.training.arguments import SoulChatTrainingArguments
    from soulchat_trainer.training.trainer import SoulChatTrainer

    limits = {"max_source_length": MAX_SOURCE, "max_target_length": MAX_TARGET, "loss_on": "every_turn"}
    limits |= {"global_batch_size": None}
    args = SoulChatTrainingArguments(str(folder / "ours"), **common, **limits)
    return SoulChatTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)


def make_trl(folder: Path, model: Any, tokenizer: Any, rows: Dataset, common: dict[str, Any]) -> Any:
    """TRL's SFTTrainer with loss on the counsellor's turns."""
    from trl import SFTConfig, SFTTrainer

    args = SFTConfig(
        str(folder / "trl"),
        **common,
        assistant_only_loss=True,
        max_length=MAX_SOURCE + MAX_TARGET,
        bf16=False,
        gradient_checkpointing=False,
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
            results[name] = run_apart(name, folder, conversations)
            if "failed" not in results[name]:
                compare(results[name], results["soulchat"])
            write_results("training-peers", results)


def run_apart(name: str, folder: Path, conversations: int) -> dict[str, Any]:
    """A trainer's measurement from a process of its own; where it cannot be run, the last line of why."""
    try:
        if name in ELSEWHERE:
            script = Path(__file__).with_name(ELSEWHERE[name])
            return run(environment(name), script, folder, conversations)
        return run(sys.executable, Path(__file__), name, folder)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"exit code {error.returncode}"]
        return {"failed": lines[-1]}


def compare(other: dict[str, Any], ours: dict[str, Any]) -> None:
    """What this trainer has of the other's time and memory, and how far their losses are apart."""
    other["ours_times_faster"] = other["cpu_seconds"] / ours["cpu_seconds"]
    other["ours_share_of_memory"] = ours["peak_mb_above_model"] / other["peak_mb_above_model"]
    other["loss_difference"] = other["loss"] - ours["loss"]


if __name__ == "__main__":
    print(json.dumps(run_one(sys.argv[1], Path(sys.argv[2]))))
