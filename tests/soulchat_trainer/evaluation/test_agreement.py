"""What is told of judge and people, by hand and against the libraries, and what has no number."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from soulchat_trainer.evaluation.agreement import compare_with_people, nearest, read_judgement
from soulchat_trainer.evaluation.agreement_report import write_agreement
from soulchat_trainer.evaluation.correction import corrected_mean, corrected_share
from soulchat_trainer.evaluation.items import Scored
from soulchat_trainer.evaluation.judge import Asked
from soulchat_trainer.evaluation.rubric import read_rubric
from tests.soulchat_trainer.evaluation.agreement_parts import rate, write_answers, write_judgement

pytest.importorskip("scipy", reason="the extra `train` is not installed")


def scores(point: int, safety: int = 1) -> dict[str, int]:
    return {"content": point, "empathy": point, "helpfulness": point, "safety": safety}


def draw(items: int = 60, rated: int = 30, systems: tuple[str, ...] = ("warm", "cold"), seed: int = 0):
    """An overrating judge of all items, and three people who rate the first `rated`."""
    generator = np.random.default_rng(seed)
    judged, ratings = {}, []
    for system in systems:
        for number in range(items):
            id_ = f"d{number}-0"
            point, safe = int(generator.integers(3)), int(generator.random() < 0.8)
            judged[system, id_] = scores(
                min(2, point + int(generator.random() < 0.4)), safe or int(generator.random() < 0.3)
            )
            if number < rated:
                for rater in ("a", "b", "c"):
                    seen = point if generator.random() < 0.8 else int(generator.integers(3))
                    ratings.append(rate(rater, system, id_, scores(seen, safe)))
    return judged, ratings


def of_item(ratings: list[Scored], system: str, id_: str, aspect: str) -> list[int]:
    """All raters' scores of one item."""
    return [
        scores[aspect]
        for item, given in ratings
        if (item.systems[0], item.id) == (system, id_)
        for scores in given.values()
    ]


def test_numbers_of_one_aspect_by_hand(tmp_path: Path) -> None:
    judged = {
        ("warm", f"d{n}-0"): scores(point, safe) for n, (point, safe) in enumerate([(2, 1), (2, 1), (1, 1), (0, 0)])
    }
    people = [rate("a", "warm", f"d{n}-0", scores(p, s)) for n, (p, s) in enumerate([(2, 1), (1, 1), (1, 0), (0, 0)])]
    report = compare_with_people(read_judgement(write_judgement(tmp_path, judged)), people)
    told = report["aspects"]["content"]
    assert told["confusion"] == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    assert told["bias"]["value"] == 0.25
    assert told["kappa"]["value"] == pytest.approx(0.8)  # 1 - 1 * 4 / (expected 20 of 16)
    assert told["alpha_raters"]["value"] is None
    assert told["notes"] == ["one rater only: how far raters agree is not known"]
    safety = report["aspects"]["safety"]
    assert (safety["sensitivity"]["value"], safety["specificity"]["value"]) == (0.5, 1.0)
    assert (report["judged"], report["rated"], report["both"], report["raters"]) == (4, 4, 4, 1)


def test_agreement_equals_the_libraries(tmp_path: Path) -> None:
    sklearn_metrics, krippendorff = pytest.importorskip("sklearn.metrics"), pytest.importorskip("krippendorff")
    judged, ratings = draw()
    report = compare_with_people(read_judgement(write_judgement(tmp_path, judged)), ratings)
    keys = [key for key in judged if int(key[1][1:-2]) < 30]
    given = np.array([of_item(ratings, *key, "content") for key in keys])
    machine = np.array([judged[key]["content"] for key in keys])
    told = report["aspects"]["content"]
    middle = nearest(given.mean(axis=1)).astype(int)
    expected = sklearn_metrics.cohen_kappa_score(middle, machine, weights="quadratic")
    assert told["kappa"]["value"] == pytest.approx(expected, abs=1e-9)
    low, high = told["kappa"]["interval"]
    assert low < expected < high
    alone = krippendorff.alpha(given.T, level_of_measurement="ordinal")
    together = krippendorff.alpha(np.vstack([given.T, machine]), level_of_measurement="ordinal")
    assert told["alpha_raters"]["value"] == pytest.approx(alone, abs=1e-9)
    assert told["alpha_with_judge"]["value"] == pytest.approx(together, abs=1e-9)


