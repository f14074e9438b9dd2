"""pack and verify-pack as a person runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from watchbill.ledger import verify_pack

Run = Callable[..., Any]


def test_a_case_is_packed_and_verified(run: Run, home: Path, tmp_path: Path) -> None:
    case = run("cases", "--home", home, "--json").json["cases"][0]
    out = tmp_path / "case.zip"
    said = run("pack", case["id"], "--out", out, "--home", home, "--json").json
    assert said["records"] > case["persons"]
    assert (said["bytes"], said["timestamps"]) == (out.stat().st_size, 0)
    again = run("pack", case["id"], "--out", tmp_path / "again.zip", "--home", home)
    assert said["sha256"] in again.out
    assert "no timestamp" in again.out
    key = (home / "keys" / "origin.pub").read_text().strip()
    report = run("verify-pack", out, "--key", key, "--json").json
    assert (report["ok"], report["persons"], report["records"]) == (True, case["persons"], said["records"])
    assert "compare this key" in run("verify-pack", out).out
    data = bytearray(out.read_bytes())
    data[len(data) // 2] ^= 1
    out.write_bytes(data)
    told = run("verify-pack", out)
    assert told.code == 1
    assert "NOT VALID" in told.out


def test_words_that_lead_nowhere(run: Run, home: Path, tmp_path: Path) -> None:
    assert run("pack", "c0", "--out", tmp_path / "x.zip", "--home", home).code == 1
    assert run("pack", "c0", "--out", tmp_path / "x.zip", "--report", "no", "--home", home).code == 1
    assert run("verify-pack").code == 2
    assert run("verify-pack", "--print-verifier").out == Path(str(verify_pack.__file__)).read_text()
