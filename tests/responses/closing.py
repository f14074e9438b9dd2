"""A fixture for tests that leave databases open on purpose, as a kill would: they are closed afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close every database that the test opened."""
    opened: list[sqlite3.Connection] = []
    real = sqlite3.connect

    def connect(*words: Any, **more: Any) -> sqlite3.Connection:
        opened.append(real(*words, **more))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", connect)
    yield
    for database in opened:
        database.close()
