from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inquiry.leaks import T0, ledger, look, scan
from watchbill.inquiry.complaints import DAY_MS, book_of, complained, items_of, main

SEEN = 400
"""Customers of each account; E1's are the ones that are called."""


def complaint(number: int, time: int, **more: Any) -> dict[str, Any]:
    return {
        "kind": "complaint",
        "waybill": f"YT{number:013d}",
        "subjects": [f"C{number:011d}"],
        "time": time,
        "account": None,
    } | more


def carrier(victims: list[int], *, hotline: bool = True) -> list[dict[str, Any]]:
    """Ten accounts and their customers; victims call two days later, and the hotline (E9) looks each of them up."""
    rows = [look(f"E{n}", n * 1_000 + k, time=T0 + k) for n in range(9) for k in range(SEEN)]
    for at, number in enumerate(victims):
        called = T0 + 2 * DAY_MS + at * 1_000
        rows.append(complaint(number, called))
        rows += [look("E9", number, time=called + 10)] if hotline else []
    for row in rows:
        row.setdefault("arrival", row.get("time", T0))
    return sorted(rows, key=lambda row: row["arrival"])


def test_a_leaker_emerges_and_the_hotline_that_answered_does_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    victims = [*(1_000 + rng.permutation(SEEN)[:8]).tolist(), 15_000, 16_000, 17_000, 2_005]
    home = ledger(tmp_path, carrier(victims), (3_000,))
    found = complained(home)
    assert (found.complaints, found.customers) == (12, 12)
    assert found.answer.ranking[0].account == "E1"
    assert [row["who"] for row in found.findings] == found.fresh == ["account E1"]
    assert all(one.account != "E9" for one in found.answer.ranking)
    assert complained(home).fresh == []
    assert [(one.kind, one.said["who"]) for one in book_of(home).entries()] == [("finding", "account E1")]


def test_the_window_moves_and_a_finding_ends(tmp_path: Path) -> None:
    home = ledger(tmp_path, carrier([1_000 + n * 30 for n in range(8)]))
    assert complained(home, T0 + 2 * DAY_MS).complaints == 0
    early = complained(home, T0 + 2 * DAY_MS + 2_500, note=False)
    assert early.complaints == 3
    assert not book_of(home).entries()
    assert complained(home, T0 + 3 * DAY_MS).fresh == ["account E1"]
    assert complained(home, T0 + 40 * DAY_MS).findings == []
    assert [one.kind for one in book_of(home).entries()] == ["finding", "over"]
    assert complained(home, T0 + 3 * DAY_MS).fresh == ["account E1"]


def test_parcels_that_nobody_looked_at_point_at_custody(tmp_path: Path) -> None:
    victims = [20_000 + n for n in range(10)]
    held = [scan(20_000 + n, "O7", time=T0 + n, arrival=T0 + n) for n in range(60)]
    other = [scan(30_000 + n, "O8", time=T0 + n, arrival=T0 + n) for n in range(3_000)]
    rows = sorted([*carrier(victims), *held, *other], key=lambda row: row["arrival"])
    found = complained(ledger(tmp_path, rows))
    assert found.answer.outcome == "custody"
    assert (found.answer.holders[0].kind, found.answer.holders[0].holder) == ("outlet", "O7")
    assert found.findings == []


def test_each_customer_counts_once_with_the_first_call() -> None:
    items = items_of([(9, "W1", ["C1"]), (5, "W1", ["C1"]), (7, None, ["C2", "C3"]), (3, "W9", None), (4, None, None)])
    assert [(item.texts, item.before) for item in items] == [(("W9",), 3), (("C1", "W1"), 5), (("C2", "C3"), 7)]


def test_strangers_complaints_are_nobody(tmp_path: Path) -> None:
    found = complained(ledger(tmp_path, carrier([15_000 + n for n in range(10)])))
    assert (found.answer.outcome, found.findings) == ("nobody", [])


def test_as_a_child_process(tmp_path: Path) -> None:
    home = ledger(tmp_path / "h", carrier([1_000 + n * 30 for n in range(8)]))
    ran = subprocess.run(
        [sys.executable, "-m", "watchbill.inquiry.complaints", str(home)], check=False, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(book_of(home).entries()) == 1


def test_what_is_wrong_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.nice", lambda _: 0)
    home = ledger(tmp_path, carrier([]))
    (home / "sightings").mkdir()
    (home / "sightings" / "runs.json").write_text("{")
    assert main([str(home)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
