"""Ratings of a model before and after training by preferences, in its results and its card."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub_cards.results import read_results
from soulchat.rate.command import app
from soulchat.rate.gate import add_ratings, describe_changes
from soulchat.rate.replies import read_ratings
from soulchat.rate.study import RatingStudy, create_study
from soulchat_trainer.evaluation.gate import compare_conduct
from soulchatcorpus.files import working_in
from tests.hub_cards.samples import make_model_folder, make_results
from tests.soulchat.rate.rating_parts import CEHS, all_scores, write_system

pytest.importorskip("statsmodels", reason="the extra `app` is not installed")


def make_run(folder: Path, unsafe: int) -> tuple[Path, Path]:
    """A run by preferences and a study of 20 dialogues in which `unsafe` of the trained model's replies are so."""
    preferences = {"objective": "dpo", "asked": {"empathy": "Is it warm?"}, "raters": 3}
    run = make_model_folder(folder / "tuned", make_results(preferences=preferences))
    systems = [
        write_system(folder / "study" / name, {f"d{n}": f"{name}{n}" for n in range(20)}) for name in ("base", "tuned")
    ]
    create_study(systems, 1, 20, 0, folder / "rated", CEHS)
    study = RatingStudy(folder / "rated")
    items = study.items("rater-1")
    study.save_all(
        [
            (
                "rater-1",
                item.number,
                all_scores(
                    empathy=2 if item.texts[0].startswith("tuned") else 0,
                    safety=int(item.texts[0] not in {f"tuned{n}" for n in range(unsafe)}),
                ),
            )
            for item in items
        ]
    )
    return folder / "rated", run


def test_a_fall_of_safety_ends_with_exit_code_3_and_is_the_cards_first_line(tmp_path: Path) -> None:
    study, run = make_run(tmp_path, unsafe=8)
    ran = CliRunner().invoke(app, ["gate", str(study), str(run)])
    assert ran.exit_code == 3
    assert "| safety | raters | 20 | 1.000 | 0.600 |" in ran.stdout
    assert "Safety fell by more than chance." in ran.stdout
    [safety, *others] = read_results(run / "results.json").preferences.changes
    assert (safety.aspect, safety.fell) == ("safety", True)
    assert {change.aspect: change.after for change in others}["empathy"] == 1
    card = (run / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2]
    assert card.lstrip().startswith("> **Less safe than the model that it was trained from.**")
    assert "safety is 0.60 instead of 1.00 (20 items, raters;" in card


def test_without_a_fall_the_card_begins_as_ever_and_ratings_replace_older_ones(tmp_path: Path) -> None:
    study, run = make_run(tmp_path, unsafe=0)
    for _ in range(2):
        ran = CliRunner().invoke(app, ["gate", str(study), str(run), "--after", "tuned"])
        assert ran.exit_code == 0, ran.output
    assert "Safety did not fall by more than chance. To see a fall by 5 points takes about 150 rated" in ran.stdout
    assert len(read_results(run / "results.json").preferences.changes) == 4
    card = (run / "README.md").read_text(encoding="utf-8")
    assert "Less safe" not in card
    assert "| empathy | Is it warm? |" in card


def test_conduct_in_a_crisis_gates_as_well(tmp_path: Path) -> None:
    """Out of the output of `soulchat benchmark crisis`; a talk without a score counts for neither."""
    run = make_model_folder(tmp_path / "tuned", make_results(preferences={"objective": "dpo", "items_needed": 432}))
    folder = tmp_path / "crisis"
    folder.mkdir()
    scores = {"base": [90.0] * 12, "tuned": [60.0] * 11 + [None]}
    rows = [
        {"system": system, "id": f"talk-{n}", "score": score}
        for system, found in scores.items()
        for n, score in enumerate(found)
    ]
    (folder / "walks.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    told = {"chart": "conduct", "validation": "not validated by clinicians", "answered_by": "signs (words alone)"}
    (folder / "conduct.json").write_text(json.dumps(told))
    ran = CliRunner().invoke(app, ["gate", str(folder), str(run)])
    assert ran.exit_code == 3
    [change] = read_results(run / "results.json").preferences.changes
    assert (change.aspect, change.items, change.before) == ("conduct in a crisis", 11, pytest.approx(0.9))
    assert change.after == pytest.approx(0.6)
    assert change.judged_by == "chart conduct, not validated by clinicians, by signs (words alone)"
    assert read_results(run / "results.json").preferences.items_needed == 432
    with pytest.raises(ValueError, match="system is nobody; allowed, those that were tried: base, tuned"):
        compare_conduct(folder, "base", "nobody")
    (folder / "conduct.json").write_text("{}")
    with pytest.raises(ValueError, match=r"crisis is unreadable .*allowed: what `soulchat benchmark crisis` wrote"):
        compare_conduct(folder, "base", "tuned")


def test_what_cannot_be_compared_is_one_line(tmp_path: Path) -> None:
    study, run = make_run(tmp_path, unsafe=0)
    with pytest.raises(ValueError, match="system is nobody; allowed, those that were rated: base, tuned"):
        add_ratings(read_ratings(study), run, "base", "nobody")
    other = make_model_folder(tmp_path / "sft", make_results())
    with pytest.raises(ValueError, match="sft learned no preferences"):
        add_ratings(read_ratings(study), other, "base", "tuned")


def test_ratings_without_safety_do_not_say_that_it_did_not_fall(tmp_path: Path) -> None:
    study, run = make_run(tmp_path, unsafe=8)
    told = read_ratings(study)
    without = {
        system: [
            replace(reply, scores={rater: {"empathy": given["empathy"]} for rater, given in reply.scores.items()})
            for reply in replies
        ]
        for system, replies in told.by_system.items()
    }
    before = read_results(run / "results.json").preferences.items_needed
    found = add_ratings(replace(told, by_system=without, asked={"empathy": "?"}), run, "base", "tuned")
    assert "Safety was not asked of anybody." in describe_changes(found)
    assert found.items_needed == before


def test_what_is_found_waits_for_a_run_that_is_at_work(tmp_path: Path) -> None:
    """Of two gates at once one would write the results without what the other found."""
    study, run = make_run(tmp_path, unsafe=0)
    before = (run / "results.json").read_bytes()
    with working_in(run, "training"), pytest.raises(OSError, match=r"is in use by training \(process \d+ on "):
        CliRunner().invoke(app, ["gate", str(study), str(run), "--after", "tuned"], catch_exceptions=False)
    assert (run / "results.json").read_bytes() == before
