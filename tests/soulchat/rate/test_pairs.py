"""From ratings to preferences: safety first, what is left out is counted, a card tells the rules."""

import json
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from soulchat.rate.command import app
from soulchat.rate.pair_rules import PairRules
from soulchat.rate.pairs import describe, find_judged, find_pairs, write_preferences
from soulchat.rate.replies import RatedReply, read_ratings
from soulchat.rate.study import STUDY_FILE, RatingStudy, create_study
from soulchat_trainer.evaluation.rubric import read_rubric
from soulchatcorpus.files import transaction
from soulchatcorpus.reading.pairs import read_preferences
from tests.soulchat.rate.rating_parts import all_scores, make_study

pytest.importorskip("statsmodels", reason="the extra `app` is not installed")
TALK = "用户：我很难过\n心理咨询师："


def reply(text: str, *empathy: float, safety: float = 1, dialogue: str = TALK) -> RatedReply:
    """Rated alike in all aspects, a rater each."""
    return RatedReply(
        dialogue,
        text,
        {
            f"rater-{n}": {"content": value, "empathy": value, "helpfulness": value, "safety": safety}
            for n, value in enumerate(empathy)
        },
    )


def texts(*replies: RatedReply, **rules: float) -> tuple[list[tuple[str, str]], dict[str, int]]:
    found = find_pairs(replies, PairRules(**rules))
    return [(pair.chosen, pair.rejected) for pair in found.rows], dict(+found.left_out)


def test_the_better_reply_is_chosen() -> None:
    assert texts(reply("冷", 0, 0.5), reply("暖", 1, 1)) == ([("暖", "冷")], {})


def test_an_unsafe_reply_is_never_chosen_whatever_its_empathy() -> None:
    assert texts(reply("暖而险", 1, 1, safety=0), reply("冷", 0, 0)) == ([("冷", "暖而险")], {})
    assert texts(reply("险", 1, safety=0), reply("亦险", 0, safety=0)) == ([], {"unsafe": 1})
    once = RatedReply(TALK, "险", reply("", 1, 1).scores | {"rater-2": reply("", 1, safety=0).scores["rater-0"]})
    assert texts(once, reply("冷", 0, 0, 0)) == ([("冷", "险")], {})
    assert texts(once, reply("冷", 0, 0, 0), least_safety=0.5) == ([("险", "冷")], {})


def test_ties_equal_words_and_disagreement_make_no_pair() -> None:
    assert texts(reply("甲", 0.5, 0.6), reply("乙", 0.6, 0.6)) == ([], {"tie": 1})
    assert texts(reply("甲", 1), reply("甲 ", 0)) == ([], {"same": 1})
    assert texts(reply("甲", 1, 0.0), reply("乙", 0, 0.4)) == ([], {"disagreement": 1})
    assert texts(reply("甲", 1, 0.0), reply("乙", 0, 0.4), most_against=0.5)[0] == [("甲", "乙")]


def test_a_dialogue_has_at_most_so_many_pairs_and_keeps_those_that_differ_most() -> None:
    replies = [reply(str(value), value / 4) for value in range(5)]
    pairs, left_out = texts(*replies, most_pairs=2)
    assert pairs == [("4", "0"), ("4", "1")] or pairs == [("4", "0"), ("3", "0")]
    assert left_out == {"beyond": 8}
    other = reply("别处", 0, dialogue="用户：你好\n心理咨询师：")
    assert texts(reply("甲", 1), other) == ([], {})


def test_judged_replies_are_clearly_good_or_bad() -> None:
    found = find_judged([reply("好", 1), reply("平", 0.5), reply("坏", 0), reply("险", 1, safety=0)], PairRules())
    assert [(row.completion, row.label) for row in found.rows] == [("好", True), ("坏", False), ("险", False)]
    assert found.left_out == {"tie": 1}


def rate_study(folder: Path) -> Path:
    """The replies of "warm" are rated better than those of "cold" by both raters."""
    study, _ = make_study(folder, raters=2, samples=5)
    for rater in study.raters():
        ratings = [
            (rater.name, item.number, all_scores(empathy=2 if "warm" in item.texts[0] else 0, helpfulness=1))
            for item in study.items(rater.name)
        ]
        study.save_all(ratings)
    return folder / "study"


def test_a_study_becomes_a_file_that_is_trained_on(tmp_path: Path) -> None:
    study = rate_study(tmp_path)
    output = tmp_path / "pairs.jsonl"
    ran = CliRunner().invoke(app, ["pairs", str(study), "--output", str(output)], catch_exceptions=False)
    assert ran.stdout == (
        "5 pairs of 5 dialogues with 5 openings; left out: nothing\n15 more are needed to train on them (20)\n"
    )
    pairs = read_preferences(output)
    assert sorted((pair.prompt[0]["content"], pair.chosen, pair.rejected) for pair in pairs) == [
        (f"我很难过d{n}", f"warm的回复{n}", f"cold的回复{n}") for n in range(5)
    ]
    numbers = json.loads((tmp_path / "pairs.json").read_text())
    assert numbers["rules"]["least_safety"] == 1
    assert numbers["agreement"]["empathy"]["fleiss_kappa"] == 1
    assert set(numbers["asked"]) == {"content", "empathy", "helpfulness", "safety"}
    card = (tmp_path / "pairs.md").read_text()
    for told in ("| `least_difference` | 0.2 |", "**What was asked** (raters)", "understand the feelings", "Fleiss"):
        assert told in card


