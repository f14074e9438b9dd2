"""A real authority (openssl ts over loopback) dates a checkpoint; others than it are refused; openssl verifies the token."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from inquiry.test_caseexposure import home_of
from runners.authority import make_authority, openssl, serving
from watchbill.core.errors import NotFoundError, SourceError
from watchbill.ledger.sealing import seal
from watchbill.ledger.verify_pack import imprint_of, verify_pack
from watchbill.reports.base import load_report, packed
from watchbill.runners.timestamps import stamp

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl: the local authority is made of it")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_authority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    place: Path = home_of(tmp_path / "home")
    seal(place, upto=150, final=True)
    return place


def test_a_checkpoint_is_dated_and_openssl_agrees(authority: Path, home: Path) -> None:
    with serving(authority.parent) as url:
        first = stamp(home, url, authority)
    assert (first.size, first.trusted, first.fresh) == (150, True, True)
    token, note = home / first.file, home / "checkpoints" / f"{150:020d}"
    told = openssl("ts", "-verify", "-data", note, "-in", token, "-CAfile", authority)
    assert b"Verification: OK" in told
    algorithm, imprint, time = imprint_of(token.read_bytes())
    assert imprint == bytes.fromhex(openssl("dgst", "-sha256", "-r", note).decode()[:64])
    assert algorithm.hex() == "608648016503040201"
    assert time[:8] == first.time[:10].replace("-", "")
    again = stamp(home, "http://127.0.0.1:9/", authority)
    assert (again.fresh, again.time, again.trusted) == (False, first.time, True)


def test_a_pack_carries_it_and_a_changed_one_fails(authority: Path, home: Path, tmp_path: Path) -> None:
    with serving(authority.parent) as url:
        stamp(home, url)
        height = seal(home, final=True).sealed
        stamp(home, url)
    parts = load_report("evidence").parts(home, "c99", height)
    out = tmp_path / "pack.zip"
    out.write_bytes(packed(home, "c99", height, parts))
    report = verify_pack(out)
    assert (report.ok, [size for _, size in report.timestamps]) == (True, [150, height]), report.reason
    for name in ("timestamps/150.tsr", "timestamps/150.checkpoint", "timestamps/150.consistency"):
        other = name.replace("150", str(height))
        out.write_bytes(packed(home, "c99", height, {**parts, name: parts[other]}))  # signed, and still wrong
        assert not verify_pack(out).ok
    assert openssl("version")
    for stem in ("150", str(height)):
        (tmp_path / "c").write_bytes(parts[f"timestamps/{stem}.checkpoint"])
        (tmp_path / "t").write_bytes(parts[f"timestamps/{stem}.tsr"])
        command: list[Any] = [
            "openssl",
            "ts",
            "-verify",
            "-data",
            tmp_path / "c",
            "-in",
            tmp_path / "t",
            "-CAfile",
            authority,
        ]
        assert subprocess.run(command, check=False, capture_output=True).returncode == 0
        (tmp_path / "c").write_bytes(parts[f"timestamps/{stem}.checkpoint"] + b"x")
        assert subprocess.run(command, check=False, capture_output=True).returncode != 0


@pytest.mark.parametrize("spoil", ["status", "large", "nonsense", "other"])
def test_other_answers_are_refused(authority: Path, home: Path, spoil: str) -> None:
    with serving(authority.parent, spoil) as url, pytest.raises(SourceError):
        stamp(home, url, authority)
    assert not (home / "timestamps").exists()


def test_what_cannot_be_asked_or_trusted(authority: Path, home: Path, tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:9/", "file:///etc/passwd", "nonsense", "http://[::1"):
        with pytest.raises(SourceError):
            stamp(home, url, seconds=2)
    (tmp_path / "other").mkdir()
    stranger = make_authority(tmp_path / "other")
    with serving(authority.parent) as url:
        with pytest.raises(SourceError):
            stamp(home, url, stranger)
        assert stamp(home, url).trusted is False
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError):
        stamp(tmp_path / "empty", "http://127.0.0.1:9/")


def test_a_token_in_a_loose_form_is_kept_and_openssl_checks_it(home: Path, tmp_path: Path) -> None:
    (tmp_path / "loose").mkdir()
    roots = make_authority(tmp_path / "loose", loose=True)
    with serving(tmp_path / "loose") as url:
        with pytest.raises(SourceError):
            stamp(home, url, roots)
        said = stamp(home, url)
    note = home / "checkpoints" / f"{150:020d}"
    assert b"Verification: OK" in openssl("ts", "-verify", "-data", note, "-in", home / said.file, "-CAfile", roots)
