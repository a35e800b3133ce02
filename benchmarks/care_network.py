"""Learns the network of a detector (soulchatcorpus/care/network.py) with torch: seeded, one thread."""

import random
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from soulchatcorpus.care.detector import find_runs
from soulchatcorpus.care.network import APART, NEAR, POWER, Network

WORD_BITS, PAIR_BITS = 13, 14
DIMENSIONS, FILTERS = 24, 64
EPOCHS = 3
BATCH = 128
RATE = 3e-3
DROPOUT = 0.3
# A share of the words is left out while learning, so that no answer leans on one of them.
DROPPED_WORDS = 0.1
# Longer texts are cut here while learning; the package judges parts of 250 characters.
LONGEST = 302


class Learner(nn.Module):
    """The network as torch has it."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(2**WORD_BITS, DIMENSIONS)
        self.pairs = nn.Embedding(2**PAIR_BITS, DIMENSIONS)
        nn.init.normal_(self.words.weight, std=0.3)
        nn.init.normal_(self.pairs.weight, std=0.05)
        self.near = nn.Conv1d(DIMENSIONS, FILTERS, NEAR, padding=NEAR // 2)
        self.wide = nn.Conv1d(FILTERS, FILTERS, 3, padding=APART, dilation=APART)
        self.dropout = nn.Dropout(DROPOUT)
        self.out = nn.Linear(3 * FILTERS, 1)

    def forward(self, words: torch.Tensor, pairs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Log odds of each text; words and pairs are (texts, words) buckets, padded behind each length."""
        places = torch.arange(words.shape[1])
        inside = places < lengths[:, None]
        vectors = (
            self.words(words) * inside[..., None] + self.pairs(pairs) * (places < lengths[:, None] - 1)[..., None]
        )
        if self.training:
            vectors = vectors * (torch.rand(words.shape) >= DROPPED_WORDS)[..., None]
        found = torch.relu(self.near(self.dropout(vectors).transpose(1, 2))) * inside[:, None]
        wider = torch.relu(self.wide(self.dropout(found))) * inside[:, None]
        answers = (found.amax(2), wider.amax(2), found.sum(2) / lengths[:, None] ** POWER)
        return self.out(self.dropout(torch.cat(answers, 1)))[:, 0]


def learn_network(texts: Sequence[str], labels: np.ndarray, weights: np.ndarray, seed: int) -> Network:
    """Learn from folded texts, of which `labels` says what they are and `weights` how much they count."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    draw = random.Random(seed)
    learner = Learner()
    runs = [_buckets(text) for text in texts]
    target, weight = (torch.tensor(values, dtype=torch.float32) for values in (labels, weights))
    steps = EPOCHS * (len(texts) // BATCH + 1)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / 200) * max(0.02, 1 - step / steps)
    )
    for _ in range(EPOCHS):
        for batch in _batches([len(words) for words, _ in runs], draw):
            odds = learner(*_pad([runs[place] for place in batch]))
            losses = nn.functional.binary_cross_entropy_with_logits(odds, target[batch], reduction="none")
            optimizer.zero_grad()
            (losses * weight[batch]).mean().backward()
            optimizer.step()
            schedule.step()
    return as_network(learner)


def as_network(learner: Learner) -> Network:
    """The network as the package reads it."""
    state = {name: values.detach().numpy() for name, values in learner.state_dict().items()}
    near, wide = (state[f"{name}.weight"].transpose(2, 1, 0).reshape(-1, FILTERS) for name in ("near", "wide"))
    return Network(
        words=state["words.weight"],
        pairs=state["pairs.weight"],
        near=np.ascontiguousarray(near),
        near_bias=state["near.bias"],
        wide=np.ascontiguousarray(wide),
        wide_bias=state["wide.bias"],
        out=np.append(state["out.weight"][0], state["out.bias"]),
    )


def _buckets(text: str) -> tuple[np.ndarray, np.ndarray]:
    hashed = find_runs(text, 32)
    words, pairs = hashed[0][:LONGEST], hashed[1][: LONGEST - 1]
    return (words >> np.uint32(32 - WORD_BITS)).astype(np.int64), (pairs >> np.uint32(32 - PAIR_BITS)).astype(np.int64)


def _batches(lengths: list[int], draw: random.Random) -> list[list[int]]:
    """Every place once; those of a batch are of similar length."""
    places = draw.sample(range(len(lengths)), len(lengths))
    batches = []
    for start in range(0, len(places), 40 * BATCH):
        near = sorted(places[start : start + 40 * BATCH], key=lengths.__getitem__)
        batches += [near[first : first + BATCH] for first in range(0, len(near), BATCH)]
    return draw.sample(batches, len(batches))


def _pad(runs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    lengths = [len(words) for words, _ in runs]
    words = torch.zeros(len(runs), max(lengths), dtype=torch.long)
    pairs = torch.zeros(len(runs), max(lengths), dtype=torch.long)
    for row, (of_words, of_pairs) in enumerate(runs):
        words[row, : len(of_words)] = torch.from_numpy(of_words)
        pairs[row, : len(of_pairs)] = torch.from_numpy(of_pairs)
    return words, pairs, torch.tensor(lengths)
