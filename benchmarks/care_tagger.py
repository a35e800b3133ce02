"""Learns what private details look like: soulchatcorpus/care/tagger.npz and runs.npz.

    python benchmarks/care_tagger.py --smilechat smile_50k.parquet [--without AUTHOR …]

Details come from `care_data/privacy-train.jsonl`, each sentence also with other names and places in it, so that what
stands around them counts, and are drawn where people and places stand in ordinary talk. That comes from SMILECHAT's
dialogues but for the first 20,000, which are kept for measuring; where the first round finds something in vain, the
second learns from it. jieba and PyTorch wanted.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq
import torch
from care_arrays import save_arrays
from care_examples import Sentence, read_sentences, with_others
from care_natural import Invention, place_details
from care_options import read_options
from care_runs import count_runs
from numpy.typing import NDArray

from soulchatcorpus.care import tagger
from soulchatcorpus.care.folding import fold_characters
from soulchatcorpus.care.tagger import KINDS, LABELS, SENTENCE, STEP, Tagger, find_rare, never_after
from soulchatcorpus.care.traits import WEIGHT_BITS, find_traits

DATA = Path(__file__).parent / "care_data"
OUT = Path(tagger.__file__).with_name("tagger.npz")
KEPT_DIALOGUES, EASY_DIALOGUES, PLACED_DIALOGUES = 20_000, 1_500, 12_000
PLACED_DETAILS, PLACED_WEIGHT = 20_000, 0.3
# So many parts of the talk, each with the counts of the others.
PARTS = 4
SEED = 0
COPIES, COPY_WEIGHT, HARD_WEIGHT = 8, 0.3, 1.0
ROUNDS, DROPPED, RATE, TOKENS = (2, 1), 0.5, 0.1, 6000
# In the first round a label counts as found from so much below nothing, and is left out as likely true above this.
DOUBTED, CERTAIN = -3.0, 3.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence to learn from: its traits, labels, and how much it counts."""

    traits: NDArray[np.int32]
    labels: NDArray[np.int64]
    weight: float


def cut(
    sentences: Iterable[Sentence], runs: NDArray[np.uint8], which: Literal["all", "rare", "private"]
) -> Iterator[Piece]:
    """The sentences of each text: all, those that are looked at, or those with a detail."""
    for text, spans, weight in sentences:
        labels = np.zeros(len(text), dtype=np.int64)
        for start, end, kind in spans:
            if kind in KINDS:
                labels[start] = 2 * KINDS.index(kind) + 1
                labels[start + 1 : end] = 2 * KINDS.index(kind) + 2
        rare = np.zeros(len(text), dtype=bool)
        rare[find_rare(text, runs)] = True
        for match in SENTENCE.finditer(text):
            inside = slice(*match.span())
            if which == "all" or (rare if which == "rare" else labels)[inside].any():
                yield Piece(
                    find_traits(text, np.arange(*match.span()), runs).T.astype(np.int32), labels[inside], weight
                )


