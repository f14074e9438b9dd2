"""witness and verify --against as a person runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def test_published_checkpoints_are_compared(run: Run, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "witness.txt"
    said = run("witness", "--file", file, "--home", home, "--json").json
    assert said["file"]
    assert "0 checkpoints" in run("witness", "--file", file, "--home", home).out
    whole = run("verify", "--against", file, "--home", home, "--json").json
    assert whole["witnessed"] == {"checked": len(said["file"]), "ok": True, "size": said["file"][-1], "reason": ""}
    assert "continues all" in run("verify", "--against", file, "--home", home).out
    other = tmp_path / "other.txt"
    other.write_bytes(file.read_bytes().replace(b"watchbill/", b"watchbell/"))
    told = run("verify", "--against", other, "--home", home)
    assert told.code == 1
    assert "HISTORY DOES NOT MATCH" in told.out
    assert run("witness", "--home", home).code == 2
