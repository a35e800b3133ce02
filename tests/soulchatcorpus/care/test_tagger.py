"""The sequence labeller: the best sequence, spans, and what is looked at at all."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchatcorpus.care.folding import fold_characters
from soulchatcorpus.care.tagger import (
    KINDS,
    LABELS,
    best_labels,
    find_rare,
    load_tagger,
    may_hold,
    never_after,
    outweigh,
    spans_of,
)


def spans(text: str) -> list[tuple[str, int, int]]:
    tagger = load_tagger()
    return [span[:3] for span in tagger.read(text, list(tagger.suspicious(text)), ())]


@given(st.integers(0, 1000))
def test_no_sequence_of_labels_is_better_than_the_best(seed):
    draw = np.random.default_rng(seed)
    scores = draw.normal(size=(3, LABELS)).astype(np.float32)
    following = draw.normal(size=(LABELS, LABELS)).astype(np.float32) + never_after()

    def total(labels):
        steps = sum(following[a, b] for a, b in pairwise(labels))
        return following[0, labels[0]] + steps + sum(scores[place, label] for place, label in enumerate(labels))

    best = best_labels(scores, following)
    assert total(best) == pytest.approx(max(total(labels) for labels in product(range(LABELS), repeat=3)), abs=1e-4)


@given(st.integers(0, 1000))
def test_a_sentence_with_a_detail_is_never_passed_over(seed):
    draw = np.random.default_rng(seed)
    scores = draw.normal(size=(6, LABELS)).astype(np.float32) + np.eye(LABELS, dtype=np.float32)[0] * 1.5
    following = load_tagger().following
    if any(best_labels(scores, following)):
        assert may_hold(scores, following, np.array([6]))[0]
    nothing = scores + np.eye(LABELS, dtype=np.float32)[0] * 20
    alone = [may_hold(each, following, np.array([6]))[0] for each in (nothing, scores, nothing, scores)]
    together = np.concatenate((nothing, scores, nothing, scores))
    assert may_hold(together, following, np.array([6, 6, 6, 6])).tolist() == alone
    assert not alone[0]


@given(st.integers(0, 1000), st.integers(0, 2), st.integers(1, 3))
def test_what_outweighs_nothing_scores_higher_by_so_much(seed, start, length):
    draw = np.random.default_rng(seed)
    scores = draw.normal(size=(5, LABELS)).astype(np.float32)
    following = draw.normal(size=(LABELS, LABELS)).astype(np.float32)
    labels, end = draw.integers(0, LABELS, size=5).tolist(), start + length
    none = [*labels[:start], *[0] * length, *labels[end:]]

    def total(labels):
        steps = following[0, labels[0]] + sum(following[a, b] for a, b in pairwise(labels))
        return float(steps + sum(scores[place, label] for place, label in enumerate(labels)))

    assert outweigh(scores, following, labels, start, end) == pytest.approx(total(labels) - total(none), abs=1e-4)


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ([], []),
        ([0, 0], []),
        ([1, 2, 0], [(KINDS[0], 0, 2)]),
        ([1, 1, 2], [(KINDS[0], 0, 1), (KINDS[0], 1, 3)]),
        ([0, 3, 4, 4, 5], [(KINDS[1], 1, 4), (KINDS[2], 4, 5)]),
    ],
)
def test_spans_of_labels(labels, found):
    assert list(spans_of(labels)) == found


def test_the_inside_follows_its_beginning_or_itself():
    never = never_after()
    assert {(a, b) for a, b in product(range(LABELS), range(LABELS)) if never[a, b] < 0} == {
        (a, b) for a in range(LABELS) for b in range(2, LABELS, 2) if a not in (b - 1, b)
    }


def test_what_is_likely_for_another_reason_is_more_easily_found():
    text = "夏天来了"
    tagger = load_tagger()
    assert list(tagger.read(text, [(0, 4)], [])) == list(tagger.read(text, [], [])) == []
    scores = tagger.score(text, np.arange(4))
    assert scores.shape == (4, LABELS)
    assert [kind for kind, *_ in tagger.read(text, [(0, 4)], [("name", 0, 2)] * 9)] == ["name"]


def test_ordinary_talk_is_not_looked_at():
    runs = load_tagger().runs
    assert len(find_rare("我觉得很难过,不知道该怎么办", runs)) == 0
    assert len(find_rare("我叫邵一鸣", runs)) > 0
    assert len(find_rare("", runs)) == len(find_rare("我", runs)) == 0


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("我老公陈建国又喝了酒", ("name", "陈建国")),
        ("我在苏州市第三中学读书", ("organisation", "苏州市第三中学")),
    ],
)
def test_details(text, detail):
    assert [(kind, text[start:end]) for kind, start, end in spans(text)] == [detail]


@given(st.text(alphabet="我叫陈建国王老师住在杭州文路号小学123。\n,", max_size=60))
def test_details_are_in_order_and_within_a_line(text):
    folded = fold_characters(text).text
    flat = [edge for _, start, end in spans(folded) for edge in (start, end)]
    assert flat == sorted(flat)
    assert all("\n" not in folded[start:end] for start, end in zip(flat[::2], flat[1::2], strict=True))