class Model(torch.nn.Module):
    """Weights of traits, and of one label after another."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.nn.EmbeddingBag(1 << WEIGHT_BITS, LABELS, mode="sum")
        torch.nn.init.zeros_(self.weights.weight)
        self.gate = torch.nn.EmbeddingBag(1 << WEIGHT_BITS, 1, mode="sum")
        torch.nn.init.zeros_(self.gate.weight)
        self.gate_bias = torch.nn.Parameter(torch.zeros(1))
        self.bias = torch.nn.Parameter(torch.zeros(LABELS))
        self.following = torch.nn.Parameter(torch.zeros(LABELS, LABELS))

    def loss(self, pieces: list[Piece]) -> torch.Tensor:
        """The negative log likelihood of the labels, a share of the traits being dropped."""
        traits = torch.from_numpy(np.concatenate([piece.traits for piece in pieces]).astype(np.int64))
        kept = (torch.rand(traits.shape) > DROPPED).float() / (1 - DROPPED)
        scores = self.weights(traits, per_sample_weights=kept) + self.bias
        gates = (self.gate(traits, per_sample_weights=kept) + self.gate_bias)[:, 0]
        inside_of_any = torch.from_numpy(np.concatenate([piece.labels > 0 for piece in pieces]).astype(np.float32))
        gated = torch.nn.functional.binary_cross_entropy_with_logits(gates, inside_of_any, reduction="sum")
        lengths = [len(piece.labels) for piece in pieces]
        padded = torch.nn.utils.rnn.pad_sequence(list(scores.split(lengths)), batch_first=True)
        labels = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(p.labels) for p in pieces], batch_first=True)
        inside = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).float()
        following = self.following + torch.from_numpy(never_after())
        own = (padded.gather(2, labels[:, :, None])[:, :, 0] * inside).sum(1)
        own = own + following[0, labels[:, 0]] + (following[labels[:, :-1], labels[:, 1:]] * inside[:, 1:]).sum(1)
        total = padded[:, 0] + following[0]
        for place in range(1, max(lengths)):
            reached = torch.logsumexp(total[:, :, None] + following, 1) + padded[:, place]
            total = torch.where(inside[:, place : place + 1] > 0, reached, total)
        weights = torch.tensor([piece.weight for piece in pieces])
        return ((torch.logsumexp(total, 1) - own) * weights).sum() + gated


def learn(
    model: Model, optimiser: torch.optim.Optimizer, pieces: list[Piece], epochs: int, draw: random.Random
) -> None:
    """Go over the pieces so often, those of a length together."""
    batches: list[list[Piece]] = [[]]
    for piece in sorted(pieces, key=lambda piece: len(piece.labels)):
        if sum(len(other.labels) for other in batches[-1]) > TOKENS:
            batches.append([])
        batches[-1].append(piece)
    for epoch in range(epochs):
        draw.shuffle(batches)
        total = 0.0
        for batch in batches:
            loss = model.loss(batch) / 100
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += float(loss.detach())
        print(f"epoch {epoch}: {len(pieces)} pieces, loss {total:.1f}", flush=True)


def as_tagger(model: Model, runs: NDArray[np.uint8]) -> Tagger:
    """What was learned so far."""
    weights = model.weights.weight.detach().numpy()
    bias = model.bias.detach().numpy()
    following = model.following.detach().numpy() + never_after()
    gate = model.gate.weight.detach().numpy()[:, 0]
    return Tagger(
        weights=np.clip(np.rint(weights / STEP), -127, 127).astype(np.int8),
        bias=bias,
        following=following,
        gate=np.clip(np.rint(gate / STEP), -127, 127).astype(np.int8),
        gate_bias=float(model.gate_bias.detach()),
        runs=runs,
    )


def hard_sentences(found: Tagger, talk: list[str]) -> Iterator[Sentence]:
    """Sentences of ordinary talk in which the model doubts, but is not certain of, a detail."""
    for text in talk:
        places = find_rare(text, found.runs)
        if not len(places):
            continue
        scores = found.score(text, places)
        margin = scores[:, 1:].max(axis=1) - scores[:, 0]
        for match in SENTENCE.finditer(text):
            inside = margin[(places >= match.start()) & (places < match.end())]
            if len(inside) and DOUBTED < inside.max() < CERTAIN:
                yield Sentence(match[0], [], HARD_WEIGHT)


def main() -> None:
    options = read_options(__doc__, OUT)
    draw = random.Random(SEED)
    torch.manual_seed(SEED)
    table = pq.read_table(options.smilechat, columns=["messages"])["messages"].slice(KEPT_DIALOGUES)
    talk = [fold_characters("\n".join(m["content"] for m in row)).text for row in table.to_pylist()]
    runs = count_runs(talk)
    parts = [talk[number::PARTS] for number in range(PARTS)]
    # What a text's own runs say of it nobody knows of a new text.
    runs_of_others = [
        count_runs([text for number, text in enumerate(talk) if number % PARTS != part]) for part in range(PARTS)
    ]
    sentences = read_sentences(DATA / "privacy-train.jsonl", options.without)
    known = [*sentences, *with_others(sentences, COPIES, COPY_WEIGHT, draw)]
    invent = Invention(draw, sentences)
    pieces: list[Piece] = []
    for number, (part, others) in enumerate(zip(parts, runs_of_others, strict=True)):
        easy = [Sentence(text, [], 1.0) for text in part[-EASY_DIALOGUES // PARTS :]]
        placed = place_details(part[: PLACED_DIALOGUES // PARTS], PLACED_DETAILS // PARTS, PLACED_WEIGHT, invent, draw)
        pieces += cut(known[number::PARTS], others, "all")
        pieces += cut(easy, others, "rare")
        pieces += cut(placed, others, "private")
    model = Model()
    optimiser = torch.optim.Adagrad(model.parameters(), lr=RATE)
    learn(model, optimiser, pieces, ROUNDS[0], draw)
    hard: list[Piece] = []
    for part, others in zip(parts, runs_of_others, strict=True):
        hard += cut(hard_sentences(as_tagger(model, others), part), others, "all")
    print(f"{len(hard)} hard sentences")
    learn(model, optimiser, [*pieces, *hard], ROUNDS[1], draw)
    save_arrays(options.out.with_name("runs.npz"), runs=runs)
    save(as_tagger(model, runs), options.out)
    print(f"{options.out.stat().st_size} bytes")


def save(learned: Tagger, path: Path) -> None:
    """All but the runs."""
    save_arrays(
        path,
        weights=learned.weights,
        bias=learned.bias.astype(np.float16),
        following=learned.following.astype(np.float16),
        gate=learned.gate,
        gate_bias=np.float64(learned.gate_bias),
    )


if __name__ == "__main__":
    main()
