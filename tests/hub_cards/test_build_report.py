"""What the steps of `soulchat corpus` left, brought together."""

from pathlib import Path

import orjson
import pytest

from hub_cards.build_report import collect_build, find_reports
from tests.hub_cards.samples import make_reports


def test_the_numbered_neighbours_in_their_order(tmp_path: Path) -> None:
    made = make_reports(tmp_path)
    for name in ("10-clean", "notes", "5-build", "9-other"):
        (tmp_path / name).mkdir()
    assert [path.name for path in find_reports(tmp_path / "5-build")] == [path.name for path in made] + ["10-clean"]
    assert find_reports(tmp_path / "5-build", [made[2]]) == [made[2]]
    with pytest.raises(FileNotFoundError, match=r"notes has no report\.json"):
        find_reports(tmp_path / "5-build", [tmp_path / "notes"])


def test_numbers_by_kind(tmp_path: Path) -> None:
    build = collect_build(make_reports(tmp_path))
    assert build["cleaning"][0] == {
        "step": "1-clean",
        "rule": "all",
        "action": "read",
        "reason": "questions",
        "count": 1600,
    }
    assert len(build["cleaning"]) == 6
    assert [row["step"] for row in build["proofreading"]] == ["2-review"]
    assert build["rewriting"]["accepted"] == 1450
    assert build["statistics"]["conversations on 情绪"] == 1000
    assert build["statistics"]["characters of a user message, mean"] == 41.2
    assert "conversations on none" not in build["statistics"]


def test_people_without_their_occupations(tmp_path: Path) -> None:
    steps = make_reports(tmp_path)
    stats = next(step / "stats.json" for step in steps if (step / "stats.json").is_file())
    people = {
        "clients": {"source": {"record": 3, "drawn": 2}, "gender": {"female": 3}, "openness": {"high": 2}},
        "counsellors": {"lin": 5},
    }
    stats.write_bytes(orjson.dumps(orjson.loads(stats.read_bytes()) | people))
    found = collect_build(steps)["statistics"]
    assert {name: count for name, count in found.items() if " with a client" in name or "style" in name} == {
        "conversations with a client of whom something is stated": 3,
        "conversations with a client whose traits were drawn by chance": 2,
        "conversations with a client of gender female": 3,
        "conversations with a client of openness high": 2,
        "conversations in the style of lin": 5,
    }


def test_no_steps_no_numbers() -> None:
    assert collect_build([]) == {"cleaning": [], "proofreading": []}
