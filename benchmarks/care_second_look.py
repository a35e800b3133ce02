"""Learns whether what was read as a name, an address or an organisation is one: soulchatcorpus/care/second_look.npz.

    python benchmarks/care_second_look.py --smilechat smile_50k.parquet [--without AUTHOR …]

Names are drawn, in the places of people in SMILECHAT's dialogues but for the first 20,000, which are kept for
measuring, and those of `care_data/privacy-train.jsonl`. What is no name: other words and pieces of words there, rare
ones above all, words for kin and trades, and what the labeller takes for a name in these dialogues; so this comes
after `care_tagger.py` and `care_names.py`. jieba and PyTorch wanted.
"""

import dataclasses
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jieba
import numpy as np
import pyarrow.parquet as pq
import torch
from care_arrays import save_arrays
from care_examples import NAMES, Sentence, read_sentences
from care_natural import Invention, place_details
from care_options import read_options
from care_tagger import DATA, KEPT_DIALOGUES
from numpy.typing import NDArray

from soulchatcorpus.care import privacy, second_look
from soulchatcorpus.care.folding import HAN, fold_characters
from soulchatcorpus.care.second_look import LOOKED_AT, surroundings
from soulchatcorpus.care.tagger import FAVOUR, KINDS, Tagger, load_tagger

OUT = Path(second_look.__file__).with_name("second_look.npz")
SEED, DIALOGUES = 0, 14_000
CHARACTERS, DIMENSIONS, UNITS = 3000, 24, 64
EPOCHS, BATCH, RATE, SLOWER = 3, 1024, 2e-3, 0.3
# How often an author's detail, another word of an author, and a doubtful detail of the labeller are shown.
AUTHORS_DETAILS, AUTHORS_WORDS, DOUBTFUL = 10, 2, 4
LOOKED_AT_TWICE = ("name", "address", "organisation")
# How many drawn details each dialogue gets.
PLACED = 4
# Of details that the labeller doubts: in the place of `tagger.FAVOUR`.
DOUBTED = {"name": 4.75, "address": 4.5, "organisation": 4.75}
# From this count on, only the square root of it is shown.
FREQUENT = 20
OTHER_PEOPLE = "他 她 男生 女生 男孩 女孩 爸妈 父母 男人 女人 老妈 老爸 小孩 妹子 姐妹 兄弟 渣男 学霸"
PEOPLE = frozenset(f"{NAMES['kin']} {NAMES['roles']} {OTHER_PEOPLE}".split()) - {"宝贝", "先生"}
PRONOUNS = "我 你 您 咱 我们 你们 他们 她们 自己 大家 别人 对方 谁 ta"
NEITHER = frozenset(PRONOUNS.split())
Shown = tuple[str, bool]


_HAN_WORD = re.compile(f"[{HAN}]+")


def is_han(word: str) -> bool:
    """Whether a word is all Chinese characters."""
    return _HAN_WORD.fullmatch(word) is not None


def show_talk(lines: list[list[str]], invent: Invention, draw: random.Random) -> Iterator[Shown]:
    """Drawn names where people stand in the words of each line, and what is none."""
    counts = Counter(word for line in lines for word in line)
    for words in lines:
        text, place = "".join(words), 0
        for number, word in enumerate(words):
            start, place = place, place + len(word)
            follows = words[number + 1] if number + 1 < len(words) else ""
            if word in PEOPLE:
                yield from _show_person(text, words, number, start, counts[word], invent, draw)
            elif word not in NEITHER and is_han(word):
                yield from _show_word(text, word, follows, start, counts, draw)


def _show_person(
    text: str, words: list[str], number: int, start: int, count: int, invent: Invention, draw: random.Random
) -> Iterator[Shown]:
    word, before = words[number], words[max(0, number - 2) : number]
    end = start + len(word)
    if draw.random() < 0.5:
        whose = len(before[-1]) if before[-1:] and before[-1] in ("我", "他", "她", "你") else 0
        if len(before) == 2 and before[1] == "的" and before[0] in ("我", "他", "她", "你"):
            whose = 2
        yield surroundings("name", text[: start - whose], invent.name(), text[end:]), True
        if len(word) > 1 and (count < 500 or draw.random() < 0.3):
            yield surroundings("name", text[:start], word, text[end:]), False
    if len(word) > 1 and draw.random() < 0.1:
        yield surroundings("name", text[:end], invent.name(), text[end:]), True


def _show_word(
    text: str, word: str, follows: str, start: int, counts: Counter[str], draw: random.Random
) -> Iterator[Shown]:
    """The word, the two words together, and pieces of both."""
    end = start + len(word)

    def at(first: int, last: int) -> Shown:
        return surroundings("name", text[:first], text[first:last], text[last:]), False

    if len(word) > 1 and draw.random() < (FREQUENT / counts[word]) ** 0.5:
        yield at(start, end)
    if follows and is_han(follows) and follows not in NEITHER:
        share = 0.35 * min(1, (FREQUENT / min(counts[word], counts[follows])) ** 0.5)
        if draw.random() < share and len(word + follows) < 5:
            yield at(start, end + len(follows))
        if draw.random() < share and len(word) > 1:
            yield at(end - 1, end - 1 + draw.choice((2, 2, 3)))
        if draw.random() < share and len(follows) > 1:
            yield at(end - draw.randrange(2), end + 1)


