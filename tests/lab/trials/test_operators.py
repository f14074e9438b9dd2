from __future__ import annotations

import math
import types
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest

from watchbill.lab.trials import operators
from watchbill.lab.trials.operators import auc, judged, operators_of


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("create table looks (account varchar, session varchar, operator varchar)")
        rows = [
            ("a", "s1", "owner"),
            ("a", "s2", "other"),
            ("a", "s2", "owner"),
            ("a", "s3", "owner"),
            ("b", "s4", "owner"),
        ]
        connection.executemany("insert into looks values (?, ?, ?)", rows)
        yield connection


def test_auc_is_the_share_of_pairs_in_order() -> None:
    assert auc(np.array([0.9, 0.8, 0.1]), np.array([True, True, False])) == 1.0
    assert auc(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, False, True, False])) == pytest.approx(3.5 / 4)
    assert math.isnan(auc(np.array([0.5]), np.array([True])))


def test_error_and_wrong_side() -> None:
    said = judged([[0.9, True], [0.4, True], [0.2, False]])
    assert said["brier"] == pytest.approx((0.01 + 0.36 + 0.04) / 3)
    assert said["wrong"] == pytest.approx(1 / 3)
    assert said["auc"] == 1.0
    assert judged([]) == {"sessions": 0}


def test_sessions_of_leased_accounts_are_held_against_the_truth(
    db: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers = types.SimpleNamespace(sessions_of=lambda _home, _account: [("s1", 0.9), ("s2", 0.2), ("unheard", 0.5)])
    monkeypatch.setattr(operators.importlib.util, "find_spec", lambda _name: object())
    monkeypatch.setattr(operators.importlib, "import_module", lambda _name: answers)
    attacks = [{"operators": ["other"], "accounts": ["a"]}, {"operators": ["owner"], "accounts": ["b"]}]
    assert operators_of(tmp_path, db, attacks) == {"pairs": [[0.9, True], [0.2, False]], "untold": 1}


def test_without_an_inquiry_nothing_is_judged(
    db: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(operators.importlib.util, "find_spec", lambda _name: None)
    assert operators_of(tmp_path, db, [{"operators": ["other"], "accounts": ["a"]}]) is None
