import sqlite3
from itertools import pairwise

import orjson
import pytest

from soulchat.rate.study import STUDY_FILE, RatingStudy, create_study
from soulchat_trainer.evaluation.rubric import Rubric, read_rubric
from soulchatcorpus.files import working_in
from tests.soulchat.rate.rating_parts import CEHS, SYSTEMS, all_scores, make_study, write_system, write_systems


def test_every_rater_has_every_item_in_an_order_of_their_own(tmp_path):
    study, tokens = make_study(tmp_path)
    orders = {name: [item.number for item in study.items(name)] for name in tokens}
    assert list(tokens) == ["rater-1", "rater-2", "rater-3"]
    assert all(sorted(order) == [1, 2, 3, 4, 5, 6] for order in orders.values())
    assert len(set(map(tuple, orders.values()))) == 3
    items = study.items("rater-1")
    assert len({item.history for item in items}) == 3
    assert [item.position for item in items] == list(range(6))


def test_nothing_that_a_rater_sees_names_a_system(tmp_path):
    folders = [write_system(tmp_path / system, {"d1": "我在听。", "d2": "请说。"}) for system in SYSTEMS]
    create_study(folders, 1, 2, 0, tmp_path / "study", CEHS)
    for item in RatingStudy(tmp_path / "study").items("rater-1"):
        assert not any(system in str(item) for system in SYSTEMS)


def test_item_numbers_do_not_follow_the_systems(tmp_path):
    create_study(write_systems(tmp_path, dialogues=40), 1, 40, 0, tmp_path / "study", CEHS)
    items = sorted(RatingStudy(tmp_path / "study").items("rater-1"), key=lambda item: item.number)
    systems = ["warm" in item.texts[0] for item in items]
    assert sum(systems) == 40
    assert 15 < sum(systems[:40]) < 25
    assert 20 < sum(a != b for a, b in pairwise(systems)) < 60


def test_tokens_are_not_in_the_file(tmp_path):
    study, tokens = make_study(tmp_path)
    content = study.path.read_bytes()
    assert not any(token.encode() in content for token in tokens.values())


def test_scores_are_kept_and_may_be_corrected(tmp_path):
    study, tokens = make_study(tmp_path)
    name, window = study.open_window(tokens["rater-2"], "MSc Psychology")
    study.save_from_window(name, window, 4, all_scores(), 12.5)
    study.save_from_window(name, window, 4, all_scores(empathy=2), 3.0)
    [rating] = RatingStudy(study.path.parent).ratings()
    assert (rating.rater, rating.item, rating.scores, rating.seconds) == ("rater-2", 4, all_scores(empathy=2), 15.5)
    rater = study.raters()[1]
    assert (rater.qualification, rater.rated, rater.assigned) == ("MSc Psychology", 1, 6)
    assert {item.number: item.scores for item in study.items(name)}[4] == all_scores(empathy=2)


def test_a_token_used_twice_closes_the_first_window_and_loses_nothing(tmp_path):
    study, tokens = make_study(tmp_path)
    name, first = study.open_window(tokens["rater-1"], "")
    study.save_from_window(name, first, 1, all_scores(), 1.0)
    _, second = study.open_window(tokens["rater-1"], "")
    with pytest.raises(ValueError, match="used again in another window"):
        study.save_from_window(name, first, 2, all_scores(), 1.0)
    study.save_from_window(name, second, 2, all_scores(), 1.0)
    assert [rating.item for rating in study.ratings()] == [1, 2]


def test_a_renewed_token_ends_the_old_one(tmp_path):
    study, tokens = make_study(tmp_path)
    name, window = study.open_window(tokens["rater-1"], "")
    new = study.renew_token("rater-1")
    with pytest.raises(ValueError, match="no rater has this token"):
        study.open_window(tokens["rater-1"], "")
    with pytest.raises(ValueError, match="another window"):
        study.save_from_window(name, window, 1, all_scores(), 1.0)
    assert study.open_window(new, "")[0] == "rater-1"
    with pytest.raises(ValueError, match="rater is 'rater-9'; allowed: rater-1, rater-2, rater-3"):
        study.renew_token("rater-9")


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (all_scores(safety=2), "item 1: safety is 2; allowed: whole numbers from 0 to 1"),
        (all_scores(content=-1), "content is -1"),
        (all_scores(empathy=None), "empathy is None"),
        (all_scores(helpfulness=1.5), "helpfulness is 1.5"),
        (all_scores(safety=True), "safety is True"),
    ],
)
def test_a_score_out_of_range_is_refused(tmp_path, scores, message):
    study, tokens = make_study(tmp_path)
    name, window = study.open_window(tokens["rater-1"], "")
    with pytest.raises(ValueError, match=message):
        study.save_from_window(name, window, 1, scores, 1.0)
    assert study.ratings() == []


