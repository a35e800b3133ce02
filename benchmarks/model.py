"""What a training step of ChatGLM costs, beside one that does what the original code does.

    python benchmarks/model.py            # writes benchmarks/results/model.json

The baseline is built of our own parts, and does as the original (`THUDM/chatglm-6b`, modeling_chatglm.py): attention
scores are written out and kept for the backward pass, the head runs on all positions, and the logits are copied three
times (batch first, float32, shifted). Both models have the same weights, and their losses are compared.

Each measurement is a process of its own, and the median of three is given. Time is CPU seconds (user and system, all
threads) of a step. Memory is the peak of resident memory in three steps above what the loaded model holds, with an
allocator that gives freed memory back at once, so that it is what the tensors need.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys

import torch
import torch.nn.functional as F
from measuring import circumstances, forget_peak, memory_mb, write_results

from soulchat_trainer.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration

SIZES = {"hidden_size": 512, "inner_hidden_size": 2048, "num_layers": 4, "num_attention_heads": 8}
CONTEXT, TARGET, BATCH = 512, 128, 2
STEPS = 3


class OriginalManner(ChatGLMForConditionalGeneration):
    """The same model, with the loss computed as the original computes it."""

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden_states = self.transformer(input_ids=input_ids, use_cache=False).last_hidden_state
        sequence_first = hidden_states.transpose(0, 1).contiguous()
        logits = self.lm_head(sequence_first).permute(1, 0, 2).contiguous().to(torch.float32)
        shifted_logits = logits[..., :-1, :].contiguous()
        shifted_labels = labels[..., 1:].contiguous()
        loss = F.cross_entropy(shifted_logits.view(-1, shifted_logits.shape[-1]), shifted_labels.view(-1))
        return loss, logits


class Ours(ChatGLMForConditionalGeneration):
    """The model as it is."""

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor]:
        return (super().forward(input_ids=input_ids, labels=labels).loss,)


VARIANTS = {"original manner": (OriginalManner, "eager"), "ours": (Ours, "sdpa")}


def make_batch(config: ChatGLMConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Random rows [2, 640] of a context that ends in [gMASK], <sop> and a target; labels on the target alone."""
    input_ids = torch.randint(6, 130000, (BATCH, CONTEXT + TARGET), generator=torch.Generator().manual_seed(0))
    input_ids[:, CONTEXT - 1] = config.gmask_token_id
    input_ids[:, CONTEXT] = config.bos_token_id
    input_ids[:, -1] = config.eos_token_id
    labels = input_ids.clone()
    labels[:, :CONTEXT] = -100
    return input_ids, labels


def measure(variant: str) -> dict:
    """Loss, peak memory above the model and CPU seconds of training steps of one variant."""
    model_class, attention = VARIANTS[variant]
    torch.manual_seed(0)
    config = ChatGLMConfig(**SIZES)
    config._attn_implementation = attention
    model = model_class(config).train()
    input_ids, labels = make_batch(config)
    gc.collect()
    forget_peak()
    held = memory_mb("VmRSS")
    cpu_seconds = []
    for _ in range(STEPS):
        model.zero_grad()
        start = sum(os.times()[:2])
        loss = model(input_ids, labels)[0]
        loss.backward()
        cpu_seconds.append(sum(os.times()[:2]) - start)
    return {
        "loss": loss.item(),
        "peak_mb_above_model": memory_mb() - held,
        "cpu_seconds_per_step": statistics.median(cpu_seconds),
    }


def run(variant: str, environment: dict[str, str]) -> dict:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--variant", variant]
    finished = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | environment)
    return json.loads(finished.stdout)


def compare_steps(repeats: int) -> dict:
    """Memory and time of both variants, measured in turns, and ours as a share of the original manner."""
    names = ("peak_mb_above_model", "cpu_seconds_per_step")
    runs = {variant: {name: [] for name in names} for variant in VARIANTS}
    losses = {}
    for _ in range(repeats):
        for variant in VARIANTS:
            for name, environment in zip(names, ({"MALLOC_MMAP_THRESHOLD_": "1000000"}, {}), strict=True):
                measured = run(variant, environment)
                runs[variant][name].append(measured[name])
                losses[variant] = measured["loss"]
    medians = {
        variant: {"loss": losses[variant]} | {name: statistics.median(values) for name, values in by_name.items()}
        for variant, by_name in runs.items()
    }
    baseline, ours = medians.values()
    return medians | {"share": {name: ours[name] / baseline[name] for name in names}, "runs": runs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--variant", choices=VARIANTS, help="measure one variant in this process and print it")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.variant:
        print(json.dumps(measure(arguments.variant)))
        return
    results = circumstances("torch", "transformers") | {
        "sizes": SIZES
        | {"vocab_size": ChatGLMConfig().vocab_size, "batch": BATCH, "context": CONTEXT, "target": TARGET},
        "threads": torch.get_num_threads(),
        "training_step": compare_steps(arguments.repeats),
    }
    write_results("model", results)


if __name__ == "__main__":
    main()
