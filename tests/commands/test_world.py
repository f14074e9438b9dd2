from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def test_world(run: Run, tmp_path: Path) -> None:
    words = ("world", "--seed", 3, "--days", 1, "--outlets", 3, "--scale", 0.3)
    said = run(*words, tmp_path / "a", "--json").json
    assert said["total"] == sum(said["records"].values()) > 0
    assert all(Path(path).is_file() for path in said["files"])
    assert "records" in run(*words, tmp_path / "b").out
    assert (tmp_path / "a" / "records" / "2025-03-03.ndjson").read_bytes() == (
        tmp_path / "b" / "records" / "2025-03-03.ndjson"
    ).read_bytes()
    assert run(*words, tmp_path / "c", "--format", "xml").code == 2
    assert run("world", tmp_path / "d", "--days", 0).code == 2


def test_attacks_and_stress_by_name(run: Run, tmp_path: Path) -> None:
    words = ("world", "--seed", 3, "--days", 7, "--outlets", 4, "--scale", 0.1, "--json")
    said = run(*words, tmp_path / "a", "--attacks", "mimic, vip_snoop", "--stress", "app_reinstall").json
    assert [one["kind"] for one in said["attacks"]] == ["mimic", "vip_snoop"]
    assert run(*words, tmp_path / "b", "--attacks", "teleport").code == 2
    assert run(*words, tmp_path / "c", "--stress", "earthquake").code == 2
    assert run("world", tmp_path / "d", "--days", 3, "--attacks", "all").code == 2


def test_an_attack_from_a_folder_outside(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "copy_cat.py").write_text(
        "from dataclasses import replace\nfrom watchbill.lab.attacks.mimic import ATTACK as MIMIC\nATTACK = replace(MIMIC, days=1)\n"
    )
    words = ("world", tmp_path / "w", "--seed", 3, "--days", 7, "--outlets", 4, "--scale", 0.1, "--json")
    said = run(*words, "--attacks", "copy_cat", "--extra-attacks", tmp_path / "mine").json
    assert [(one["kind"], one["days"][0] == one["days"][1]) for one in said["attacks"]] == [("copy_cat", True)]
