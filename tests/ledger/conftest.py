"""Made-up records and homes for the ledger's tests."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from watchbill.ledger.frames import Frame, pack, pack_lines
from watchbill.ledger.journal import Journal
from watchbill.records.schema import SCHEMA

FIRST_MS = 1_700_000_000_000
Table = Callable[..., pa.Table]


def _row(rng: random.Random, arrival: int) -> dict[str, Any]:
    kind = rng.choice(["view", "search", "scan"])
    return {
        "source": "api",
        "id": f"{rng.getrandbits(128):032x}",
        "time": arrival - rng.randrange(100_000),
        "arrival": arrival,
        "kind": kind,
        "account": rng.choice([None, *(f"E{number:03d}" for number in range(12))]),
        "waybill": f"SF{rng.randrange(40):04d}" if rng.random() < 0.8 else f"{rng.getrandbits(128):032x}",
        "subjects": None if kind == "scan" else [f"c{rng.randrange(30)}" for _ in range(rng.randrange(4))],
        "fields": None if kind == "scan" else ["recipient.name"],
        "shown": [{"subject": "c1", "fields": ["a", "b"]}, {"subject": None, "fields": []}]
        if rng.random() < 0.1
        else None,
        "masked": rng.random() < 0.3,
        "reason": rng.choice([None, "", '查件 "x"', "a\nb\x01\x7f\\"]),
        "extra": rng.choice([None, '{"k":"v"}']),
    }


@pytest.fixture(scope="session")
def make() -> Table:
    """A function (rows, seed, days) that makes records in arrival order over so many days."""

    def table(rows: int, seed: int = 1, days: float = 0.5) -> pa.Table:
        rng = random.Random(seed)
        arrivals = sorted(FIRST_MS + int(rng.random() * days * 86_400_000) for _ in range(rows))
        return pa.Table.from_pylist([_row(rng, arrival) for arrival in arrivals], schema=SCHEMA)

    return table


@pytest.fixture(scope="session")
def fill() -> Callable[..., None]:
    """A function (home, table, frame_rows) that journals a table, quarantining one line with every frame."""

    def into(home: Path, table: pa.Table, frame_rows: int = 100, start: int = 0) -> None:
        with Journal.open(home, file_bytes_max=20_000) as journal:
            for at in range(start, table.num_rows, frame_rows):
                part = table.slice(at, frame_rows)
                lines = pack_lines(b'{"at":%d}\n' % at)
                journal.append(Frame(part.num_rows, part["arrival"][-1].as_py(), pack(part), b"{}", lines))
                journal.commit()

    return into
