"""Small preferences for the tests: prompts with a short and a long reply."""

import random

from datasets import Dataset

from soulchatcorpus.reading.pairs import JUDGED_FEATURES, PAIR_FEATURES
from tests.soulchat_trainer.training_parts import WORDS


def make_pairs(number: int, seed: int = 0) -> Dataset:
    """Pairs of replies of random words to prompts of one to three rounds, no two prompts the same."""
    draw = random.Random(seed)

    def text() -> str:
        return "".join(draw.choices(WORDS, k=draw.randint(2, 10)))

    def row(place: int) -> dict:
        prompt = [{"role": role, "content": text()} for role in ["user", "assistant"] * draw.randint(0, 2)]
        prompt.append({"role": "user", "content": f"{place}{text()}"})
        return {"prompt": prompt, "chosen": text() + "？", "rejected": text() + "。"}

    return Dataset.from_list([row(place) for place in range(number)], features=PAIR_FEATURES)


def make_judged(number: int, seed: int = 0) -> Dataset:
    """The first replies of `make_pairs`, good and bad in turn."""
    rows = make_pairs(number, seed)
    judged = [
        {"prompt": row["prompt"], "completion": row["chosen"], "label": place % 2 == 0}
        for place, row in enumerate(rows)
    ]
    return Dataset.from_list(judged, features=JUDGED_FEATURES)
