import json

import pytest

from soulchatcorpus.reading.corpus import Report, read_corpus

DIALOGUE = [("user", "我很累"), ("assistant", "怎么了？"), ("user", "工作"), ("assistant", "说说看")]
ROUNDS = [{"input": "我很累", "output": "怎么了？"}, {"input": "工作", "output": "说说看"}]
HISTORY = [["我很累", "怎么了？"]]


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("alpaca", {"instruction": "工作", "output": "说说看", "history": HISTORY}),
        ("chatglm", {"prompt": "工作", "response": "说说看", "history": HISTORY}),
        ("swift", {"query": "工作", "response": "说说看", "history": HISTORY}),
        (
            "xtuner",
            {"conversation": [{"input": "我很累", "output": "怎么了？"}, {"input": "工作", "output": "说说看"}]},
        ),
        ("questions", {"id": 1, "question": "我很累", "answer": "怎么了？", "topic": "情绪"}),
    ],
)
def test_rounds(tmp_path, name, record):
    (tmp_path / "a.jsonl").write_text(json.dumps(record))
    report = Report()
    (talk,) = read_corpus(tmp_path / "a.jsonl", report=report)
    expected = DIALOGUE[:2] if name == "questions" else DIALOGUE
    assert [(message["role"], message["content"]) for message in talk.messages] == expected
    assert report.formats == {name: 1}
