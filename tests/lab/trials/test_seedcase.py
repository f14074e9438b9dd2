from __future__ import annotations

import json
import types
from pathlib import Path

import pytest

from watchbill.lab.trials import seedcase
from watchbill.lab.trials.seedcase import named_by_cases, seed_case

RING = {"accounts": ["a", "b", "c", "d", "e"]}
CASES = [
    {"id": "1", "accounts": ["a", "c", "d"]},
    {"id": "2", "accounts": ["e", "x"]},  # nobody known in it
    {"id": "3", "accounts": ["b", "y"]},
    {"id": "4", "accounts": None},
]


def test_cases_name_who_stands_beside_a_known_one() -> None:
    assert named_by_cases(CASES, {"a", "b"}) == {"c", "d", "y"}


def test_the_others_and_strangers_are_counted(tmp_path: Path) -> None:
    (tmp_path / "cases.ndjson").write_text("".join(json.dumps(row) + "\n" for row in CASES))
    said = seed_case(RING, tmp_path, tmp_path)
    assert said["others"] == 3
    assert said["cases"] == {"named": 2, "strangers": 1}


def test_the_inquiry_is_asked_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cases.ndjson").touch()
    monkeypatch.setattr(seedcase.importlib.util, "find_spec", lambda _name: None)
    assert seed_case(RING, tmp_path, tmp_path)["inquiry"] is None
    rings = types.SimpleNamespace(others=lambda _home, known: [*known, "c", "d", "e"])
    monkeypatch.setattr(seedcase.importlib.util, "find_spec", lambda _name: object())
    monkeypatch.setattr(seedcase.importlib, "import_module", lambda _name: rings)
    assert seed_case(RING, tmp_path, tmp_path)["inquiry"] == {"named": 3, "strangers": 0}
