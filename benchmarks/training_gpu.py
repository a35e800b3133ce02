"""Steps and replies at ChatGLM-6B's size on one GPU: tokens per second, MFU, peak memory, the paper's run in hours."""

import gc
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from training_flops import PAPER_BATCH, PAPER_GPU_HOURS, PAPER_STEPS, arithmetic_6b, peak_flops, train_flops
from transformers import PreTrainedModel

from soulchat_trainer.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration, ChatGLMTokenizer
from soulchat_trainer.chatglm.modeling_chatglm import ChatGLMBlock
from soulchat_trainer.encoding.collator import LengthBatchSampler, PaddingCollator, SampleDataset
from soulchat_trainer.encoding.paper_form import ChatGLMEncoder
from soulchat_trainer.encoding.spans import encode_dataset
from soulchat_trainer.training.arguments import SAYS_ACTIVATION_CHECKPOINTING, RunArguments
from soulchat_trainer.training.models import add_lora

MICRO_BATCH = 16  # 5 of them are the paper's 80
WARM_UP_STEPS = 3
TRIAL_STEPS = 3  # of each way to compute a block, before the fastest is measured
SHORT_STEPS = 10  # of what stands beside the headline
LEARNING_RATE = 1e-5
LORA = RunArguments("random weights", lora_rank=16, lora_alpha=32)  # recipe lora


@dataclass(frozen=True)
class Kernels:
    """What computes a block: PyTorch's kernels one by one or fused ones; memory-efficient attention or cuDNN's."""

    compiled: bool
    cudnn: bool

    @property
    def attention(self) -> SDPBackend:
        return SDPBackend.CUDNN_ATTENTION if self.cudnn else SDPBackend.EFFICIENT_ATTENTION

    def __str__(self) -> str:
        return f"{'compiled' if self.compiled else 'eager'}, {'cuDNN' if self.cudnn else 'memory-efficient'} attention"


KERNELS = [Kernels(compiled, cudnn) for compiled in (False, True) for cudnn in (False, True)]


@dataclass(frozen=True)
class Setting:
    """What a measured step trains, and how."""

    kernels: Kernels
    checkpointing: bool = False  # of activations
    masters: bool = False  # AdamW on float32 copies of the weights, with float32 moments
    lora: RunArguments | None = None


