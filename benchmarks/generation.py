"""Replies a second: our engine against one `generate` after the other, as the original's demo has it.

    python benchmarks/generation.py [--model outputs/demo] [--replies 64] [--batch-size 64]

Both answer the same turns of the embedded sample's test split, in one run and one process, with the paper's decoding,
on the CPU in float32. Without a folder the demo recipe's model is made with random weights; its replies then run to
--max-new-tokens, which is about the mean length of the references. Processor time counts, since other processes may
share the cores. Results go to benchmarks/results/generation.json.
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from datasets import load_dataset
from measuring import circumstances, memory_mb, write_results
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

import soulchatcorpus
from soulchat_trainer import recipes
from soulchat_trainer.chatglm import ChatGLMForConditionalGeneration
from soulchat_trainer.chatglm.tokenization_chatglm import train_tokenizer
from soulchat_trainer.data import list_turns
from soulchat_trainer.encoding.fit import fit_prompt, prompt_room
from soulchat_trainer.encoding.prompts import prompt_encoder
from soulchat_trainer.generation.engine import Decoding, ReplyEngine, iterate_replies
from soulchat_trainer.loading import load_model
from soulchat_trainer.training.models import new_config
from soulchatcorpus.turns import Turn


def untrained_demo_model() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The demo recipe's model with random weights, and its tokenizer."""
    recipe = yaml.safe_load((Path(recipes.__path__[0]) / "demo.yaml").read_text())
    rows = load_dataset(soulchatcorpus.__name__, "turns", split="train")
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = train_tokenizer(rows["completion"], recipe["tokenizer_vocab_size"], folder)
    set_seed(0)
    return ChatGLMForConditionalGeneration(new_config(recipe["model_config"], tokenizer)).eval(), tokenizer


@torch.inference_mode()
def one_at_a_time(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, turns: list[Turn], decoding: Decoding
) -> int:
    """transformers' generate for each prompt by itself; returns the number of tokens."""
    room = prompt_room(model.config.max_position_embeddings, decoding.max_new_tokens)
    tokens, encode = 0, prompt_encoder(tokenizer)
    for turn in turns:
        ids = fit_prompt(encode, turn.context, room, cut_last=True).ids
        input_ids = torch.tensor([ids])
        output = model.generate(
            input_ids,
            attention_mask=torch.ones_like(input_ids),
            do_sample=True,
            top_k=0,
            top_p=decoding.top_p,
            temperature=decoding.temperature,
            max_new_tokens=decoding.max_new_tokens,
            pad_token_id=tokenizer.pad_token_id,
        )
        tokenizer.decode(output[0, len(ids) :], skip_special_tokens=True)
        tokens += output.shape[1] - len(ids)
    return tokens


class Clock:
    """Adds up the processor time of a method."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, method: Callable) -> Callable:
        def timed(*args: Any) -> Any:
            start = time.process_time()
            result = method(*args)
            self.seconds += time.process_time() - start
            return result

        return timed


def batched(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, turns: list[Turn], decoding: Decoding, batch_size: int
) -> dict[str, float]:
    """The engine; its tokens, and the processor time of its parts."""
    prompts, decode, draw = Clock(), Clock(), Clock()
    original = ReplyEngine._join, ReplyEngine._advance, ReplyEngine._draw
    ReplyEngine._join = prompts.around(original[0])
    ReplyEngine._advance = decode.around(original[1])
    ReplyEngine._draw = draw.around(original[2])
    talks, keys = [turn.context for turn in turns], [turn.id for turn in turns]
    replies = [reply for _, reply in iterate_replies(model, tokenizer, talks, keys, decoding, batch_size)]
    ReplyEngine._join, ReplyEngine._advance, ReplyEngine._draw = original
    return {
        "tokens": sum(reply.num_tokens + reply.finished for reply in replies),
        "cpu_seconds_prompts": prompts.seconds,
        "cpu_seconds_next_tokens": decode.seconds,
        "cpu_seconds_of_both_in_drawing": draw.seconds,
    }


def measure(work: Callable[[], Any]) -> dict[str, Any]:
    """Wall and processor seconds of a call, and what it returns."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    times = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    return times | (result if isinstance(result, dict) else {"tokens": result})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a model's folder; by default the demo's with random weights")
    parser.add_argument("--replies", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--max-new-tokens", type=int, default=80)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    model, tokenizer = load_model(options.model, "cpu") if options.model else untrained_demo_model()
    rows = load_dataset(soulchatcorpus.__name__, "turns", split="test")
    turns = random.Random(0).sample(list_turns(rows), options.replies)
    decoding = Decoding(max_new_tokens=options.max_new_tokens)
    one_at_a_time(model, tokenizer, turns[:2], decoding)  # first calls are slower
    results = circumstances("torch", "transformers") | {
        "model": Path(options.model).name if options.model else "demo recipe, random weights",
        "parameters": model.num_parameters(),
        "replies": options.replies,
        "max_new_tokens": options.max_new_tokens,
        "threads": options.threads,
        "one_at_a_time": measure(lambda: one_at_a_time(model, tokenizer, turns, decoding)),
    }
    for size in sorted({1, 8, 32, options.batch_size}):
        results[f"batch_{size}"] = measure(lambda size=size: batched(model, tokenizer, turns, decoding, size))
    base = results["one_at_a_time"]
    for name, row in results.items():
        if isinstance(row, dict) and "cpu_seconds" in row:
            row["replies_per_second"] = options.replies / row["seconds"]
            row["replies_per_cpu_second"] = options.replies / row["cpu_seconds"]
            row["times_one_at_a_time"] = row["replies_per_cpu_second"] * base["cpu_seconds"] / options.replies
            print(
                f"{name:<16}{row['replies_per_second']:8.2f} replies/s{row['replies_per_cpu_second']:8.2f} "
                f"replies/CPU s{row['times_one_at_a_time']:7.2f}x{row['tokens']:8} tokens"
            )
    results["peak_memory_mb"] = memory_mb()
    write_results("generation", results)


if __name__ == "__main__":
    main()
