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
