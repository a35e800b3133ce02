"""The columns of each config, as `datasets.Features`."""

from typing import Any

from datasets import ClassLabel, Features, List, Value

from .clients import CLIENT_FIELDS
from .schema import TOPICS

# Of both configs, null where nothing is stated.
PEOPLE: dict[str, Any] = {
    "client": {name: Value("string") for name in CLIENT_FIELDS},
    "counsellor": Value("string"),
}
CONVERSATION_FEATURES = Features(
    {
        "id": Value("string"),
        "topic": ClassLabel(names=list(TOPICS)),
        "messages": List({"role": Value("string"), "content": Value("string")}),
        **PEOPLE,
    }
)
TURN_FEATURES = Features(
    {
        "id": Value("string"),
        "conversation_id": Value("string"),
        "turn": Value("int32"),
        "topic": ClassLabel(names=list(TOPICS)),
        "system": Value("string"),
        "prompt": Value("string"),
        "completion": Value("string"),
        **PEOPLE,
    }
)
FEATURES = {"turns": TURN_FEATURES, "conversations": CONVERSATION_FEATURES}
