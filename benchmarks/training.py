"""Training measured: against the published recipe, against random order, on a GPU, and the cost of preparing data.

    python benchmarks/training.py cpu [--tokenizer FOLDER_WITH_ice_text.model]     # about 10 minutes, 18 GB of memory
    python benchmarks/training.py gpu [--dataset smile_50k.parquet]               # ChatGLM-6B's size, needs a GPU
    python benchmarks/training.py peers [--samples 24]     # the same step with TRL; on a GPU where there is one
    python benchmarks/training.py small --dataset smile_50k.parquet [--minutes 15] # recipe small, needs a GPU

Results go to benchmarks/results/: training-cpu.json, training-gpu.json, training-peers.json, training-small.json (with
its .png). Samples are SMILECHAT's turns as they are; no text is made up. On the CPU one thread computes, since threads
that wait for each other would count as work. `small` goes on where it was when it is called again; its further flags
are those of train.py. The results of the GPU were measured with PYTORCH_ALLOC_CONF=expandable_segments:True, which
keeps batches of many shapes from scattering its memory.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from datasets import Dataset, disable_caching
from measuring import circumstances, forget_peak, memory_mb, write_results
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from training_flops import PUBLISHED_LENGTH, arithmetic_6b
from training_gpu import measure_gpu
from training_peers import measure_peers
from training_small import prove_small
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from transformers.utils import logging

from soulchat_trainer.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration, ChatGLMTokenizer
from soulchat_trainer.chatglm.tokenization_chatglm import train_tokenizer
from soulchat_trainer.data import load_corpus
from soulchat_trainer.encoding.chat_template import ChatTemplateEncoder
from soulchat_trainer.encoding.collator import LengthBatchSampler, PaddingCollator, SampleDataset
from soulchat_trainer.encoding.paper_form import ChatGLMEncoder
from soulchat_trainer.encoding.spans import encode_dataset
from soulchat_trainer.training.models import new_config
from soulchatcorpus.schema import Conversation
from soulchatcorpus.turns import find_targets, split_turns


@dataclass
class Variant:
    """One way of making batches and losses, measured in a process of its own."""

    name: str
    by_length: bool
    pad_to: int  # a batch is padded to a multiple of this
    all_logits: bool


VARIANTS = (
    Variant("published", by_length=False, pad_to=PUBLISHED_LENGTH, all_logits=True),
    Variant("dynamic padding, random order", by_length=False, pad_to=1, all_logits=True),
    Variant("ours", by_length=True, pad_to=1, all_logits=False),
)


def published_loss(model: ChatGLMForConditionalGeneration, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Summed loss as the published code computes it: logits of all positions, shifted copies, float32."""
    hidden = model.transformer(batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False)
    logits = model.lm_head(hidden.last_hidden_state).float()
    shifted = logits[..., :-1, :].contiguous().view(-1, logits.shape[-1])
    return F.cross_entropy(shifted, batch["labels"][..., 1:].reshape(-1), ignore_index=-100, reduction="sum")


def make_batches(samples: SampleDataset, chosen: list[int], size: int, variant: Variant) -> Iterator[dict]:
    """Batches of the chosen samples; every variant gets the same samples."""
    collate = PaddingCollator(pad_token_id=3, pad_to_multiple_of=variant.pad_to)
    order = [chosen[i : i + size] for i in range(0, len(chosen), size)]
    if variant.by_length:
        sampler = LengthBatchSampler(samples.lengths[chosen], size)
        order = [[chosen[i] for i in batch] for batch in sampler]
    for batch in order:
        yield collate([samples[index] for index in batch])


def measure_variant(variant: Variant, folder: str, chosen: list[int], size: int, config: dict, queue: Any) -> None:
    """Forward and backward over all batches; CPU seconds of these alone, loss, peak memory of this process."""
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    samples = SampleDataset(Dataset.load_from_disk(folder))
    torch.manual_seed(0)
    model = ChatGLMForConditionalGeneration(ChatGLMConfig(**config)).train()
    forget_peak()
    held = memory_mb("VmRSS")
    total, labels, padded, real, seconds = 0.0, 0, 0, 0, 0.0
    for batch in make_batches(samples, chosen, size, variant):
        start = time.process_time()
        if variant.all_logits:
            loss = published_loss(model, batch)
        else:
            loss = model(**batch, num_items_in_batch=1).loss
        loss.backward()
        seconds += time.process_time() - start
        total += loss.item()
        labels += int((batch["labels"][:, 1:] != -100).sum())
        padded += batch["input_ids"].numel()
        real += int(batch["attention_mask"].sum())
    peak = memory_mb()
    queue.put(
        {
            "cpu_seconds": seconds,
            "samples_per_cpu_second": len(chosen) / seconds,
            "loss": total / labels,
            "tokens_real": real,
            "tokens_with_padding": padded,
            "tokens_labelled": labels,
            "peak_memory_mb": peak,
            "peak_mb_above_model": peak - held,
        }
    )


