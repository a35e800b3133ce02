"""Golden cases, and the two settings they were computed with."""

import json

import pytest

from tests.paths import FIXTURES

METRICS = FIXTURES / "metrics"


@pytest.fixture(scope="session")
def golden_cases() -> list[dict]:
    with (METRICS / "cases.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def golden_aggregate() -> dict:
    return json.loads((METRICS / "aggregate.json").read_text())["all_cases"]


@pytest.fixture(scope="session")
def golden_fleiss() -> dict:
    return json.loads((METRICS / "fleiss.json").read_text())
