"""Files of preferences: TRL's forms, and one line for whatever is wrong with a record."""

import json
from pathlib import Path
from typing import Any

import pytest

from soulchatcorpus.reading.json_stream import CorpusError
from soulchatcorpus.reading.pairs import Judged, Pair, read_preference, read_preferences, split_preferences, to_judged
from soulchatcorpus.reading.transcripts import BadRecord

USER = {"role": "user", "content": "睡不着"}
PROMPT = [USER]


def reply(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": PROMPT, "chosen": reply("多久了？"), "rejected": reply("早点睡。"), "score": 3},
        {"prompt": "睡不着", "chosen": "多久了？", "rejected": "早点睡。"},
        {"chosen": PROMPT + reply("多久了？"), "rejected": PROMPT + reply("早点睡。")},
        {"prompt": PROMPT, "chosen": "<think>先问</think>\n\n多久了？", "rejected": reply("</think>早点睡。")},
    ],
)
def test_forms_of_pairs(record: dict) -> None:
    pair = read_preference(record)
    assert pair == Pair(PROMPT, "多久了？", "早点睡。")
    assert read_preference(pair.row()) == pair


def test_judged_replies() -> None:
    judged = read_preference({"prompt": PROMPT, "completion": reply("多久了？"), "label": False})
    assert judged == Judged(PROMPT, "多久了？", False)
    assert read_preference(judged.row()) == judged


@pytest.mark.parametrize(
    ("record", "line"),
    [
        ({"prompt": PROMPT, "chosen": "好", "rejected": "好 "}, "'chosen' equals 'rejected'; allowed: two different"),
        ({"prompt": PROMPT, "chosen": "好"}, r"'rejected' missing, found \['prompt', 'chosen'\]"),
        ({"messages": PROMPT}, "'chosen' and 'rejected' missing"),
        (
            {"chosen": [USER, USER, *reply("好")], "rejected": [USER, *reply("坏")]},
            "'chosen' has 2 messages before its reply and 'rejected' 1, which are not the same",
        ),
        ({"prompt": PROMPT, "chosen": reply("好") * 2, "rejected": "坏"}, "'chosen' has 2 messages; allowed: one"),
        ({"prompt": PROMPT, "chosen": [USER], "rejected": "坏"}, "'chosen' has 1 messages; allowed: one reply"),
        ({"prompt": PROMPT, "chosen": " ", "rejected": "坏"}, "'chosen' is empty"),
        ({"prompt": reply("您好"), "chosen": "好", "rejected": "坏"}, "'prompt' has no message of the user's"),
        ({"completion": "好", "label": True}, "'prompt' is missing"),
        ({"prompt": PROMPT, "completion": "好", "label": 1}, "'label' is 1; allowed: true or false"),
        (
            {"prompt": PROMPT, "chosen": "<think>先问", "rejected": "坏"},
            "'chosen': message 1 is a thought without",
        ),
        ([1], "the record is a list; allowed: an object"),
    ],
)
def test_what_is_wrong_with_a_record(record: Any, line: str) -> None:
    with pytest.raises(BadRecord, match=line):
        read_preference(record)


def test_errors_name_file_and_record(tmp_path: Path) -> None:
    good = {"prompt": "一", "chosen": "好", "rejected": "坏"}
    path = write(tmp_path / "pairs.jsonl", [good, good | {"chosen": "坏"}])
    with pytest.raises(CorpusError, match=r"pairs\.jsonl: record 2, line 2: 'chosen' equals"):
        read_preferences(path)
    path = write(tmp_path / "both.jsonl", [good, {"prompt": "一", "completion": "好", "label": True}])
    with pytest.raises(CorpusError, match="record 2, line 2: a judged reply, the first is a pair"):
        read_preferences(path)
    with pytest.raises(FileNotFoundError, match=r"none\.jsonl: no such file"):
        read_preferences(tmp_path / "none.jsonl")


def test_splits_share_no_opening(tmp_path: Path) -> None:
    rows = [{"prompt": f"{number % 30}", "chosen": f"好{number}", "rejected": "坏"} for number in range(90)]
    corpus = split_preferences(read_preferences(write(tmp_path / "pairs.jsonl", rows)), "pairs.jsonl")
    openings = {split: {row["prompt"][0]["content"] for row in rows} for split, rows in corpus.items()}
    assert {split: len(rows) for split, rows in corpus.items()} == {"train": 78, "validation": 3, "test": 9}
    assert not openings["train"] & (openings["test"] | openings["validation"])
    judged = to_judged(corpus["validation"])
    assert judged["label"] == [True, False] * 3


def test_too_few_are_counted() -> None:
    pairs = [Pair([{"role": "user", "content": str(n)}], "好", "坏") for n in range(7)]
    with pytest.raises(CorpusError, match="mine has 7 preferences; allowed: 20 or more"):
        split_preferences(pairs, "mine")
    with pytest.raises(CorpusError, match="mine has too few openings to hold any out"):
        split_preferences([Pair(PROMPT, "好", "坏")] * 40, "mine")
