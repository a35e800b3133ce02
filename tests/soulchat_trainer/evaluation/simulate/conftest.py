"""Two profiles, and an endpoint that plays whoever is asked."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.soulchatcorpus.making.endpoint_stub import StubEndpoint


@pytest.fixture
def profiles(tmp_path: Path) -> str:
    path = tmp_path / "profiles.jsonl"
    rows = [
        {"id": "甲", "story": "甲的故事。", "topic": "情绪", "attributes": {"age": "20", "gender": "女"}},
        {"id": "乙", "story": "乙的故事。", "topic": "情绪"},
    ]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return str(path)


def answer(content: str, model: str) -> str:
    """The number of lines that it was shown, so that every turn differs; a client feels worse where it hears 嗯."""
    words = f"{model}听到了{len(content)}个字。"
    if "情绪变化" not in content or model == "counsellor":
        return words
    change = -4 if content.rstrip().endswith("）") and "\n嗯。\n" in content[-40:] else 3
    return f"想法：秘密{len(content)}\n情绪变化：{change}\n回复：{words}"


@pytest.fixture
def players() -> Iterator[StubEndpoint]:
    with StubEndpoint(answer).running() as running:
        yield running
