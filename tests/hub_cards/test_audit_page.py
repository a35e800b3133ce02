"""An audit as a page for the card."""

from hub_cards.audit_page import render_audit

EMPTY = {"conversations": 0, "ids": []}
CORPUS = {
    "name": "one|two.jsonl",
    "conversations": 2000,
    "rejected": 4,
    "system_texts": {"conversations": 5, "different": 1},
    "repeated": {"opening": 3, "question": 2, "dialogue": 1},
    "findings": {
        "speaker_inside": {"conversations": 3, "ids": ["a", "b", "c"]},
        **dict.fromkeys(("note", "end_mark", "control_token", "json_punctuation"), EMPTY),
    },
}
PAIR = {
    "one": "one|two.jsonl",
    "other": "test",
    "conversations": 2000,
    "shared": {part: {"exact": 20, "near": 1} for part in ("opening", "question", "dialogue")},
}


def test_every_count_stands_in_the_page() -> None:
    page = render_audit({"corpora": [CORPUS], "pairs": [PAIR], "near": 0.7}, most_ids=2)
    assert "| one\\|two.jsonl | 2,000 | 4 | 5 (1 different) | 3 | 2 | 1 |" in page
    assert "| one\\|two.jsonl | another speaker's line inside a message | 3 | a, b … |" in page
    assert "Of the 2,000 conversations in one\\|two.jsonl, test has:" in page
    assert "| first message | 20 (1.0%) | 1 (0.1%) |" in page
    assert "at least 70%" in page


def test_a_clean_corpus_alone_has_one_table() -> None:
    clean = {**CORPUS, "findings": dict.fromkeys(CORPUS["findings"], EMPTY)}
    page = render_audit({"corpora": [clean], "pairs": [], "near": 0.7})
    assert page.count("| --- |") == 1
    assert "Exact" not in page
