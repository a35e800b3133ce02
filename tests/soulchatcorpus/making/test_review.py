"""The proofreading's store: handing out, deciding, undoing, logging, agreement, import and export."""

import sqlite3
import threading
from collections import Counter

import orjson
import pytest

from soulchatcorpus.files import write_lines
from soulchatcorpus.making import review
from soulchatcorpus.making.options import ReviewOptions
from soulchatcorpus.making.review import ReviewStore

FLAGS = [{"step": "special", "reason": "我是"}]


def question(number: int, **more) -> dict:
    return {"id": str(number), "question": f"问{number}", "answer": f"答{number}", **more}


@pytest.fixture
def source(tmp_path):
    """Ten records; those with an even id are flagged."""
    write_lines(tmp_path / "questions.jsonl", [question(n, **({} if n % 2 else {"flags": FLAGS})) for n in range(10)])
    return tmp_path / "questions.jsonl"


@pytest.fixture
def store(source, tmp_path):
    store = ReviewStore(tmp_path / "out" / "review.sqlite")
    assert store.fill(source, ReviewOptions(flagged=True, sample=0.0, shared=0.0)) == 5
    return store


def read_lines(path) -> list[dict]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_flagged_and_sampled_are_queued_once(source, tmp_path):
    store = ReviewStore(tmp_path / "r.sqlite")
    assert store.fill(source, ReviewOptions(flagged=False, sample=1.0, shared=0.0)) == 10
    assert store.fill(source, ReviewOptions(flagged=True, sample=1.0, shared=0.0)) == 10
    assert ReviewStore(tmp_path / "s.sqlite").fill(source, ReviewOptions(flagged=False, sample=0.0, shared=0.0)) == 0


def test_an_open_item_stays_the_reviewer_s_and_no_other_s(store):
    assert store.claim("r1").id == "0"
    assert store.claim("r2").id == "2"
    assert store.claim("r1").id == "0"


