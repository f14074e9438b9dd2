from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from inquiry.leaks import ledger, look

Run = Callable[..., Any]


def test_a_tip_is_taken_and_its_reading_recorded(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    home = ledger(tmp_path, [look("E1", 1)])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO("有人出 500 元租我的工号".encode())))
    kept = run("tip", "add", "--home", home, "--json").json
    assert set(kept) == {"id", "day", "about"}
    assert run("tip", "list", "--home", home, "--json").json["tips"] == [kept]
    assert "work number" in run("tip", "list", "--home", home).out
    assert run("tip", "access", "--home", home, "--json").json == {"access": []}
    told = run("tip", "show", kept["id"], "--by", "r7", "--why", "case 4", "--home", home)
    assert "500 元" in told.out
    assert (
        run("tip", "show", kept["id"], "--by", "r8", "--why", "case 4", "--home", home, "--json").json["about"]
        == "offer"
    )
    assert [one["by"] for one in run("tip", "access", "--home", home, "--json").json["access"]] == ["r7", "r8"]
    assert "case 4" in run("tip", "access", "--home", home).out


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"x" * 40_000])
def test_what_is_no_tip(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    home = ledger(tmp_path, [look("E1", 1)])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    told = run("tip", "add", "--home", home)
    assert told.code == 2
    assert len(told.err.strip().splitlines()) == 1
    assert run("tip", "show", "x", "--by", "r7", "--why", "case 4", "--home", home).code == 1
