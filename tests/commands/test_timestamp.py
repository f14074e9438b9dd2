"""timestamp as a person runs it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runners.authority import make_authority, serving

Run = Callable[..., Any]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl: the local authority is made of it")
def test_the_newest_checkpoint_is_dated(run: Run, home: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(home, tmp_path / "home"))
    roots = make_authority(tmp_path)
    with serving(tmp_path) as url:
        told = run("timestamp", "--tsa", url, "--home", copy)
        assert "not checked" in told.out
        said = run("timestamp", "--tsa", url, "--roots", roots, "--home", copy, "--json").json
    assert (said["trusted"], said["fresh"]) == (True, False)
    assert (copy / said["file"]).is_file()
    assert run("timestamp", "--tsa", "ftp://x", "--home", home).code == 2
