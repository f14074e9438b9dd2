from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watchbill.commands.inspect import catches_and_misses, detectors
from watchbill.detectors.base import detector_ids
from watchbill.lab.simulator.world import WorldReport

Run = Callable[..., Any]


def test_every_detector_says_what_it_catches_and_misses(run: Run, tmp_path: Path) -> None:
    rows = detectors()
    assert [row["id"] for row in rows] == detector_ids()
    assert all(row["catches"] and row["misses"] and row["bytes_an_account"] > 0 for row in rows)
    assert run("detectors", "--json", "--home", tmp_path).json == rows
    assert "canary (canary" in run("detectors", "--home", tmp_path).out


def test_a_docstring_is_taken_apart() -> None:
    text = "Name. Catches: this\nand that. And more.\n\nMisses: the rest.\n\nHow it works."
    assert catches_and_misses(text) == ("this and that. And more.", "the rest.")
    assert catches_and_misses("Nothing.") == ("", "")


def test_a_good_settings_file(run: Run, tmp_path: Path, world: WorldReport) -> None:
    config = tmp_path / "w.toml"
    config.write_text(f"""
reference = "{world.out / "reference"}"
[sources.crm]
paths = ["logs"]
masking = "unknown"
mapping = "SELECT 'view' AS kind, line AS account, 0 AS time FROM input"
[actions.door]
kind = "command"
argv = ["/bin/true"]
""")
    said = run("config", "check", config, "--json").json
    assert said["sources"] == {"crm": {"kind": "files", "mapped": True, "masking": "unknown"}}
    assert said["reference"]["accounts"] > 0
    assert said["notes"] == []
    assert said["actions"] == {"door": "command"}
    assert "source crm: files, mapped" in run("config", "check", config).out


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("nonsense = 1", "nonsense"),
        ("[engine.policy]\nstep_up_at = 0.5", "step_up_at"),
        ('[engine]\ndetectors_off = ["magic"]', "magic"),
        ('[sources.a]\nkind = "carrier pigeon"', "carrier pigeon"),
        ('[sources.a]\npaths = ["x"]\nmapping = "SELECT * FROM read_csv(\'/etc/passwd\')"', "mapping"),
        ('reference = "none"', "none"),
        ('[actions.a]\nkind = "semaphore"', "semaphore"),
        ('[actions.a]\nkind = "webhook"\nurl = "http://example.com/"', "https"),
        ('[on_call]\nactions = ["nobody"]', "on_call"),
        ("= no toml", "w.toml"),
    ],
)
def test_a_wrong_one_is_one_line_that_names_it(run: Run, tmp_path: Path, text: str, word: str) -> None:
    config = tmp_path / "w.toml"
    config.write_text(text)
    told = run("config", "check", config)
    assert told.code == 2
    assert word in told.err


def test_a_shadow_detector_is_shown_with_its_owner(run: Run, tmp_path: Path) -> None:
    status = {"shadow": {"detectors": {"rhythm": 7}, "owner": "data desk"}}
    (tmp_path / "status.json").write_text(json.dumps(status))
    rows = {row["id"]: row["shadow"] for row in run("detectors", "--json", "--home", tmp_path).json}
    assert rows["rhythm"] == {"spoke": 7, "owner": "data desk"}
    assert {name for name, one in rows.items() if one} == {"rhythm"}
    assert "in shadow: spoke 7 times; read by data desk" in run("detectors", "--home", tmp_path).out
