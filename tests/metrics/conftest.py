"""Golden cases, and the two settings they were computed with."""

import json
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parent.parent / "fixtures" / "metrics"


@pytest.fixture(scope="session")
def golden_cases() -> list[dict]:
    with (FIXTURES / "cases.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def golden_aggregate() -> dict:
    return json.loads((FIXTURES / "aggregate.json").read_text())["all_cases"]


@pytest.fixture(scope="session")
def golden_fleiss() -> dict:
    return json.loads((FIXTURES / "fleiss.json").read_text())
