"""Retrieval finds the nearest talk by what is rare in it, in little memory however many turns it looks at."""

import math
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soulchat_trainer.evaluation import retrieval
from soulchat_trainer.evaluation.retrieval import retrieval_baseline
from soulchatcorpus import Conversation, Message, render_prompt
from soulchatcorpus.turns import Turn, split_turns
from tests.soulchat_trainer.training_parts import make_rows


def user(content: str) -> list[Message]:
    return [{"role": "user", "content": content}]


TRAIN = [
    Turn("1", 1, user("我失眠了"), "多久了？"),
    Turn("2", 1, user("我和父母吵架了"), "为什么吵？"),
    Turn("3", 1, user("我和男友吵架了"), "他怎么说？"),
]


def test_nearest_talk() -> None:
    contexts = [user("最近失眠"), user("男友和我吵架"), TRAIN[1].context]
    assert retrieval_baseline(TRAIN, contexts) == ["多久了？", "他怎么说？", "为什么吵？"]


def test_nothing_shared_gives_the_first_and_nothing_to_search_is_refused() -> None:
    assert retrieval_baseline(TRAIN, [user("x")]) == ["多久了？"]
    assert retrieval_baseline(TRAIN[:1], [user("x")]) == ["多久了？"]
    with pytest.raises(ValueError, match="no training turns"):
        retrieval_baseline([], [user("x")])


def test_a_system_text_is_no_part_of_the_talk() -> None:
    train = [
        Turn(turn.conversation_id, 1, [{"role": "system", "content": "男友" * 9}, *turn.context], turn.completion)
        for turn in TRAIN
    ]
    assert retrieval_baseline(train, [[{"role": "system", "content": "x"}, *user("最近失眠")]]) == ["多久了？"]


def plain_baseline(turns: Sequence[Turn], contexts: Sequence[Sequence[Message]]) -> list[str]:
    """The definition, turn by turn."""
    sets = [_bigrams(turn.context) for turn in turns]
    counts = Counter(bigram for found in sets for bigram in found)
    weights = {bigram: math.log(len(turns) / count) ** 2 for bigram, count in counts.items()}

    def nearness(own: set[str], other: set[str]) -> float:
        norm = math.sqrt(math.fsum(weights[bigram] for bigram in other))
        return round(math.fsum(weights[bigram] for bigram in own & other) / norm, 12) if norm else 0.0

    asked = [_bigrams(context) for context in contexts]
    return [turns[max(range(len(sets)), key=lambda i: nearness(own, sets[i]))].completion for own in asked]


def _bigrams(context: Sequence[Message]) -> set[str]:
    text = render_prompt(context)
    return {text[i : i + 2] for i in range(len(text) - 1)}


texts = st.text("甲乙丙丁𠀀", max_size=6)
talks = st.lists(texts, min_size=2, max_size=7)


def _messages(contents: Sequence[str]) -> list[Message]:
    return [{"role": "assistant" if i % 2 else "user", "content": text} for i, text in enumerate(contents)]


@settings(max_examples=60)
@given(st.lists(talks, min_size=1, max_size=8), st.lists(texts, min_size=1, max_size=4))
def test_it_is_what_the_definition_gives(conversations: list[list[str]], questions: list[str]) -> None:
    turns = []
    for number, contents in enumerate(conversations):
        turns += split_turns(Conversation(str(number), _messages(contents)))
    for number, turn in enumerate(turns):
        turn.completion = str(number)  # equal contexts are told apart
    contexts = [user(question) for question in questions]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "BATCH_CHARACTERS", 20)
        patch.setattr(retrieval, "QUESTIONS", 3)
        assert retrieval_baseline(turns, contexts) == plain_baseline(turns, contexts)


class ManyTurns:
    """Ten thousand turns, made as they are read."""

    def __iter__(self) -> Iterator[Turn]:
        rows = make_rows(20)
        for number in range(10_000 // sum(len(row["messages"]) // 2 for row in rows)):
            for row in rows:
                yield from split_turns(Conversation(f"{number}-{row['id']}", row["messages"]))


def test_memory_does_not_grow_with_the_training_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "BATCH_CHARACTERS", 10_000)
    tracemalloc.start()
    retrieval_baseline(ManyTurns(), [user("我睡不着")])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000
