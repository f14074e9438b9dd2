from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watchbill.lab.simulator.world import WorldReport

Run = Callable[..., Any]
WORDS = ("--channel", "forum", "--finder", "f1", "--by", "r7", "--legal-basis", "own report", "--price", 300)


@pytest.fixture
def copy(home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(home, tmp_path / "home"))


@pytest.fixture
def listed(world: WorldReport, tmp_path: Path) -> tuple[Path, str]:
    account = world.attacks[0]["accounts"][0]
    rows = [
        json.loads(line)
        for file in world.files
        for line in file.read_text(encoding="utf-8").splitlines()
        if account in line
    ]
    seen = [
        row["subjects"][0] for row in rows if row["kind"] == "search" and row.get("subjects") and not row.get("masked")
    ]
    path = tmp_path / "list.txt"
    path.write_text("\n".join(seen[:: len(seen) // 20][:20]), encoding="utf-8")
    return path, account


def test_a_leak_from_the_forum_to_the_account(copy: Path, listed: tuple[Path, str], run: Run) -> None:
    path, account = listed
    taken = run("leak", "add", path, *WORDS, "--home", copy, "--json").json
    assert (taken["channel"], taken["price_yuan"], len(taken["sha256"])) == ("forum", 300, 64)
    path.unlink()
    said = run("leak", "attribute", taken["id"], "--by", "r8", "--home", copy, "--json").json
    assert said["named"] == [account]
    assert said["list"]["sha256"] == taken["sha256"]
    run("leak", "handle", taken["id"], "handed_over", "--by", "r7", "--to", "police", "--home", copy)
    shown = run("leak", "show", taken["id"], "--home", copy, "--json").json
    assert [step["act"] for step in shown["chain"]] == ["received", "analysed", "handed_over"]
    assert "handed_over" in run("leak", "list", "--home", copy).out
    assert "police" in run("leak", "show", taken["id"], "--home", copy).out


def test_looks_after_it_was_out_count_for_nobody(copy: Path, listed: tuple[Path, str], run: Run) -> None:
    taken = run("leak", "add", listed[0], *WORDS, "--out", "2020-01-01", "--home", copy, "--json").json
    assert run("leak", "attribute", taken["id"], "--by", "r8", "--home", copy, "--json").json["outcome"] == "nobody"


def test_what_is_wrong_is_one_line(copy: Path, listed: tuple[Path, str], run: Run) -> None:
    bad = run("leak", "add", listed[0], *WORDS[2:], "--channel", "fax", "--home", copy)
    assert bad.code == 2
    assert "channel" in bad.err
    assert run("leak", "show", "0" * 12, "--home", copy).code == 1
    assert run("leak", "handle", "0" * 12, "copied", "--by", "r", "--home", copy).code == 1
    assert run("leak", "list", "--home", copy, "--json").json == {"leaks": []}
