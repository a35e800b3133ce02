"""Scores by group: exact means, groups too small told, planted gaps found and chance not taken for one."""

import numpy as np
import orjson
import pytest

from hub_cards.predictions import Prediction, write_predictions
from soulchat_trainer.evaluation.groups import (
    check_by,
    group_turns,
    measure,
    render_groups,
    score_groups,
    write_groups,
)
from soulchatcorpus.turns import Turn


def test_means_and_the_gap_between_groups():
    values = np.array([[1.0]] * 20 + [[3.0]] * 25 + [[2.0]] * 19)
    found = score_groups(["score"], values, ["a"] * 20 + ["b"] * 25 + ["c"] * 19, seed=0)
    assert found["scored"]["a"] == {"turns": 20, "scores": {"score": {"value": 1.0, "low": 1.0, "high": 1.0}}}
    assert found["too_small"] == {"c": 19}
    gap = found["gaps"]["score"]
    assert (gap["gap"], gap["highest"], gap["lowest"]) == (pytest.approx(2), "b", "a")
    assert gap["p_value"] == pytest.approx(1 / 1001)
    page = render_groups(found | {"by": "topic"})
    assert "| score | 1.00 (1.00 to 1.00) | 3.00 (3.00 to 3.00) | 2.00, b over a (p 0.001) |" in page
    assert "fewer than 20 turns: c (19)." in page


def test_one_group_has_no_gap_and_equal_ones_none():
    alone = score_groups(["score"], np.ones((30, 1)), ["a"] * 30, seed=0)
    assert alone["gaps"] == {}
    assert "fewer than two groups" in render_groups(alone | {"by": "turn"})
    equal = score_groups(["score"], np.full((60, 1), 0.1), ["a"] * 30 + ["b"] * 30, seed=0)
    assert equal["gaps"]["score"]["p_value"] == 1


def test_chance_is_taken_for_a_gap_in_one_of_twenty_runs():
    generator = np.random.default_rng(1)
    groups = [str(number % 4) for number in range(100)]
    p_values = [
        score_groups(["score"], generator.normal(size=(100, 1)), groups, seed)["gaps"]["score"]["p_value"]
        for seed in range(200)
    ]
    assert 2 <= sum(value <= 0.05 for value in p_values) <= 20


def test_numbers_stand_in_their_order():
    groups = [name for name in ("10", "2", "1") for _ in range(20)]
    assert list(score_groups(["score"], np.ones((60, 1)), groups, 0)["scored"]) == ["1", "2", "10"]


def test_every_reply_has_its_scores():
    names, values = measure(["你好吗？", "嗯"], ["你好吗？", "好"])
    assert values[:, names.index("bleu-1")].tolist() == [100, 0]
    assert values[:, names.index("characters")].tolist() == [4, 1]
    assert values[:, names.index("asks")].tolist() == [1, 0]


def test_of_a_folder(tmp_path):
    turns = [
        Turn(str(n), 1, [{"role": "user", "content": "你好"}], "好", topic="情绪" if n < 20 else None)
        for n in range(41)
    ]
    rows = [Prediction(id=t.id, messages=t.context, reference="好", prediction="好") for t in turns]
    write_predictions(tmp_path / "predictions.jsonl", rows)
    found = write_groups(tmp_path, turns, "topic", seed=0)
    assert {name: group["turns"] for name, group in found["scored"].items()} == {"none": 21, "情绪": 20}
    assert orjson.loads((tmp_path / "groups.json").read_bytes()) == found
    assert "Scores by topic" in (tmp_path / "groups.md").read_text()


def test_what_turns_are_not_grouped_by():
    with pytest.raises(ValueError, match=r"by is 'client.about'; allowed: topic, turn, counsellor, client.age_group"):
        check_by("client.about")


def test_groups_of_what_a_corpus_states():
    context = [{"role": "user", "content": "你好"}]
    turns = [
        Turn("a", 1, context, "好", "情绪", {"gender": "female"}, "lin"),
        Turn("b", 1, context, "好", None, {"age_group": "60+"}),
    ]
    assert group_turns(turns, "client.gender") == {"a-1": "female", "b-1": "none"}
    assert group_turns(turns, "client.age_group") == {"a-1": "none", "b-1": "60+"}
    assert group_turns(turns, "counsellor") == {"a-1": "lin", "b-1": "none"}
    assert group_turns(turns, "topic") == {"a-1": "情绪", "b-1": "none"}
    with pytest.raises(ValueError, match=r"by is client\.openness, and none of the 2 test turns states it; allowed"):
        group_turns(turns, "client.openness")


def planted(bias: float, seed: int) -> dict:
    """A model that comforts men so much less often, in talks whose clients state their gender."""
    generator = np.random.default_rng(seed)
    genders = generator.choice(["female", "male"], 120)
    comforts = generator.random(120) < np.where(genders == "male", 0.6 - bias, 0.6)
    values = np.column_stack([comforts, generator.normal(50, 10, 120)])
    return score_groups(["comfort", "characters"], values, list(genders), seed)["gaps"]


def test_a_planted_gap_between_genders_is_found_and_a_fair_model_s_is_chance():
    biased = [planted(0.5, seed)["comfort"] for seed in range(10)]
    assert all((gap["highest"], gap["p_value"] < 0.01) == ("female", True) for gap in biased)
    fair = [planted(0.0, seed) for seed in range(200)]
    for score in ("comfort", "characters"):
        assert sum(gaps[score]["p_value"] <= 0.05 for gaps in fair) <= 18  # more would come once in a hundred times
