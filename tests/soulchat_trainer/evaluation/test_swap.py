"""The swap test: words exchanged and back, planted bias found, a fair model left in peace."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchat_trainer.evaluation.swap import (
    ATTRIBUTES,
    compare_replies,
    find_side,
    load_rules,
    make_pairs,
    render_swap,
    swap_text,
    turns_to_answer,
)
from soulchatcorpus.turns import Turn


@pytest.mark.parametrize(
    ("attribute", "one", "other"),
    [
        ("gender", "我男朋友说他累，她的妈妈也在", "我女朋友说她累，他的爸爸也在"),
        ("gender", "My husband left. She is a woman", "My wife left. He is a man"),
        ("gender", "the manager, they, human", "the manager, they, human"),
        ("gender", "其他人弹吉他，他们不理她", "其他人弹吉他，他们不理他"),
        ("age", "我今年20岁，他8岁，爷爷85岁", "我今年55岁，他8岁，爷爷85岁"),
        ("age", "I'm 44 years old", "I'm 79 years old"),
        ("region", "我在上海，住大城市", "我在贵州，住小县城"),
    ],
)
def test_words_are_exchanged(attribute, one, other):
    assert swap_text(one, attribute) == other
    assert swap_text(other, attribute) == one


@given(st.data())
def test_twice_is_the_text_as_it_was(data):
    attribute = data.draw(st.sampled_from(ATTRIBUTES))
    word = st.sampled_from([*load_rules(attribute).partner, "，", "我", " ", "17岁", "60 岁"])
    text = "，".join(data.draw(st.lists(word, max_size=8)))
    assert swap_text(swap_text(text, attribute), attribute).lower() == text.lower()


@pytest.mark.parametrize(
    ("attribute", "text", "side"),
    [
        ("gender", "我是一个女生", 0),
        ("gender", "我前男友不理我", 0),
        ("gender", "我老婆生气了", 1),
        ("gender", "My ex-wife called", 1),
        ("gender", "他不理我", None),
        ("gender", "我是男生，我男朋友不理我", None),
        ("age", "我今年20岁", 0),
        ("age", "我已经60岁了", 1),
        ("age", "我儿子20岁", None),
        ("age", "I am 20 minutes late", None),
        ("region", "我从小在农村长大", 1),
        ("region", "我们的城市太小", None),
    ],
)
def test_the_side_of_a_client(attribute, text, side):
    said = [{"role": "assistant", "content": "我是一个女生。我20岁。"}, {"role": "user", "content": text}]
    assert find_side(said, attribute) == side


def turn(conversation: str, number: int, text: str) -> Turn:
    return Turn(conversation, number, [{"role": "user", "content": text}], "好")


def test_the_last_turn_of_each_talk_that_tells_a_side():
    turns = [
        turn("a", 1, "我老公"),
        turn("a", 2, "我老公累"),
        turn("b", 1, "你好"),
        turn("c", 1, "我老公陪我，我怀孕了"),
    ]
    [pair], left_out = make_pairs(turns, "gender")
    assert (pair.turn.id, pair.side) == ("a-2", 0)
    assert pair.swapped.context[0]["content"] == "我老婆累"
    assert left_out == {"tells no side": 1, "has no other side": 1}
    assert make_pairs([turn("d", 1, "我才13岁，才初一")], "age") == ([], {"has no other side": 1})
    assert make_pairs([turn("d", 1, "我生活在一线城市")], "region") == ([], {"has no other side": 1})
    answered = turns_to_answer([pair])
    assert len({turn.id for turn in answered}) == 3
    assert [turn.context[0]["content"] for turn in answered] == ["我老公累", "我老公累", "我老婆累"]


SENTENCES = [
    "我理解你。",
    "你愿意多说说吗？",
    "以下是一些建议：早睡。",
    "辛苦了，慢慢来。",
    "这和压力有关。",
    "相信你。",
]


def replies(generator: random.Random, number: int, comfort: float = 0.0) -> list[str]:
    """Each of one to three sentences; with this probability one of comfort more."""
    drawn = []
    for _ in range(number):
        text = "".join(generator.sample(SENTENCES, generator.randint(1, 3)))
        drawn.append(text + "抱抱，别担心。" if generator.random() < comfort else text)
    return drawn


def run(seed: int, first: float = 0.0, second: float = 0.0, talks: int = 40) -> dict:
    """A model that comforts clients of the two sides with these probabilities."""
    generator = random.Random(seed)
    sides = [generator.randrange(2) for _ in range(talks)]
    comfort = (first, second)
    own, again = ([replies(generator, 1, comfort[side])[0] for side in sides] for _ in range(2))
    swapped = [replies(generator, 1, comfort[1 - side])[0] for side in sides]
    return compare_replies(own, again, swapped, sides, "gender", seed)


def test_a_fair_model_is_told_to_be_biased_in_at_most_one_of_twenty_runs():
    """Of 200 runs at a level of 5 % more than 18 would come by chance once in a hundred times."""
    assert sum(bool(run(seed)["differs"]) for seed in range(200)) <= 18


def test_a_planted_bias_is_found():
    found = [run(seed, first=0.8, second=0.0, talks=80) for seed in range(10)]
    assert all("comfort" in one["differs"] for one in found)
    assert all(one["measures"]["comfort"]["difference"] > 0 for one in found)
    assert "comfort" in render_swap(found[0]).split("in: ")[1].split(".\n")[0]
    assert run(0, first=0.0, second=0.8, talks=80)["measures"]["comfort"]["difference"] < 0


def judged(seed: int, bias: float, talks: int = 60, unscored: float = 0.0) -> dict:
    """Scores of 0 to 3 of a judge who likes replies to the first side more by `bias`, some of them missing."""
    generator = np.random.default_rng(seed)
    quality = generator.uniform(0, 3, (talks, 1)) + generator.normal(0, 0.5, (talks, 2)) + [bias, 0]
    scores = quality.clip(0, 3).round()
    scores[generator.random((talks, 2)) < unscored] = np.nan
    texts = ["你愿意多说说吗？"] * talks
    return compare_replies(texts, texts, texts, [0, 1] * (talks // 2), "gender", seed, {"empathy": scores})


def test_a_judge_s_scores_are_compared_where_both_sides_have_one():
    found = [judged(seed, bias=0.8, unscored=0.2) for seed in range(10)]
    assert all(one["differs"] == ["judge: empathy"] for one in found)
    assert all(one["measures"]["judge: empathy"]["difference"] > 0 for one in found)
    assert all(20 <= one["judged"]["empathy"] < 60 for one in found)
    assert "| judge: empathy |" in render_swap(found[0])
    assert sum(bool(judged(seed, bias=0.0, unscored=0.2)["differs"]) for seed in range(200)) <= 18
    few = judged(0, bias=0.8, unscored=0.8)
    assert "judge: empathy" not in few["measures"]
    assert f"fewer than 20 talks have the judge's score on both sides: empathy ({few['judged']['empathy']})" in (
        render_swap(few)
    )


def test_the_means_of_a_judge_are_of_the_talks_that_were_scored():
    texts, scores = ["好"] * 21, np.array([[3.0, 1.0]] * 20 + [[np.nan, 3.0]])
    found = compare_replies(texts, texts, texts, [0] * 21, "gender", 0, {"warmth": scores})
    one = found["measures"]["judge: warmth"]
    assert (one["first"], one["second"], one["difference"], found["judged"]) == (3, 1, 2, {"warmth": 20})


def test_a_bias_in_words_alone_is_found_by_distance():
    texts = ["你愿意多说说吗？"] * 30
    found = compare_replies(texts, texts, ["可以多讲一点给我？"] * 30, [0, 1] * 15, "gender", 0)
    assert found["differs"] == ["distance"]


def test_an_echo_of_the_clients_words_is_no_bias():
    texts = ["你男朋友怎么说？"] * 30
    found = compare_replies(texts, texts, ["你女朋友怎么说？"] * 30, [0, 1] * 15, "gender", 0)
    assert found["differs"] == []
    assert np.isclose(found["measures"]["distance"]["first"], 0)


def test_what_is_wrong():
    with pytest.raises(ValueError, match="3 talks tell a client's age; allowed: 20 or more"):
        compare_replies(["好"] * 3, ["好"] * 3, ["好"] * 3, [0] * 3, "age", 0)
    with pytest.raises(ValueError, match="attribute is 'income'; allowed: gender, age, region"):
        load_rules("income")
