"""The paper's topics in every spelling, and the features that others read."""

import pytest

from soulchatcorpus.features import FEATURES
from soulchatcorpus.schema import TOPICS, find_topic


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("情绪", "情绪"),
        ("Emotion", "情绪"),
        ("成长", "成长发展"),
        ("自我", "自我认知"),
        ("天气", None),
        ("", None),
        (None, None),
    ],
)
def test_topics_by_any_of_their_names(name, topic):
    assert find_topic(name) == topic


def test_the_papers_twelve():
    assert len(TOPICS) == 12
    assert all(find_topic(chinese) == find_topic(english) == chinese for chinese, english in TOPICS.items())
    assert FEATURES["turns"]["topic"].names == FEATURES["conversations"]["topic"].names == list(TOPICS)


def test_columns_that_peers_read():
    assert [*FEATURES["turns"]] == [
        *("id", "conversation_id", "turn", "topic", "system", "prompt", "completion"),
        *("client", "counsellor"),
    ]
    assert [*FEATURES["conversations"]] == ["id", "topic", "messages", "client", "counsellor"]
    assert [*FEATURES["conversations"]["messages"].feature] == ["role", "content"]