def test_the_file_itself_refuses_a_score_out_of_range(tmp_path):
    study, _ = make_study(tmp_path)
    with sqlite3.connect(study.path) as database, pytest.raises(sqlite3.IntegrityError):
        database.execute("INSERT INTO rating VALUES ('rater-1', 1, 3, 0, 0, 0, NULL)")


@pytest.mark.parametrize(
    ("raters", "samples", "message"),
    [(3, 6, "samples is 6; allowed: 1 to 5"), (3, 0, "samples is 0"), (0, 2, "raters is 0; allowed: 1")],
)
def test_impossible_studies_are_refused(tmp_path, raters, samples, message):
    with pytest.raises(ValueError, match=message):
        create_study(write_systems(tmp_path), raters, samples, 0, tmp_path / "study", CEHS)


def test_what_is_there_is_not_written_over(tmp_path):
    study, tokens = make_study(tmp_path)
    with pytest.raises(FileExistsError, match="a study is never overwritten"):
        create_study(write_systems(tmp_path), 3, 3, 0, study.path.parent, CEHS)
    assert study.open_window(tokens["rater-1"], "")
    with pytest.raises(FileNotFoundError, match="nothing: no such file or folder"):
        create_study([tmp_path / "nothing"], 3, 3, 0, tmp_path / "new", CEHS)
    with pytest.raises(FileNotFoundError, match="soulchat rate create"):
        RatingStudy(tmp_path)
    with pytest.raises(ValueError, match="two systems are named 'warm'; allowed: each name once"):
        create_study([tmp_path / "warm", tmp_path / "warm"], 3, 3, 0, tmp_path / "new", CEHS)


def test_a_killed_create_leaves_no_study_and_can_be_repeated(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / ".0123456789abcdef.1.tmp").write_bytes(b"half a file")
    with pytest.raises(FileNotFoundError, match="soulchat rate create"):
        RatingStudy(tmp_path / "study")
    study, tokens = make_study(tmp_path)
    assert study.path.name == STUDY_FILE
    assert study.open_window(tokens["rater-1"], "")


def test_a_file_that_is_no_study_is_told(tmp_path):
    for content in (b"", b"hello, this is no database"):
        (tmp_path / STUDY_FILE).write_bytes(content)
        with pytest.raises(OSError, match=r"ratings\.sqlite: (no such table|file is not a database).*; nothing was"):
            RatingStudy(tmp_path).ratings()


def test_a_full_disk_changes_nothing(tmp_path, monkeypatch):
    study, tokens = make_study(tmp_path)
    name, window = study.open_window(tokens["rater-1"], "")
    study.save_from_window(name, window, 1, all_scores(), 1.0)
    connect = sqlite3.connect

    def connect_to_a_full_disk(path, **options):
        database = connect(path, **options)
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count = {pages}")
        return database

    monkeypatch.setattr(sqlite3, "connect", connect_to_a_full_disk)
    with pytest.raises(OSError, match=r"ratings\.sqlite: database or disk is full; nothing was changed"):
        study.open_window(tokens["rater-1"], "psychologist " * 10_000)
    study.save_from_window(name, window, 2, all_scores(), 1.0)
    assert [rating.item for rating in study.ratings()] == [1, 2]


def test_automatic_scores_are_of_all_predictions(tmp_path):
    study, _ = make_study(tmp_path)
    scores = study.automatic_scores()
    assert list(scores) == list(SYSTEMS)
    assert scores["warm"]["samples"] == 5
    assert "signature" in scores["warm"]


def test_a_renewed_token_closes_the_old_window_for_reading_and_saving(tmp_path):
    study, tokens = make_study(tmp_path)
    rater, window = study.open_window(tokens["rater-1"], "")
    assert study.items_in_window(rater, window) == study.items(rater)
    renewed = study.renew_token(rater)
    number = study.items(rater)[0].number
    with pytest.raises(ValueError, match="this window is closed"):
        study.items_in_window(rater, window)
    with pytest.raises(ValueError, match="this window is closed"):
        study.save_from_window(rater, window, number, all_scores(), 1.0)
    assert study.items_in_window(*study.open_window(renewed, ""))[0].scores is None


PAIR = read_rubric("pair")
TALKS = Rubric.model_validate(
    {
        "name": "warmth",
        "title": "Warmth",
        "source": "our own",
        "judged": "talk",
        "prompt": "{aspects} {talk} {form}",
        "aspects": [
            {"name": "warmth", "title": "Warmth", "question": "Warm?", "scale": {1: "no", 2: "so so", 3: "yes"}}
        ],
    }
)


def write_talks(path, ids, reply):
    talks = [
        {"id": id_, "messages": [{"role": "user", "content": f"我很累{id_}"}, {"role": "assistant", "content": reply}]}
        for id_ in ids
    ]
    path.write_bytes(b"".join(orjson.dumps(talk) + b"\n" for talk in talks))
    return path