def test_several_reviewers_at_once_never_get_the_same_item(source, tmp_path):
    store = ReviewStore(tmp_path / "r.sqlite")
    write_lines(source, [question(n) for n in range(120)])
    store.fill(source, ReviewOptions(flagged=False, sample=1.0, shared=0.0))
    taken: Counter[str] = Counter()

    def work(name: str) -> None:
        mine = ReviewStore(tmp_path / "r.sqlite")
        while item := mine.claim(name):
            taken[item.id] += 1
            mine.decide(name, item.id, "keep")

    threads = [threading.Thread(target=work, args=(f"r{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 120
    assert set(taken.values()) == {1}
    assert store.standing("r0").done == 120


def test_a_claim_left_too_long_goes_to_another(store, monkeypatch):
    assert store.claim("r1").id == "0"
    monkeypatch.setattr(review, "LEASE_SECONDS", -1)
    assert store.claim("r2").id == "0"
    with pytest.raises(ValueError, match="not open for r1"):
        store.decide("r1", "0", "keep")


@pytest.mark.parametrize(
    ("decision", "reason", "edited", "message"),
    [
        ("drop", "", None, "allowed: keep, edit, remove"),
        ("remove", " ", None, "reason is empty; allowed: text"),
        ("edit", "", None, "comes with the edited record"),
        ("keep", "", {"id": "0"}, "comes with the edited record"),
    ],
)
def test_bad_decisions(store, decision, reason, edited, message):
    store.claim("r1")
    with pytest.raises(ValueError, match=message):
        store.decide("r1", "0", decision, reason, edited)


@pytest.mark.parametrize("name", ["", "Zhang San", "张三", "x" * 17])
def test_reviewers_are_ids_not_names(store, name):
    with pytest.raises(ValueError, match="no name"):
        store.claim(name)


def test_undo_opens_the_last_item_again(store):
    store.decide("r1", store.claim("r1").id, "keep")
    store.decide("r1", store.claim("r1").id, "remove", "harmful")
    assert store.undo("r1") == "2"
    assert store.claim("r1").id == "2"
    assert store.standing("r1").own == 1
    assert store.undo("r2") is None


def test_export_audit_and_import(store, source, tmp_path):
    store.decide("r1", store.claim("r1").id, "keep")
    store.decide("r1", store.claim("r1").id, "remove", "harmful")
    item = store.claim("r2")
    store.decide("r2", item.id, "edit", "poor language", item.record | {"answer": "改"})
    out = tmp_path / "out"
    report = store.export(source, out)
    assert {key: report[key] for key in ("read", "keep", "edit", "remove", "not_reviewed")} == {
        "read": 10,
        "keep": 1,
        "edit": 1,
        "remove": 1,
        "not_reviewed": 7,
    }
    kept = {record["id"]: record for record in read_lines(out / "questions.jsonl")}
    assert "2" not in kept
    assert len(kept) == 9
    assert kept["4"]["answer"] == "改"
    assert kept["0"]["provenance"] == {"reviewer_decision": "keep", "reviewer": "r1"}
    assert "provenance" not in kept["1"]
    assert read_lines(out / "removed.jsonl") == [{"id": "2", "reason": "harmful", "reviewer": "r1"}]
    audit = read_lines(out / "audit.jsonl")
    assert [(row["reviewer"], row["action"], row["id"]) for row in audit] == [
        ("r1", "keep", "0"),
        ("r1", "remove", "2"),
        ("r2", "edit", "4"),
    ]
    assert (audit[2]["before"]["answer"], audit[2]["after"]["answer"]) == ("答4", "改")
    other = ReviewStore(tmp_path / "other" / "review.sqlite")
    other.fill(source, ReviewOptions(flagged=True, sample=0.0, shared=0.0))
    assert other.import_decisions(out / "decisions.jsonl") == 3
    assert other.import_decisions(out / "decisions.jsonl") == 0
    assert other.export(source, tmp_path / "other")["remove"] == 1
    imported = read_lines(tmp_path / "other" / "audit.jsonl")
    assert [(row["reviewer"], row["action"], row["id"]) for row in imported] == [
        ("r1", "import keep", "0"),
        ("r1", "import remove", "2"),
        ("r2", "import edit", "4"),
    ]
    assert (imported[2]["before"]["answer"], imported[2]["after"]["answer"]) == ("答4", "改")


def test_a_record_whose_text_has_changed_is_read_anew(store, source, tmp_path):
    """As after another rewriting of the same questions: a decision on the old text says nothing of the new one."""
    for decision, reason in (("keep", ""), ("edit", ""), ("remove", "harmful")):
        item = store.claim("r1")
        edited = item.record | {"answer": "改"} if decision == "edit" else None
        store.decide("r1", item.id, decision, reason, edited)
    changed = [question(n, answer=f"新{n}", flags=FLAGS) for n in (0, 2, 4)]
    write_lines(source, [*changed, question(6, flags=[*FLAGS, *FLAGS])])
    assert store.fill(source, ReviewOptions(flagged=True, sample=0.0, shared=0.0)) == 4
    assert store.standing() == review.Standing(done=0, total=4, own=0)
    assert store.claim("r1").id == "6"
    report = store.export(source, tmp_path / "out")
    assert (report["read"], report["not_reviewed"]) == (4, 4)
    assert [record["answer"] for record in read_lines(tmp_path / "out" / "questions.jsonl")] == [
        "新0",
        "新2",
        "新4",
        "答6",
    ]
    reopened = [row for row in read_lines(tmp_path / "out" / "audit.jsonl") if row["action"] == "reopen"]
    assert [(row["id"], row["before"]["answer"], row["after"]["answer"]) for row in reopened] == [
        ("0", "答0", "新0"),
        ("2", "答2", "新2"),
        ("4", "答4", "新4"),
    ]


def test_nobody_waits_for_a_record_that_is_no_longer_there(store, source):
    store.decide("r1", store.claim("r1").id, "keep")
    lines = source.read_bytes().splitlines()
    source.write_bytes(b"\n".join(lines[2:]))
    assert store.fill(source, ReviewOptions(flagged=True, sample=0.0, shared=0.0)) == 4
    assert store.standing("r1") == review.Standing(done=0, total=4, own=1)
    source.write_bytes(b"\n".join(lines))
    assert store.fill(source, ReviewOptions(flagged=True, sample=0.0, shared=0.0)) == 5
    assert store.standing("r1") == review.Standing(done=1, total=5, own=1)


def test_an_import_does_not_decide_what_it_does_not_name(store, source, tmp_path):
    decision = {"id": "0", "decision": "keep", "reason": "", "record": None, "at": 1.0}
    rows = [decision | {"reviewer": reviewer} for reviewer in ("r1", "r2", "r3")]
    (tmp_path / "d.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    total = store.standing().total
    assert store.import_decisions(tmp_path / "d.jsonl") == 3
    assert store.standing() == review.Standing(done=1, total=total, own=0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not JSON"),
        ('{"id": "2"}', "line 2: a decision has at, decision, id"),
        (
            '{"id": "2", "reviewer": "r", "decision": "perhaps", "reason": "", "record": null, "at": 1}',
            "line 2: decision is 'perhaps'; allowed: keep, edit, remove",
        ),
        (
            '{"id": "2", "reviewer": "Anna Weber", "decision": "keep", "reason": "", "record": null, "at": 1}',
            "line 2: reviewer is 'Anna Weber'; allowed: an id",
        ),
        (
            '{"id": "2", "reviewer": "r", "decision": "remove", "reason": null, "record": null, "at": 1}',
            "line 2: id, reviewer, decision and reason are not all text",
        ),
        (
            '{"id": "2", "reviewer": "r", "decision": "keep", "reason": "", "record": null, "at": "now"}',
            "line 2: at is 'now'; allowed: a Unix time",
        ),
        (
            '{"id": "2", "reviewer": "r", "decision": "edit", "reason": "", "record": null, "at": 1}',
            "line 2: an edit, and only an edit, comes with the edited record",
        ),
        (
            '{"id": "2", "reviewer": "r", "decision": "edit", "reason": "", "record": "text", "at": 1}',
            "line 2: the edited record is none of '2' with id, question, answer",
        ),
        (
            '{"id": "2", "reviewer": "r", "decision": "edit", "reason": "", '
            '"record": {"id": "3", "question": "问", "answer": "答"}, "at": 1}',
            "line 2: the edited record is none of '2'",
        ),
        (
            '{"id": "2", "reviewer": "r", "decision": "edit", "reason": "", '
            '"record": {"id": "2", "question": "问", "answer": 5}, "at": 1}',
            "line 2: the edited record: question and answer are not both text",
        ),
    ],
)
def test_an_import_with_a_broken_line_takes_over_nothing(store, tmp_path, line, message):
    good = {"id": "0", "reviewer": "r", "decision": "keep", "reason": "", "record": None, "at": 1.0}
    (tmp_path / "d.jsonl").write_text(f"{orjson.dumps(good).decode()}\n{line}\n")
    with pytest.raises(ValueError, match=message):
        store.import_decisions(tmp_path / "d.jsonl")
    assert store.standing().done == 0


def test_shared_items_are_decided_twice_and_agreement_is_reported(source, tmp_path):
    store = ReviewStore(tmp_path / "r.sqlite")
    store.fill(source, ReviewOptions(flagged=True, sample=1.0, shared=1.0))
    for name in ("r1", "r2", "r3"):
        for _ in range(10):
            item = store.claim(name)
            if item is None:
                break
            remove = int(item.id) < (5 if name == "r1" else 4)
            store.decide(name, item.id, "remove" if remove else "keep", "harmful" if remove else "")
    assert store.standing("r3") == review.Standing(done=20, total=20, own=0)
    # r1 removes 0 to 4, r2 removes 0 to 3: nine of ten agree; chance 0.5 * 0.4 + 0.5 * 0.6 = 0.5; kappa = 0.4 / 0.5.
    assert store.agreement() == {"items": 10, "agreement": pytest.approx(0.9), "kappa": pytest.approx(0.8)}
    assert store.export(source, tmp_path / "out")["remove"] == 5


def test_a_store_of_another_version_is_refused(store):
    with sqlite3.connect(store.path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(ValueError, match="a review of version 99"):
        ReviewStore(store.path)
