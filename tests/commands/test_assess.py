from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from watchbill.lab.simulator.world import WorldReport

Run = Callable[..., Any]


def test_assess_a_world(run: Run, world: WorldReport) -> None:
    words = ("assess", world.out / "records", "--reference", world.out / "reference")
    said = run(*words, "--json").json
    assert sum(said["records"].values()) == world.total
    assert {
        "fields",
        "joins",
        "detectors",
        "coverage",
        "roster",
        "shared",
        "clock",
        "quarantine",
        "screen",
        "findings",
    } <= set(said)
    told = run(*words)
    assert told.code == 0
    for word in ("Fields present", "Joins", "Reason coverage", "roster:", "Screen before learning", "Findings"):
        assert word in told.out


def test_assess_logs_through_a_mapping_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text("".join(f"1741000000 E{n % 3} W{n}\n" for n in range(60)))
    sql = "SELECT 'view' AS kind, split_part(line, ' ', 2) AS account, split_part(line, ' ', 3) AS waybill, 1741000000000 AS time FROM input"
    (tmp_path / "map.sql").write_text(sql)
    said = run("assess", tmp_path / "access.log", "--mapping", tmp_path / "map.sql", "--json").json
    assert (said["records"], said["accounts"]) == ({"view": 60}, 3)
    told = run("assess", tmp_path / "access.log", "--mapping", tmp_path / "map.sql").out
    assert "no roster" in told
