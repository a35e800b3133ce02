import json

import pytest

from soulchatcorpus.reading.corpus import read_corpus
from soulchatcorpus.reading.json_stream import CorpusError

CHAT = [{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}]


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"chosen": "好", "rejected": "坏"}, "preference data, by 'chosen' and 'rejected'"),
        ({"rejected_response": "坏"}, "preference data, by 'rejected_response'"),
        ({"label": False}, "preference data, by 'label'"),
        ({"label": True}, "preference data, by 'label'"),
        ({"kto_tag": True}, "preference data, by 'kto_tag'"),
        ({"weight": 0}, "weighted data, 'weight' is 0"),
        ({"loss": False}, "weighted data, 'loss' is False"),
    ],
)
@pytest.mark.parametrize(
    "record",
    [
        {"messages": CHAT},
        {"conversations": CHAT},
        {"prompt": "一", "completion": "二"},
        {"query": "一", "response": "二"},
        {"instruction": "一", "output": "二"},
        {"prompt": "一"},
    ],
)
def test_judged_replies_are_refused_by_name(tmp_path, record, extra, named):
    (tmp_path / "a.jsonl").write_text(json.dumps(record | extra))
    with pytest.raises(CorpusError, match=named):
        list(read_corpus(tmp_path / "a.jsonl"))


def test_an_ordinary_weight_is_none(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"messages": CHAT, "weight": 1.0, "loss": True, "label": None}))
    assert len(list(read_corpus(tmp_path / "a.jsonl"))) == 1
