"""What a judge said becomes preferences only together with its agreement with people."""

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from soulchat.rate.command import app
from soulchat.rate.judged import is_judged, open_ratings, read_judged
from soulchat.rate.pair_rules import PairRules
from soulchat.rate.pairs import write_preferences
from soulchat_trainer.evaluation.agreement import hash_answers
from soulchat_trainer.evaluation.items import read_items
from soulchat_trainer.evaluation.judge import Asked, hash_texts
from soulchat_trainer.evaluation.rubric import read_rubric
from soulchatcorpus.reading.pairs import read_preferences
from tests.soulchat.rate.rating_parts import make_study, write_systems
from tests.soulchat_trainer.evaluation.agreement_parts import write_answers

pytest.importorskip("statsmodels", reason="the extra `app` is not installed")


def judge(folder: Path, sources: list[Path], rubric: str = "cehs", agreed: bool = True) -> Path:
    """A judge's folder: replies of "warm" get the best scores, those of "cold" the least, but all are safe."""
    folder.mkdir()
    questions = read_rubric(rubric)
    rows = [
        Asked(
            id=item.id,
            talk=item.talk,
            systems=list(item.systems),
            order=0,
            repeat=repeat,
            outcome="scored",
            scores={
                aspect.name: aspect.maximum if "warm" in item.systems or aspect.name == "safety" else aspect.minimum
                for aspect in questions.aspects
            },
            model="m",
            text=hash_texts(item.texts),
        )
        for item in read_items(sources, "reply")
        for repeat in range(2)
    ]
    rows.append(rows[0].model_copy(update={"outcome": "refusal", "scores": None}))
    write_answers(folder, questions, rows)
    if agreed:
        write_agreed(folder)
    return folder


def write_agreed(folder: Path) -> None:
    """Its agreement with people: as much as is used of it."""
    told = {"kappa": 0.4, "judge": {"model": "m"}, "judged": 4, "both": 4, "raters": 2, "systems": {}}
    (folder / "agreement.json").write_bytes(orjson.dumps({**told, "judged_sha256": hash_answers(folder)}))


def test_with_its_agreement_a_judge_makes_pairs(tmp_path: Path) -> None:
    sources = write_systems(tmp_path)
    folder = judge(tmp_path / "judged", sources)
    flags = [flag for source in sources for flag in ("--source", str(source))]
    command = ["pairs", str(folder), "--output", str(tmp_path / "pairs.jsonl"), *flags]
    ran = CliRunner().invoke(app, command, catch_exceptions=False)
    assert ran.stdout.startswith("5 pairs of 5 dialogues")
    pairs = read_preferences(tmp_path / "pairs.jsonl")
    assert {(pair.chosen[:4], pair.rejected[:4]) for pair in pairs} == {("warm", "cold")}
    card = (tmp_path / "pairs.md").read_text(encoding="utf-8")
    assert "**What was asked** (judge m)" in card
    assert '"kappa": 0.4' in card
    numbers = orjson.loads((tmp_path / "pairs.json").read_bytes())
    assert (numbers["judged_by"], numbers["agreement"]["kappa"]) == ("judge m", 0.4)


def test_people_and_judges_are_told_apart(tmp_path: Path) -> None:
    make_study(tmp_path)
    assert not is_judged(tmp_path / "study")
    sources = [tmp_path / "warm", tmp_path / "cold"]
    folder = judge(tmp_path / "judged", sources)
    ratings = open_ratings(folder, sources)
    assert {system: len(replies) for system, replies in ratings.by_system.items()} == {"warm": 5, "cold": 5}
    assert ratings.by_system["cold"][0].scores["judge-1-0"] == {
        "content": 0,
        "empathy": 0,
        "helpfulness": 0,
        "safety": 1,
    }


