"""erase and retain as a person runs them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def test_a_customer_is_erased_and_verify_says_so(run: Run, home: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(home, tmp_path / "home"))
    case = run("cases", "--home", copy, "--json").json["cases"][0]
    subject = run("exposure", case["id"], "--home", copy, "--json").json["subjects"][0]["subject"]
    words = ("erase", subject, "--reason", "asked for it", "--by", "p7", "--home", copy)
    (copy / "cases.ndjson").write_text("")  # as after a crash: the list is made anew before anything is decided by it
    held = run(*words)
    assert held.code == 2
    assert case["id"] in held.err
    assert subject not in held.err
    would = run(*words, "--force", "--dry-run", "--json").json
    said = run(*words, "--force", "--json").json
    assert (said["records"], said["cases"], said["replayed"]) == (would["records"], [case["id"]], True)
    whole = run("verify", "--home", copy, "--json").json
    assert (whole["ok"], whole["gone"]) == (True, said["records"])
    assert f"{said['records']:,} payloads" in run("verify", "--home", copy).out
    assert run("who-saw", subject, "--home", copy, "--json").json["accounts"] == []
    assert run(*words).code == 1
    assert run("proof", "1000", "--home", copy).code == 0
    assert run("pack", case["id"], "--out", tmp_path / "p.zip", "--home", copy).code == 0
    report = run("verify-pack", tmp_path / "p.zip", "--json").json
    assert (report["ok"], report["reason"]) == (True, "")
    assert case["persons"] - 2 <= report["persons"] < case["persons"]  # he, and who was seen with him alone


def test_payloads_are_dropped_by_age(run: Run, home: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(home, tmp_path / "home"))
    assert run("retain", "--older-than", "179", "--home", copy).code == 2
    would = run("retain", "--older-than", "180", "--dry-run", "--home", copy, "--json").json
    assert (would["days"], would["height"]) == (180, None)
    assert would["records"] > 1_000  # the world is of 2025
    said = run("retain", "--older-than", "180", "--home", copy)
    assert f"{would['records']:,} payloads are gone" in said.out
    assert run("verify", "--home", copy, "--json").json["gone"] == would["records"]
    config = tmp_path / "watchbill.toml"
    config.write_text(f'home = "{copy}"\nretention_days = 200\n')
    assert run("retain", "--config", config, "--dry-run", "--json").json["days"] == 200
    config.write_text("retention_days = 100\n")
    assert run("retain", "--config", config).code == 2
