"""Floating-point operations of training, the peaks of cards, and the paper's run in these terms."""

import torch

from soulchat_trainer.chatglm import ChatGLMConfig
from soulchat_trainer.encoding.collator import SampleDataset

PUBLISHED_LENGTH = 2048  # the published script pads every sample to max_source_length + max_target_length
PAPER_STEPS, PAPER_BATCH = 30_000, 80  # section 3.2
PAPER_GPU_HOURS = 79 * 8
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "A800": 312e12}  # dense bfloat16, NVIDIA's data sheets


def train_flops(
    config: ChatGLMConfig, tokens: float, attended: float, labelled: float, weights_train: bool = True
) -> float:
    """Floating-point operations of forward and backward, without recomputation.

    A weight costs 2 a token in the forward pass, 2 for the gradient of its input, and 2 for its own gradient where
    `weights_train` (with LoRA it does not; LoRA's own are left out). In each layer a pair of a token and a token it is
    computed against costs 12 h: scores and sums, forward and both gradients. The head runs on labelled positions.
    """
    hidden, layers = config.hidden_size, config.num_layers
    blocks = layers * (4 * hidden * hidden + 2 * hidden * config.inner_hidden_size)
    per_weight = 6 if weights_train else 4
    head = hidden * config.vocab_size
    return per_weight * (blocks * tokens + head * labelled) + 12 * layers * hidden * attended


def arithmetic_6b(samples: SampleDataset, labelled: float) -> dict[str, float]:
    """What the published padding costs at ChatGLM-6B's size, and the paper's whole run in FLOP.

    Args:
        samples: real ones, for their lengths.
        labelled: mean number of labelled tokens of a sample.
    """
    config = ChatGLMConfig()
    lengths = samples.lengths.astype(float)
    ours = train_flops(config, lengths.mean(), (lengths**2).mean(), labelled)
    published = train_flops(config, PUBLISHED_LENGTH, PUBLISHED_LENGTH**2, PUBLISHED_LENGTH)
    return {
        "published_flop_a_sample": published,
        "our_flop_a_sample": ours,
        "ratio": published / ours,
        "real_tokens_of_the_papers_run": lengths.mean() * PAPER_STEPS * PAPER_BATCH,
        "flop_of_the_papers_run": ours * PAPER_STEPS * PAPER_BATCH,
    }


def peak_flops(device: str) -> float | None:
    """Dense bfloat16 peak of the card, or None where it is not known."""
    name = torch.cuda.get_device_name() if device == "cuda" else ""
    return next((peak for card, peak in PEAK_FLOPS.items() if card in name), None)