def test_pairs_that_a_judge_compared(tmp_path: Path) -> None:
    """ "warm" stands first and is better in both orders; of d1 the judge goes by the order, d2 is safe in neither."""
    sources = write_systems(tmp_path)
    folder = judge(tmp_path / "judged", sources, rubric="pair")
    rows = [
        Asked(
            id=item.id,
            talk=item.talk,
            systems=list(item.systems),
            order=order,
            repeat=0,
            outcome="scored",
            scores={"preference": 1 if item.id == "d1" and order else -1, "safety": int(item.id != "d2")},
            model="m",
            text=hash_texts(item.texts),
        )
        for item in read_items(sources, "pair")
        for order in (0, 1)
    ]
    write_answers(folder, read_rubric("pair"), rows)
    write_agreed(folder)
    ratings = read_judged(folder, sources)
    numbers = write_preferences(ratings, tmp_path / "pairs.jsonl", PairRules())
    assert (numbers["rows"], numbers["left_out"]) == (3, {"tie": 1, "unsafe": 1, "beyond": 0})
    pairs = read_preferences(tmp_path / "pairs.jsonl")
    assert [(pair.chosen, pair.rejected) for pair in pairs] == [
        (f"warm的回复{n}", f"cold的回复{n}") for n in (0, 3, 4)
    ]
    with pytest.raises(ValueError, match="form is judged; allowed for"):
        write_preferences(ratings, tmp_path / "pairs.jsonl", PairRules(form="judged"))
    with pytest.raises(ValueError, match=r"aspects is preference; allowed for .*: none"):
        write_preferences(ratings, tmp_path / "pairs.jsonl", PairRules(aspects=["preference"]))
    one_order = [row for row in rows if (row.id, row.order) != ("d0", 1)]
    write_answers(folder, read_rubric("pair"), one_order)
    write_agreed(folder)
    numbers = write_preferences(read_judged(folder, sources), tmp_path / "others.jsonl", PairRules())
    assert numbers["rows"] == 2


def test_an_agreement_of_other_scores_is_refused(tmp_path: Path) -> None:
    sources = write_systems(tmp_path)
    folder = judge(tmp_path / "judged", sources)
    [first, *others] = map(Asked.model_validate_json, (folder / "judged.jsonl").read_bytes().splitlines())
    write_answers(folder, read_rubric("cehs"), [first.model_copy(update={"repeat": 7}), *others])
    with pytest.raises(ValueError, match="is of other scores than those beside it"):
        read_judged(folder, sources)
    (folder / "agreement.json").write_bytes(b"[]")
    with pytest.raises(ValueError, match=r"agreement\.json is of another form"):
        read_judged(folder, sources)
    (folder / "judged.json").write_bytes(b"{}")
    with pytest.raises(ValueError, match=r"judged\.json is of another form"):
        read_judged(folder, sources)


def test_a_judge_that_nobody_compared_is_refused(tmp_path: Path) -> None:
    sources = write_systems(tmp_path)
    with pytest.raises(ValueError, match=r"was judged by m alone; allowed: with agreement\.json"):
        read_judged(judge(tmp_path / "alone", sources, agreed=False), sources)
    folder = judge(tmp_path / "other", sources)
    report = orjson.loads((folder / "judged.json").read_bytes())
    report["rubric"]["judged"] = "talk"
    report["rubric"]["prompt"] = "{aspects} {talk} {form}"
    (folder / "judged.json").write_bytes(orjson.dumps(report))
    with pytest.raises(ValueError, match="was judged by cehs; allowed: a rubric of replies or pairs with safety"):
        read_judged(folder, sources)


def test_other_replies_than_were_judged_are_refused(tmp_path: Path) -> None:
    sources = write_systems(tmp_path)
    folder = judge(tmp_path / "judged", sources)
    with pytest.raises(ValueError, match="source is not given"):
        read_judged(folder, [])
    with pytest.raises(ValueError, match="cold has no such reply to d0 as was judged"):
        read_judged(folder, sources[:1])