def test_corrected_means_and_differences_are_those_of_the_formulas(tmp_path: Path) -> None:
    judged, ratings = draw()
    report = compare_with_people(read_judgement(write_judgement(tmp_path, judged)), ratings, width=0.1)
    people = {
        (system, number): np.array(of_item(ratings, system, f"d{number}-0", "content"))
        for system in ("warm", "cold")
        for number in range(30)
    }
    rated = {s: np.array([people[s, n].mean() for n in range(30)]) for s in ("warm", "cold")}
    machine = {
        s: np.array([judged[s, f"d{n}-0"]["content"] for n in range(60)], dtype=float) for s in ("warm", "cold")
    }
    told = report["systems"]["warm"]["content"]
    expected = corrected_mean(rated["warm"], machine["warm"][:30], machine["warm"][30:], (0, 2))
    assert told["corrected"]["interval"] == pytest.approx([float(expected.low), float(expected.high)])
    assert told["judge"] == pytest.approx(machine["warm"].mean())
    assert told["people"]["mean"] == pytest.approx(rated["warm"].mean())
    assert (told["rated"], told["judged"]) == (30, 60)
    assert told["ratings_missing"] > 0
    [difference] = report["differences"]
    gap = machine["cold"] - machine["warm"]
    expected = corrected_mean(rated["cold"] - rated["warm"], gap[:30], gap[30:], (-2, 2))
    assert (difference["first"], difference["second"]) == ("warm", "cold")
    assert difference["aspects"]["content"]["difference"]["mean"] == pytest.approx(float(expected.mean))
    safety = report["systems"]["warm"]["safety"]
    safe = np.array([of_item(ratings, "warm", f"d{n}-0", "safety")[0] for n in range(30)])
    seen = np.array([judged["warm", f"d{n}-0"]["safety"] for n in range(60)])
    expected = corrected_share(safe.astype(float), seen[:30].astype(float), seen[30:].astype(float))
    assert safety["corrected"]["mean"] == pytest.approx(float(expected.mean))
    assert safety["rogan_gladen"] is not None


def test_the_mean_over_talks_counts_each_talk_once(tmp_path: Path) -> None:
    given = {"comprehensiveness": 2, "professionalism": 3, "authenticity": 3, "safety": 1}
    low = dict.fromkeys(given, 0)
    judged = {("warm", "long-0"): given, ("warm", "long-1"): given, ("warm", "long-2"): low, ("warm", "short-0"): low}
    people = [rate("a", *key, scores) for key, scores in judged.items()]
    report = compare_with_people(read_judgement(write_judgement(tmp_path, judged, "cpsycoun")), people)
    assert report["systems"]["warm"]["comprehensiveness"]["judge"] == pytest.approx((4 / 3 + 0) / 2)
    assert report["systems"]["warm"]["comprehensiveness"]["judged"] == 2
    assert report["systems"]["warm"]["comprehensiveness"]["corrected"] is None  # two talks


def test_pairs(tmp_path: Path) -> None:
    judged = {("warm|cold", f"d{n}-0"): {"preference": -1 if n % 3 else 1, "safety": 1} for n in range(12)}
    people = [rate("a", *key, {"preference": -1, "safety": 1}) for key in list(judged)[:6]]
    report = compare_with_people(read_judgement(write_judgement(tmp_path, judged, "pair")), people)
    assert report["systems"]["warm / cold"]["preference"]["judge"] == pytest.approx(-1 / 3)
    assert report["differences"] == []
    assert report["aspects"]["preference"]["confusion"] == [[4, 0, 2], [0, 0, 0], [0, 0, 0]]


def test_both_orders_of_a_pair_weigh_alike_however_often_each_has_scores(tmp_path: Path) -> None:
    folder = write_judgement(tmp_path, {("warm|cold", "d0-0"): {"preference": -1, "safety": 1}}, "pair")
    first, second = map(Asked.model_validate_json, (folder / "judged.jsonl").read_bytes().splitlines())
    second = second.model_copy(update={"scores": {"preference": 1, "safety": 1}})
    rows = [first, first.model_copy(update={"repeat": 1}), second]
    write_answers(folder, read_rubric("pair"), rows)
    assert read_judgement(folder).scores == {(("warm", "cold"), "d0-0"): {"preference": 0.0, "safety": 1.0}}


def test_what_is_equal_everywhere_is_said_and_no_nan_is_written(tmp_path: Path) -> None:
    judged = {("warm", f"d{n}-0"): scores(2) for n in range(8)}
    people = [rate(rater, *key, scores(1)) for key in list(judged)[:4] for rater in "ab"]
    folder = write_judgement(tmp_path, judged)
    judgement = read_judgement(folder)
    report = compare_with_people(judgement, people)
    told = report["aspects"]["content"]
    assert told["notes"] == [
        "people gave 1 to all items, so kappa and ICC tell nothing of the judge",
        "the judge gave 2 to all items and tells nothing",
    ]
    assert told["alpha_raters"] == {"value": None, "interval": None}
    corrected = report["systems"]["warm"]["content"]["corrected"]
    assert (corrected["mean"], corrected["interval"]) == (1, pytest.approx([0.5101, 1.4899], abs=1e-4))
    assert report["systems"]["warm"]["safety"]["rogan_gladen"] is None
    text = write_agreement(report, judgement.rubric, folder)
    assert "nan" not in text
    assert "not defined" in text
    assert b"NaN" not in (folder / "agreement.json").read_bytes()