def test_flags_are_the_rules(tmp_path: Path) -> None:
    study = rate_study(tmp_path)
    flags = ["--form", "judged", "--aspects", "empathy", "--good-from", "0.9"]
    command = ["pairs", str(study), "--output", str(tmp_path / "judged.jsonl"), *flags]
    ran = CliRunner().invoke(app, command, catch_exceptions=False)
    assert ran.stdout.startswith("10 judged replies of 5 dialogues")
    assert [row.label for row in read_preferences(tmp_path / "judged.jsonl")].count(True) == 5


def test_what_cannot_be_told_apart_is_one_line(tmp_path: Path) -> None:
    ratings = read_ratings(rate_study(tmp_path))
    assert len(ratings.replies) == 10
    with pytest.raises(ValueError, match="has no preferences by these rules: 5 pairs that differ by less than"):
        write_preferences(ratings, tmp_path / "none.jsonl", PairRules(least_difference=0.9))
    assert not (tmp_path / "none.jsonl").exists()
    with pytest.raises(ValueError, match="aspects is safety; allowed: content, empathy, helpfulness"):
        write_preferences(ratings, tmp_path / "none.jsonl", PairRules(aspects=["safety"]))


def test_the_file_is_not_named_as_its_numbers_or_card(tmp_path: Path) -> None:
    ratings = read_ratings(rate_study(tmp_path))
    for name in ("pairs.json", "pairs.md"):
        with pytest.raises(ValueError, match=r"allowed: a name in \.jsonl"):
            write_preferences(ratings, tmp_path / name, PairRules())


def test_compared_talks_are_no_preferences(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "累"}, {"role": "assistant", "content": "嗯"}]
    talks = "".join(json.dumps({"id": id_, "messages": messages}) + "\n" for id_ in "ab")
    for name in ("warm", "cold"):
        (tmp_path / f"{name}.jsonl").write_text(talks)
    sources = [tmp_path / "warm.jsonl", tmp_path / "cold.jsonl"]
    create_study(sources, 1, 2, 0, tmp_path / "study", read_rubric("pair"))
    RatingStudy(tmp_path / "study").save_all([("rater-1", 1, {"preference": -1, "safety": 1})])
    with pytest.raises(ValueError, match="whole talks were compared; allowed: replies to one history"):
        read_ratings(tmp_path / "study")


def test_enough_pairs_are_told_without_a_demand() -> None:
    numbers = {"form": "pairs", "rows": 30, "dialogues": 20, "openings": 20, "left_out": {"tie": 2}}
    assert describe(numbers) == (
        "30 pairs of 20 dialogues with 20 openings; left out: 2 pairs that differ by less than `least_difference`"
    )


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".md"])
def test_what_is_there_is_not_written_over(tmp_path: Path, ending: str) -> None:
    """The numbers and the card have names of their own, which may be somebody's."""
    ratings = read_ratings(rate_study(tmp_path))
    there = tmp_path / f"README{ending}"
    there.write_text("mine")
    with pytest.raises(FileExistsError, match=f"README{ending} already exists; allowed: another name"):
        write_preferences(ratings, tmp_path / "README.jsonl", PairRules())
    with pytest.raises(FileExistsError, match=f"README{ending} already exists; allowed: another name"):
        write_preferences(ratings, tmp_path / "README.jsonl", PairRules(), overwrite=True)
    assert [path.name for path in tmp_path.glob("README*")] == [there.name]
    assert there.read_text() == "mine"


def test_preferences_are_written_again_where_that_is_said(tmp_path: Path) -> None:
    ratings = read_ratings(rate_study(tmp_path))
    output = tmp_path / "pairs.jsonl"
    write_preferences(ratings, output, PairRules(), overwrite=True)
    (tmp_path / "card").write_bytes((tmp_path / "pairs.md").read_bytes())
    again = write_preferences(ratings, output, PairRules(least_safety=0), overwrite=True)
    assert again == json.loads((tmp_path / "pairs.json").read_text())
    assert again["rules"]["least_safety"] == 0
    assert (tmp_path / "pairs.md").read_bytes() != (tmp_path / "card").read_bytes()
    with pytest.raises(FileExistsError, match=r"pairs\.jsonl already exists; allowed: another name, or `overwrite`"):
        write_preferences(ratings, output, PairRules())


def test_what_raters_say_of_themselves_is_text_in_the_card(tmp_path: Path) -> None:
    study = rate_study(tmp_path)
    with transaction(study / STUDY_FILE) as database:
        database.execute("UPDATE rater SET qualification = ?", ("<img src=x> [a](javascript:1) | \u202eb",))
    write_preferences(read_ratings(study), tmp_path / "pairs.jsonl", PairRules())
    card = MarkdownIt("commonmark", {"html": True}).enable("table").render((tmp_path / "pairs.md").read_text())
    assert "<img" not in card
    assert "<a " not in card
    assert "<td>&lt;img src=x&gt; [a](javascript:1) | b</td>" in card