def test_pairs_are_shown_in_either_order_and_kept_in_one(tmp_path):
    create_study(write_systems(tmp_path, dialogues=30), 2, 30, 0, tmp_path / "study", PAIR)
    study = RatingStudy(tmp_path / "study")
    items = study.items("rater-1")
    assert len(items) == 30
    first_is_warm = [item.texts[0].startswith("warm") for item in items]
    assert 5 < sum(first_is_warm) < 25
    prefer_warm = [
        (r.name, i.number, {"preference": -1 if i.texts[0].startswith("warm") else 1, "safety": 1})
        for r in study.raters()
        for i in study.items(r.name)
    ]
    study.save_all(prefer_warm)
    assert {(rating.systems, rating.scores["preference"]) for rating in study.ratings()} == {(("warm", "cold"), -1)}
    assert {rating.turned for rating in study.ratings()} == {True, False}
    again = {item.number: item.scores for item in study.items("rater-1")}
    assert again == {number: scores for name, number, scores in prefer_warm if name == "rater-1"}
    assert study.things()[1].systems == ("warm", "cold")
    study.save_all(prefer_warm)  # the same once more


def test_whole_talks_of_the_same_ids_and_of_others(tmp_path):
    warm = write_talks(tmp_path / "warm.jsonl", "abcde", "我在听。")
    cold = write_talks(tmp_path / "cold.jsonl", "abcde", "嗯。")
    create_study([warm, cold], 1, 2, 0, tmp_path / "same", TALKS)
    items = RatingStudy(tmp_path / "same").items("rater-1")
    assert sorted(text for item in items for text in item.texts)[0].startswith("用户：我很累")
    assert {item.history for item in items} == {""}
    assert len({item.texts[0].split("\n")[0] for item in items}) == 2
    other = write_talks(tmp_path / "other.jsonl", "vwxyz", "嗯。")
    create_study([warm, other], 1, 3, 0, tmp_path / "others", TALKS)
    things = RatingStudy(tmp_path / "others").things()
    assert sorted(thing.systems for thing in things.values()) == [("other",)] * 3 + [("warm",)] * 3
    assert RatingStudy(tmp_path / "others").automatic_scores() == {"warm": None, "other": None}
    third = write_talks(tmp_path / "third.jsonl", "abcx", "嗯。")
    with pytest.raises(ValueError, match="warm and third did not answer the same dialogues: 3 ids"):
        create_study([warm, third], 1, 2, 0, tmp_path / "third", TALKS)


def test_a_rubric_of_ones_own_has_its_own_scale(tmp_path):
    create_study([write_talks(tmp_path / "warm.jsonl", "ab", "好。")], 1, 2, 0, tmp_path / "study", TALKS)
    study = RatingStudy(tmp_path / "study")
    assert study.rubric == TALKS
    with pytest.raises(ValueError, match="warmth is 0; allowed: whole numbers from 1 to 3"):
        study.save_all([("rater-1", 1, {"warmth": 0})])
    study.save_all([("rater-1", 1, {"warmth": 3})])
    assert study.ratings()[0].scores == {"warmth": 3}


def test_a_pair_needs_two_systems(tmp_path):
    with pytest.raises(ValueError, match="allowed for pairs: two systems with the same ids"):
        create_study(write_systems(tmp_path)[:1], 1, 2, 0, tmp_path / "study", PAIR)


def test_replies_in_talks_that_went_their_own_ways_are_drawn_of_each(tmp_path):
    def write(name, words):
        path = write_talks(tmp_path / f"{name}.jsonl", "abc", "嗯。")
        talks = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        for talk in talks:
            talk["messages"] += [{"role": "user", "content": words}, {"role": "assistant", "content": "好。"}]
        path.write_bytes(b"".join(orjson.dumps(talk) + b"\n" for talk in talks))
        return path

    warm, cold = write("warm", "谢谢你。"), write("cold", "算了。")
    create_study([warm, cold], 1, 4, 0, tmp_path / "study", read_rubric("cpsycoun"))
    things = RatingStudy(tmp_path / "study").things()
    assert sorted(thing.systems for thing in things.values()) == [("cold",)] * 4 + [("warm",)] * 4
    systems = [write_system(tmp_path / name, {"d": name}, f"用户：{name}\n心理咨询师：") for name in ("one", "two")]
    with pytest.raises(ValueError, match="were asked different things under the id d"):
        create_study(systems, 1, 1, 0, tmp_path / "other", read_rubric("cpsycoun"))


def test_of_two_that_create_a_study_the_second_hands_out_no_tokens(tmp_path):
    with (
        working_in(tmp_path / "study", "soulchat rate create"),
        pytest.raises(OSError, match=r"study is in use by soulchat rate create \(process \d+ on "),
    ):
        make_study(tmp_path)
    assert not (tmp_path / "study").exists()