class MasterWeights:
    """AdamW on float32 copies of bfloat16 weights, one at a time, so that no second set of gradients exists."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float):
        self.pairs = [(parameter, nn.Parameter(parameter.detach().float())) for parameter in parameters]
        self.optimizers = [torch.optim.AdamW([master], lr=lr, fused=True) for _, master in self.pairs]

    @torch.no_grad()
    def step(self) -> None:
        for (parameter, master), optimizer in zip(self.pairs, self.optimizers, strict=True):
            master.grad = parameter.grad.float()
            optimizer.step()
            master.grad = None
            parameter.copy_(master)

    def zero_grad(self) -> None:
        for parameter, _ in self.pairs:
            parameter.grad = None


def measure_gpu(
    corpus: Dataset,
    tokenizer: ChatGLMTokenizer,
    steps: int,
    device: str,
    config: ChatGLMConfig,
    checkpointing: bool = False,
    prompt_tokens: int = 1536,
    new_tokens: int = 512,
) -> dict[str, Any]:
    """Random weights of a size: generation in float16, training of all weights and of LoRA's in bfloat16.

    Args:
        corpus: conversations.
        steps: measured ones; a few more warm up.
        checkpointing: compute activations again in the backward pass; for cards of less than 120 GB.
        prompt_tokens, new_tokens: of the reply whose peak memory is measured.
    """
    samples = SampleDataset(encode_dataset(corpus, ChatGLMEncoder(tokenizer, 1536, 512)))
    results: dict[str, Any] = {
        "inference_float16_peak_gb": measure_inference_memory(config, device, prompt_tokens, new_tokens),
    }
    tried = try_kernels(config, samples, device, checkpointing)
    results["seconds_a_step_of_kernels_tried"] = {str(kernels): seconds for kernels, seconds in tried.items()}
    print(json.dumps(results), flush=True)
    kernels = min(tried, key=lambda kernels: tried[kernels])
    results["kernels"] = str(kernels)
    for name, number, setting in (
        ("full parameters, bfloat16", steps, Setting(kernels, checkpointing)),
        ("full parameters, float32 masters", min(steps, SHORT_STEPS), Setting(kernels, True, masters=True)),
        ("LoRA rank 16, bfloat16", min(steps, SHORT_STEPS), Setting(kernels, checkpointing, lora=LORA)),
    ):
        results[name] = measure_steps(config, samples, device, number, setting)
        print(name, json.dumps(results[name]), flush=True)
    labelled = float(np.mean([(samples[i]["labels"] != -100).sum() for i in range(0, len(samples), 97)]))
    return results | {"arithmetic": arithmetic_6b(samples, labelled)}


def try_kernels(
    config: ChatGLMConfig, samples: SampleDataset, device: str, checkpointing: bool
) -> dict[Kernels, float]:
    """Seconds a step of each way to compute a block, over the same few steps; what cannot be had is told, left out."""
    seconds = {}
    for kernels in KERNELS:
        try:
            row = measure_steps(config, samples, device, TRIAL_STEPS, Setting(kernels, checkpointing))
        except RuntimeError as error:  # this card or this PyTorch does not have it
            print(f"{kernels}: {str(error)[:500]}", flush=True)
        else:
            seconds[kernels] = row["seconds_a_step"]
    return seconds


def compile_blocks(model: PreTrainedModel) -> None:
    """Let fused kernels compute the blocks, for batches of any shape."""
    torch._dynamo.reset()  # what it knows of the model before
    for module in model.modules():
        if isinstance(module, ChatGLMBlock):
            module.compile(dynamic=True)


def make_random_model(config: ChatGLMConfig, device: str, dtype: torch.dtype) -> ChatGLMForConditionalGeneration:
    """Random weights, made on the device in float32; from here on its peak memory is counted anew."""
    gc.collect()  # a compiled model is part of cycles
    if device == "cuda":
        torch.cuda.empty_cache()
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
    config: ChatGLMConfig, samples: SampleDataset, device: str, steps: int, setting: Setting
) -> dict[str, Any]:
    """Steps of 80 real samples with AdamW on bfloat16 weights; batches are made ahead, as a loader's workers do.

    LoRA's own matrices are float32 and trained under autocast, as PEFT and the trainer have it.

    MFU = `train_flops` of the real tokens, without recomputation, over seconds and the card's dense bfloat16 peak.
    At ChatGLM-6B's 6.2 billion parameters: 12.4 GB of weights, as much of gradients, 24.8 GB of bfloat16 moments;
    with masters 24.8 GB of weights and 49.6 GB of moments more instead.
    """
    model = make_random_model(config, device, torch.bfloat16).train()
    if setting.kernels.compiled:
        compile_blocks(model)
    if setting.checkpointing:
        checkpoint_activations(model)
    if setting.lora is not None:
        model = add_lora(model, setting.lora)
        model.enable_input_require_grads()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer: Any = torch.optim.AdamW(trained, lr=LEARNING_RATE, fused=True)
    if setting.masters:
        optimizer = MasterWeights(trained, LEARNING_RATE)
    lengths, labelled, padded, seconds = [], 0, 0, []
    for step, micro_batches in enumerate(islice(make_steps(samples), WARM_UP_STEPS + steps)):
        labels = sum(int((batch["labels"] != -100).sum()) for batch in micro_batches)
        _synchronise(device)
        start = time.perf_counter()
        with sdpa_kernel([setting.kernels.attention, SDPBackend.MATH]):
            for batch in micro_batches:
                on_device = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
                with torch.autocast(device, torch.bfloat16, enabled=setting.lora is not None):
                    loss = model(**on_device, num_items_in_batch=labels).loss
                loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        _synchronise(device)
        if step >= WARM_UP_STEPS:
            seconds.append(time.perf_counter() - start)
            lengths += [batch["attention_mask"].sum(1).double() for batch in micro_batches]
            padded += sum(batch["input_ids"].numel() for batch in micro_batches)
            labelled += labels
    real = torch.cat(lengths)
    tokens, attended = float(real.sum()), float((real**2).sum())
    flops = train_flops(config, tokens, attended, labelled, weights_train=setting.lora is None)
    return {
        "trained_parameters": sum(p.numel() for p in trained),
        "steps": steps,
        "activation_checkpointing": setting.checkpointing,
        "tokens_a_step": tokens / steps,
        "real_share_of_padded_tokens": tokens / padded,
        "tokens_per_second": tokens / sum(seconds),
        "flop_per_second": flops / sum(seconds),
        "mfu": share_of_peak(flops / sum(seconds), peak_flops(device)),
        "peak_memory_gb": peak_memory_gb(device),
        **extrapolate(sum(seconds) / steps),
    }


def make_steps(samples: SampleDataset) -> Iterator[list[dict[str, torch.Tensor]]]:
    """The micro-batches of one step after the other, as the trainer makes them: by length, in random order, epochs on.

    Without the one of an epoch that is not full, so that every step has 80 samples.
    """
    collate = PaddingCollator(pad_token_id=3, pad_to_multiple_of=8)
    sampler = LengthBatchSampler(samples.lengths, MICRO_BATCH)
    full = (batch for _ in count() for batch in _next_epoch(sampler) if len(batch) == MICRO_BATCH)
    while True:
        yield [collate([samples[i] for i in batch]) for batch in islice(full, PAPER_BATCH // MICRO_BATCH)]


def _next_epoch(sampler: LengthBatchSampler) -> Iterator[list[int]]:
    sampler.set_epoch(sampler.epoch + 1)
    return iter(sampler)


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