def show_sentences(sentences: list[Sentence]) -> Iterator[Shown]:
    """The authors' details, and their other words."""
    for text, spans, _ in sentences:
        for start, end, kind in spans:
            if kind in LOOKED_AT_TWICE:
                yield from [(second_look.look(text, kind, start, end), True)] * AUTHORS_DETAILS
        place = 0
        for word in jieba.cut(text):
            start, place = place, place + len(word)
            private = any(first < place and start < last for first, last, _ in spans)
            if len(word) > 1 and is_han(word) and not private and word not in PEOPLE | NEITHER:
                yield from [(second_look.look(text, "name", start, place), False)] * AUTHORS_WORDS


def show_doubtful(talk: list[str], tagger: Tagger) -> Iterator[Shown]:
    """What the labeller takes for details in talk that has hardly any."""
    favour = [0.0, *(DOUBTED.get(kind, FAVOUR[kind]) - FAVOUR[kind] for kind in KINDS for _ in range(2))]
    doubting = dataclasses.replace(tagger, bias=tagger.bias + np.array(favour, dtype=np.float32))
    for text in talk:
        for kind, start, end, _ in privacy.read_named(text, list(doubting.suspicious(text)), doubting):
            if kind in LOOKED_AT_TWICE:
                yield from [(second_look.look(text, kind, start, end), False)] * DOUBTFUL


def show_places(lines: list[list[str]], talk: list[str], invent: Invention, draw: random.Random) -> Iterator[Shown]:
    """Drawn addresses and organisations where places stand, and a few words of the talk together that are none."""
    for text, spans, _ in place_details(talk, PLACED * len(talk), 1.0, invent, draw):
        for start, end, kind in spans:
            if kind != "name":
                yield second_look.look(text, kind, start, end), True
    for words in lines:
        number = draw.randrange(len(words)) if words else 0
        together = "".join(words[number : number + draw.choice((2, 3, 3, 4))])
        if len(together) > 3:
            before = "".join(words[:number])
            after = "".join(words)[len(before + together) :]
            yield surroundings(draw.choice(("address", "organisation")), before, together, after), False


class Network(torch.nn.Module):
    """As `second_look.SecondLook`."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors = torch.nn.Embedding(CHARACTERS + 1, DIMENSIONS)
        torch.nn.init.normal_(self.vectors.weight, std=0.3)
        self.hidden = torch.nn.Linear(LOOKED_AT * DIMENSIONS, UNITS)
        self.out = torch.nn.Linear(UNITS, 1)

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        """The log odds for each row."""
        return self.out(torch.relu(self.hidden(self.vectors(places).flatten(1))))[:, 0]


def learn(network: Network, places: NDArray[np.int64], labels: NDArray[np.float32], draw: np.random.Generator) -> None:
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    order = np.arange(len(places))
    for epoch in range(EPOCHS):
        optimiser.param_groups[0]["lr"] = RATE * SLOWER**epoch
        draw.shuffle(order)
        total = 0.0
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            scores = network(torch.from_numpy(places[batch]))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, torch.from_numpy(labels[batch]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += float(loss.detach()) * len(batch)
        print(f"epoch {epoch}: loss {total / len(order):.4f}", flush=True)


def save(network: Network, characters: list[str], path: Path) -> None:
    """In steps of which 127 reach the largest weight."""
    vectors = network.vectors.weight.detach().numpy()
    hidden = network.hidden.weight.detach().numpy().T
    steps = [np.float32(np.abs(weights).max() / 127) for weights in (vectors, hidden)]
    save_arrays(
        path,
        characters=np.array([ord(character) for character in characters], dtype=np.uint16),
        vectors=np.rint(vectors / steps[0]).astype(np.int8),
        vector_step=steps[0],
        hidden=np.rint(hidden / steps[1]).astype(np.int8),
        hidden_step=steps[1],
        hidden_bias=network.hidden.bias.detach().numpy().astype(np.float16),
        out=network.out.weight.detach().numpy()[0].astype(np.float16),
        out_bias=np.float64(network.out.bias.detach().item()),
    )


def main() -> None:
    options = read_options(__doc__, OUT)
    draw = random.Random(SEED)
    torch.manual_seed(SEED)
    sentences = read_sentences(DATA / "privacy-train.jsonl", options.without)
    table = pq.read_table(options.smilechat, columns=["messages"])["messages"].slice(KEPT_DIALOGUES, DIALOGUES)
    talk = [fold_characters("\n".join(m["content"] for m in row)).text for row in table.to_pylist()]
    lines = [jieba.lcut(line) for text in talk for line in text.split("\n")]
    shown = [
        *show_talk(lines, Invention(draw, sentences), draw),
        *show_places(lines, talk, Invention(draw, sentences), draw),
        *show_sentences(sentences),
        *show_doubtful(talk, load_tagger()),
    ]
    counts = Counter(character for look, _ in shown for character in look if ord(character) < 0xFFFF)
    characters = [character for character, _ in counts.most_common(CHARACTERS)]
    numbers = {character: number for number, character in enumerate(characters, 1)}
    places = np.array([[numbers.get(character, 0) for character in look] for look, _ in shown], dtype=np.int64)
    labels = np.array([is_name for _, is_name in shown], dtype=np.float32)
    print(f"{len(labels)} shown, {int(labels.sum())} names", flush=True)
    network = Network()
    learn(network, places, labels, np.random.default_rng(SEED))
    save(network, characters, options.out)
    print(f"{options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