def in_own_process(target: Callable, *args: Any) -> dict[str, Any]:
    """Run a measurement in a fresh process, so that peak memories do not add up."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=target, args=(*args, queue))
    process.start()
    while process.is_alive() and queue.empty():
        process.join(1)
    if queue.empty():
        raise RuntimeError(f"the measurement ended with code {process.exitcode} and no result")
    result = queue.get()
    process.join()
    return result


def full_vocabulary(tokenizer: ChatGLMTokenizer, **sizes: int) -> ChatGLMConfig:
    """ChatGLM-6B, or other `sizes`, with its own 130,528 logits whatever tokenizer the special ids come from."""
    return new_config(sizes | {"vocab_size": ChatGLMConfig().vocab_size}, tokenizer)


def measure_recipes(corpus: Dataset, tokenizer: ChatGLMTokenizer, folder: Path, num_samples: int, size: int) -> dict:
    """The three variants over the same real samples, and ratios against the published recipe."""
    encoded = encode_dataset(corpus, ChatGLMEncoder(tokenizer, 1536, 512))
    encoded.save_to_disk(folder)
    samples = SampleDataset(encoded)
    chosen = np.random.default_rng(0).choice(len(samples), num_samples, replace=False).tolist()
    sizes = {"hidden_size": 512, "inner_hidden_size": 2048, "num_layers": 4, "num_attention_heads": 8}
    config = full_vocabulary(tokenizer, **sizes)
    rows = {}
    for variant in VARIANTS:
        rows[variant.name] = in_own_process(measure_variant, variant, str(folder), chosen, size, config.to_diff_dict())
        print(variant.name, json.dumps(rows[variant.name]))
    ours = rows["ours"]
    for row in rows.values():
        row["speed_of_ours"] = ours["samples_per_cpu_second"] / row["samples_per_cpu_second"]
        row["memory_of_ours"] = ours["peak_mb_above_model"] / row["peak_mb_above_model"]
        row["loss_difference"] = abs(ours["loss"] - row["loss"])
    return {
        "model": sizes | {"vocab_size": config.vocab_size},
        "micro_batch": size,
        "samples": num_samples,
        "mean_tokens_of_the_corpus": float(samples.lengths.mean()),
        "variants": rows,
        "arithmetic_at_chatglm_6b": arithmetic_6b(samples, ours["tokens_labelled"] / num_samples),
    }


def measure_preparation(corpus: Dataset, tokenizer: ChatGLMTokenizer) -> dict[str, float]:
    """CPU seconds to tokenize 100,000 samples, and the ids stored, against every prompt whole."""
    encoder = ChatGLMEncoder(tokenizer, 1536, 512)
    start = time.process_time()
    encoded = SampleDataset(encode_dataset(corpus, encoder))
    ours = time.process_time() - start
    rows = encoded.conversations
    stored = sum(len(row["ids"]) + sum(len(spans) + 1 for spans in row["samples"]) for row in rows)

    start = time.process_time()
    whole_stored = samples = 0
    for row in corpus:
        turns = list(split_turns(Conversation(row["id"], row["messages"])))
        if not turns:
            continue
        prompts = tokenizer([turn.prompt for turn in turns])["input_ids"]
        targets = tokenizer([turn.completion for turn in turns], add_special_tokens=False)["input_ids"]
        whole_stored += sum(map(len, prompts)) + sum(map(len, targets)) + len(turns)
        samples += len(turns)
    whole = time.process_time() - start
    return {
        "samples": samples,
        "cpu_seconds_per_100k_whole_prompts": whole / samples * 1e5,
        "cpu_seconds_per_100k_ours": ours / samples * 1e5,
        "times_less_cpu": whole / ours,
        "ids_whole_prompts": whole_stored,
        "ids_and_spans_ours": stored,
        "times_less_storage": whole_stored / stored,
    }


def measure_every_turn(corpus: Dataset, tokenizer: Any) -> dict[str, float]:
    """One pass over a conversation against a sample for each turn, on a small Qwen 2."""
    torch.set_num_threads(1)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=256,
            intermediate_size=1024,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=4,
        )
    )
    collate = PaddingCollator(tokenizer.pad_token_id)
    rates, sums = {}, {}
    for loss_on in ("last_turn", "every_turn"):
        samples = SampleDataset(encode_dataset(corpus, ChatTemplateEncoder(tokenizer, 10**6, 10**6, loss_on)))
        turns, total, start = sum(len(find_targets(m)) for m in corpus["messages"]), 0.0, time.process_time()
        for batch in LengthBatchSampler(samples.lengths, 1, max_tokens=4096):
            model.zero_grad()
            loss = model(**collate([samples[i] for i in batch]), num_items_in_batch=1).loss
            loss.backward()
            total += loss.item()
        rates[loss_on], sums[loss_on] = turns / (time.process_time() - start), total
    return {
        "conversations": len(corpus),
        "turns_a_conversation": turns / len(corpus),
        "turns_per_cpu_second_last_turn": rates["last_turn"],
        "turns_per_cpu_second_every_turn": rates["every_turn"],
        "times_faster": rates["every_turn"] / rates["last_turn"],
        "relative_loss_difference": abs(sums["every_turn"] / sums["last_turn"] - 1),
    }


def chat_tokenizer(corpus: Dataset) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with a ChatML template (Qwen 2.5's form), trained on the corpus."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(vocab_size=8000, special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator((m["content"] for messages in corpus["messages"] for m in messages), trainer)
    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=specials[0], eos_token=specials[2], chat_template=template
    )


def measure_cpu(corpus: Dataset, tokenizer: ChatGLMTokenizer, num_samples: int) -> dict[str, Any]:
    """All that needs no GPU."""
    disable_caching()  # else a second run would find its tokens made
    results: dict[str, Any] = {"preparation": measure_preparation(corpus, tokenizer)}
    print(json.dumps(results["preparation"]))
    results["every_turn"] = measure_every_turn(corpus.select(range(60)), chat_tokenizer(corpus))
    print(json.dumps(results["every_turn"]))
    with tempfile.TemporaryDirectory() as folder:
        results["recipes"] = measure_recipes(corpus, tokenizer, Path(folder) / "encoded", num_samples, size=4)
    return results


def main() -> None:
    """Measure what was asked for and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["cpu", "gpu", "peers", "small"])
    parser.add_argument("--dataset", default="soulchatcorpus", help="conversations: a name or a file")
    parser.add_argument("--tokenizer", help="folder with ChatGLM-6B's ice_text.model; else a small one is trained")
    parser.add_argument("--samples", type=int, default=12, help="samples of the comparison with the published recipe")
    parser.add_argument("--steps", type=int, default=100, help="steps on the GPU")
    parser.add_argument("--checkpoint", action="store_true", help="compute activations again, for GPUs below 120 GB")
    parser.add_argument("--minutes", type=float, default=15, help="how long `small` may train in this call")
    options, flags = parser.parse_known_args()
    if flags and options.what != "small":
        parser.error(f"unknown arguments {' '.join(flags)}; only `small` hands flags to train.py")
    if options.what in ("gpu", "small") and not torch.cuda.is_available() and "--use_cpu" not in flags:
        raise SystemExit("no GPU here: this measures on a CUDA device only; `cpu` measures what a CPU can")
    if options.what == "small":
        prove_small(options.dataset, options.minutes, flags)
        return
    corpus = load_corpus(options.dataset)["train"]
    if options.what == "peers":
        head = circumstances("torch", "transformers", "trl")
        measure_peers(corpus, chat_tokenizer(corpus), options.samples, head)
        return
    if options.tokenizer:
        tokenizer = ChatGLMTokenizer(str(Path(options.tokenizer) / "ice_text.model"))
    else:
        texts = (message["content"] for messages in corpus["messages"] for message in messages)
        tokenizer = train_tokenizer(texts, 16_000, tempfile.mkdtemp())
    head = circumstances("torch", "transformers", "datasets")
    settings = {"dataset": options.dataset, "tokenizer": "ChatGLM-6B's" if options.tokenizer else "16,000 pieces"}
    if options.what == "cpu":
        write_results("training-cpu", head | {**settings, **measure_cpu(corpus, tokenizer, options.samples)})
    else:
        config = full_vocabulary(tokenizer)
        measured = measure_gpu(corpus, tokenizer, options.steps, "cuda", config, options.checkpoint)
        write_results("training-gpu", head | {**settings, **measured})


if __name__ == "__main__":
    main()
