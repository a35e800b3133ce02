"""A loopback Hub for each test."""

from collections.abc import Iterator

import pytest

from tests.hub.server import LoopbackHub


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        yield server
