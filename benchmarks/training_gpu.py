"""Steps and replies at ChatGLM-6B's size on one GPU: tokens per second, MFU, peak memory, the paper's run in hours."""

import json
import time
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from training_flops import PAPER_BATCH, PAPER_GPU_HOURS, PAPER_STEPS, arithmetic_6b, peak_flops, train_flops
from transformers import PreTrainedModel

from soulchat_trainer.arguments import SAYS_ACTIVATION_CHECKPOINTING, RunArguments
from soulchat_trainer.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration, ChatGLMTokenizer
from soulchat_trainer.collator import LengthBatchSampler, PaddingCollator, SampleDataset
from soulchat_trainer.models import add_lora
from soulchat_trainer.tokenize import ChatGLMEncoder, encode_dataset

WARM_UP_STEPS = 3
LORA = RunArguments("random weights", lora_rank=16, lora_alpha=32)  # recipe lora


def measure_gpu(
    corpus: Dataset,
    tokenizer: ChatGLMTokenizer,
    steps: int,
    device: str,
    config: ChatGLMConfig,
    max_tokens: int = 16384,
    prompt_tokens: int = 1536,
    new_tokens: int = 512,
) -> dict[str, Any]:
    """Random weights of a size: generation in float16, training of all weights and of LoRA's in bfloat16.

    Args:
        corpus: conversations.
        steps: measured ones; a few more warm up.
        max_tokens: padded tokens of a micro-batch.
        prompt_tokens, new_tokens: of the reply whose peak memory is measured.
    """
    samples = SampleDataset(encode_dataset(corpus, ChatGLMEncoder(tokenizer, 1536, 512)))
    results: dict[str, Any] = {
        "parameters": 0,
        "inference_float16_peak_gb": measure_inference_memory(config, device, prompt_tokens, new_tokens),
    }
    for name, lora in (("full parameters, bfloat16", None), ("LoRA rank 16, bfloat16", LORA)):
        results[name] = measure_steps(config, samples, device, steps, max_tokens, lora)
        print(name, json.dumps(results[name]))
    results["parameters"] = results["full parameters, bfloat16"]["trained_parameters"]
    labelled = float(np.mean([(samples[i]["labels"] != -100).sum() for i in range(0, len(samples), 97)]))
    return results | {"arithmetic": arithmetic_6b(samples, labelled)}


def make_random_model(config: ChatGLMConfig, device: str, dtype: torch.dtype) -> ChatGLMForConditionalGeneration:
    """Random weights, made on the device in float32; from here on its peak memory is counted anew."""
    torch.manual_seed(0)
    with torch.device(device):
        model = ChatGLMForConditionalGeneration(config).to(dtype)
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return model


def checkpoint_activations(model: PreTrainedModel) -> None:
    """Compute the blocks again in the backward pass."""
    if SAYS_ACTIVATION_CHECKPOINTING:
        model.activation_checkpointing_enable()
    else:
        model.gradient_checkpointing_enable()


def measure_steps(
    config: ChatGLMConfig,
    samples: SampleDataset,
    device: str,
    steps: int,
    max_tokens: int,
    lora: RunArguments | None = None,
) -> dict[str, Any]:
    """Steps of 80 real samples with AdamW, weights and moments in bfloat16.

    MFU = `train_flops` of the real tokens, without recomputation, over seconds and the card's dense bfloat16 peak.
    At ChatGLM-6B's 6.2 billion parameters: 12.4 GB of weights, as much of gradients, 24.8 GB of moments.
    """
    model = make_random_model(config, device, torch.bfloat16).train()
    checkpoint_activations(model)
    if lora is not None:
        model = add_lora(model, lora)
        model.enable_input_require_grads()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, fused=True)
    order = np.random.default_rng(0).permutation(len(samples))
    lengths, labelled, seconds = [], 0, []
    for step in range(WARM_UP_STEPS + steps):
        chosen = order[np.arange(step * PAPER_BATCH, (step + 1) * PAPER_BATCH) % len(order)]
        micro_batches = make_micro_batches(samples, chosen, max_tokens)
        count = sum(int((batch["labels"] != -100).sum()) for batch in micro_batches)
        _synchronise(device)
        start = time.perf_counter()
        for batch in micro_batches:
            on_device = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
            model(**on_device, num_items_in_batch=count).loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        _synchronise(device)
        if step >= WARM_UP_STEPS:
            seconds.append(time.perf_counter() - start)
            lengths.append(samples.lengths[chosen].astype(float))
            labelled += count
    tokens, attended = sum(n.sum() for n in lengths), sum((n**2).sum() for n in lengths)
    flops = train_flops(config, tokens, attended, labelled, weights_train=lora is None)
    return {
        "trained_parameters": sum(p.numel() for p in trained),
        "steps": steps,
        "tokens_per_second": tokens / sum(seconds),
        "flop_per_second": flops / sum(seconds),
        "mfu": share_of_peak(flops / sum(seconds), peak_flops(device)),
        "peak_memory_gb": peak_memory_gb(device),
        **extrapolate(sum(seconds) / steps),
    }


def make_micro_batches(samples: SampleDataset, chosen: np.ndarray, max_tokens: int) -> list[dict[str, torch.Tensor]]:
    """The batches of a step, by length, each of at most `max_tokens` padded tokens."""
    collate = PaddingCollator(pad_token_id=3, pad_to_multiple_of=8)
    sampler = LengthBatchSampler(samples.lengths[chosen], len(chosen), max_tokens=max_tokens)
    return [collate([samples[int(chosen[i])] for i in batch]) for batch in sampler]


def share_of_peak(flop_per_second: float, peak: float | None) -> float | None:
    """MFU; None where the card's peak is not known."""
    return None if peak is None else flop_per_second / peak


def extrapolate(seconds_a_step: float) -> dict[str, Any]:
    """The paper's whole run at this speed, with the arithmetic."""
    hours = seconds_a_step * PAPER_STEPS / 3600
    return {
        "seconds_a_step": seconds_a_step,
        "hours_of_the_papers_run": hours,
        "gpu_hours_of_the_paper": PAPER_GPU_HOURS,
        "arithmetic": f"{seconds_a_step:.3f} s x {PAPER_STEPS:,} steps of {PAPER_BATCH} / 3,600 = {hours:.1f} hours",
    }


def measure_inference_memory(config: ChatGLMConfig, device: str, prompt_tokens: int, new_tokens: int) -> float | None:
    """Peak GB of float16 generation at the paper's lengths (the paper: at least 14 GB)."""
    model = make_random_model(config, device, torch.float16).eval()
    ids = torch.full((1, prompt_tokens), 100, device=device)
    ids[0, -2:] = torch.tensor([config.gmask_token_id, config.bos_token_id], device=device)
    model.generate(ids, max_new_tokens=new_tokens - 1, min_new_tokens=new_tokens - 1, do_sample=False)
    return peak_memory_gb(device)


def peak_memory_gb(device: str) -> float | None:
    """Most memory that tensors took on the GPU since its peak was forgotten; None on a CPU."""
    return torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else None


def _synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
