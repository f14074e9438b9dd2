"""The manifest comes back whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchbill.core.errors import LedgerError
from watchbill.ledger import manifest
from watchbill.ledger.files import Mark
from watchbill.ledger.manifest import Manifest, Segment
from watchbill.ledger.merkle import Frontier


def test_it_comes_back(tmp_path: Path) -> None:
    assert manifest.load(tmp_path) == Manifest()
    segment = Segment(19_675, 0, 41, {"parquet": "ab"}, (1, 2))
    frontier = Frontier()
    frontier.append(bytes(32 * 42))
    kept = Manifest(cursor=Mark(1, 2, 3, 4), quarantine_bytes=9).with_segment(segment, frontier.to_bytes())
    manifest.save(tmp_path, kept)
    assert manifest.load(tmp_path) == kept
    assert (kept.sealed, segment.rows) == (42, 42)
    assert segment.path(tmp_path, "id.idx").name == f"{0:020d}-{41:020d}.id.idx"
    assert segment.path(tmp_path).parent.name == "2023-11-14"


def test_a_changed_byte_is_told(tmp_path: Path) -> None:
    manifest.save(tmp_path, Manifest())
    path = tmp_path / manifest.NAME
    raw = path.read_bytes()
    for at in range(len(raw)):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        with pytest.raises(LedgerError, match="checksum"):
            manifest.load(tmp_path)


def test_a_newer_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "VERSION", 2)
    manifest.save(tmp_path, Manifest())
    monkeypatch.undo()
    with pytest.raises(LedgerError, match="version 2"):
        manifest.load(tmp_path)
