"""Question files and a local endpoint for the tests of corpus making."""

from pathlib import Path

import pytest

from soulchatcorpus.files import write_lines
from tests.soulchatcorpus.making.endpoint_stub import StubEndpoint


@pytest.fixture
def endpoint():
    with StubEndpoint().running() as running:
        yield running


@pytest.fixture
def make_questions(tmp_path):
    def make(count: int, path: str = "questions.jsonl", **more) -> Path:
        records = (
            {
                "id": n,
                "question": f"记录{n}：我最近总是失眠，怎么办？",
                "answer": "先别急，慢慢来。",
                "topic": "情绪",
                **more,
            }
            for n in range(count)
        )
        write_lines(tmp_path / path, records)
        return tmp_path / path

    return make
