"""Timing needs a world: that it times single records is tested in test_work.py; here, that nothing to time is said so."""

from __future__ import annotations

from pathlib import Path

from watchbill.core.settings import Settings
from watchbill.lab.trials.speed import event_to_action


def test_a_world_without_records_has_no_speed(tmp_path: Path) -> None:
    for folder in ("records", "reference"):
        (tmp_path / "world" / folder).mkdir(parents=True)
    (tmp_path / "world" / "records" / "empty.ndjson").touch()
    assert event_to_action(tmp_path / "world", tmp_path / "home", Settings()) == {"records": 0}
