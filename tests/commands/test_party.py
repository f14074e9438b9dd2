from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def test_parties_of_a_case(home: Path, tmp_path: Path, run: Run) -> None:
    copy = Path(shutil.copytree(home, tmp_path / "home"))
    case = run("cases", "--home", copy, "--json").json["cases"][0]
    account = case["accounts"][0]
    words = ("--name", "broker", "--by", "r7", "--link", f"rented:{account}", "--link", "works_for:party:p9")
    told = run("case", "party", "add", case["id"], "--role", "intermediary", *words, "--home", copy, "--json").json
    assert told["links"][0] == {"kind": "rented", "sort": "account", "to": account}
    said = run("case", "party", "list", case["id"], "--home", copy, "--json").json
    assert [one["name"] for one in said["parties"]] == ["broker"]
    assert said["missing"] == ["p9"]
    shown = run("case", "party", "list", "--home", copy)
    assert "rented this number account" in shown.out
    assert "described by nobody: p9" in shown.out
    more = ("--id", told["id"], "--name", "broker", "--by", "r7")
    assert run("case", "party", "add", case["id"], "--role", "up_line", *more, "--home", copy).code == 0
    assert [one["role"] for one in run("case", "party", "list", "--home", copy, "--json").json["parties"]] == [
        "up_line"
    ]
    assert run("case", "show", case["id"], "--home", copy).code == 0


def test_what_is_wrong_is_one_line(home: Path, run: Run) -> None:
    case = run("cases", "--home", home, "--json").json["cases"][0]["id"]
    base = ("--name", "x", "--by", "r7", "--home", home)
    assert run("case", "party", "add", "none", "--role", "buyer", *base).code == 1
    assert run("case", "party", "add", case, "--role", "friend", *base).code == 2
    assert run("case", "party", "add", case, "--role", "buyer", "--link", "likes:E1", *base).code == 2
    assert run("case", "party", "add", case, "--role", "buyer", "--id", "p0", *base).code == 1
    assert run("case", "party", "list", "--home", home, "--json").json["parties"] == []