def test_the_report_is_markdown_json_and_a_chart(tmp_path: Path) -> None:
    judged, ratings = draw()
    folder = write_judgement(tmp_path, judged)
    judgement = read_judgement(folder)
    text = write_agreement(compare_with_people(judgement, ratings), judgement.rubric, folder)
    assert "120 items are judged (0 more have no scores), 60 are rated by 3 people, 60 are both." in text
    assert "| cold - warm |" in text
    assert text == (folder / "agreement.md").read_text(encoding="utf-8")
    assert (folder / "agreement.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_in_common_and_other_words_are_refused(tmp_path: Path) -> None:
    judgement = read_judgement(write_judgement(tmp_path, {("warm", "d0-0"): scores(1)}))
    with pytest.raises(ValueError, match="1 items are judged and 1 rated, and none is both"):
        compare_with_people(judgement, [rate("a", "warm", "other-0", scores(1))])
    [item, given] = rate("a", "warm", "d0-0", scores(1))
    with pytest.raises(ValueError, match="people rated other words of warm under the id d0-0 than were judged"):
        compare_with_people(judgement, [(replace(item, texts=("x",)), given)])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("judged.json", b"{", "is unreadable"),
        (
            "judged.json",
            b"{}",
            r"judged.json is of another form \(note is missing; .*\); allowed: what `soulchat judge",
        ),
        ("judged.json", b"null", "is of another form"),
        ("judged.jsonl", b'{"id": 1}\n', "judged.jsonl, line 1: id is 1; allowed: a valid string"),
        ("judged.jsonl", b"", "judged.jsonl has 0 answers; allowed: 1, as judged.json beside it counts"),
    ],
)
def test_a_folder_that_is_no_judges(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    folder = write_judgement(tmp_path, {("warm", "d0-0"): scores(1)})
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_judgement(folder)


@pytest.mark.parametrize(
    "field", ["note", "rubric", "judge", "items", "open", "outcomes", "repeats", "orders", "requests"]
)
def test_an_account_that_lacks_what_is_used_is_told_in_a_line(field: str, tmp_path: Path) -> None:
    folder = write_judgement(tmp_path, {("warm", "d0-0"): scores(1)})
    account = orjson.loads((folder / "judged.json").read_bytes())
    for changed in ({key: value for key, value in account.items() if key != field}, {**account, field: None}):
        (folder / "judged.json").write_bytes(orjson.dumps(changed))
        with pytest.raises(
            ValueError, match=rf"judged.json is of another form \({field} is [^\n]*\); allowed: [^\n]*$"
        ):
            read_judgement(folder)


def test_answers_that_were_cut_off_between_two_lines_are_no_smaller_judgement(tmp_path: Path) -> None:
    folder = write_judgement(tmp_path, {("warm", f"d{n}-0"): scores(1) for n in range(4)})
    lines = (folder / "judged.jsonl").read_bytes().splitlines(keepends=True)
    for some in (lines[:2], [*lines, lines[0]]):
        (folder / "judged.jsonl").write_bytes(b"".join(some))
        with pytest.raises(ValueError, match=f"judged.jsonl has {len(some)} answers; allowed: 4, as judged.json"):
            read_judgement(folder)


@pytest.mark.parametrize("given", [{"content": 9}, {"content": None}])
def test_a_score_off_the_scale_or_missing_is_refused_with_its_line(given: dict, tmp_path: Path) -> None:
    folder = write_judgement(tmp_path, {("warm", f"d{n}-0"): scores(1) for n in range(2)})
    first, second = (orjson.loads(line) for line in (folder / "judged.jsonl").read_bytes().splitlines())
    second["scores"] = {name: point for name, point in {**second["scores"], **given}.items() if point is not None}
    (folder / "judged.jsonl").write_bytes(orjson.dumps(first) + b"\n" + orjson.dumps(second) + b"\n")
    with pytest.raises(
        ValueError, match=r"judged\.jsonl, line 2: content is (9|None); allowed: whole numbers from 0 to 2"
    ):
        read_judgement(folder)


def test_people_who_gave_0_to_all_items_gave_0(tmp_path: Path) -> None:
    judgement = read_judgement(write_judgement(tmp_path, {("warm", f"d{n}-0"): scores(n % 2) for n in range(4)}))
    report = compare_with_people(judgement, [rate("a", "warm", f"d{n}-0", scores(0)) for n in range(4)])
    note = "people gave 0 to all items, so kappa and ICC tell nothing of the judge"
    assert note in report["aspects"]["content"]["notes"]


def test_a_half_goes_towards_nothing() -> None:
    assert nearest(np.array([0.5, 1.5, 1.6, -0.5, -0.6, 2.0, 0.0])).tolist() == [0, 1, 2, 0, -1, 2, 0]
