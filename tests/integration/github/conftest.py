"""What these tests share: a GitHub with a memory, and a client of it that does not wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration.github.server import Server
from makeweight.github.client import Client


@pytest.fixture
def github() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def waits() -> list[float]:
    """The seconds that clients would have waited."""
    return []


@pytest.fixture
def told() -> list[str]:
    """What clients said while they waited."""
    return []


@pytest.fixture
def client(github: Server, waits: list[float], told: list[str]) -> Client:
    return Client(github.url, github.token, sleep=waits.append, tell=told.append)
