"""Durable files: replaced in one step, locked once, the mark believed only when whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from watchbill.core.errors import LedgerBusy
from watchbill.ledger import files
from watchbill.ledger.files import Mark


def test_a_failed_replacement_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    files.write_atomic(path, b"old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        files.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"


def test_modes_and_folders(tmp_path: Path) -> None:
    files.make_directory(tmp_path / "a" / "b")
    files.make_directory(tmp_path / "a" / "b")
    files.write_atomic(tmp_path / "a" / "b" / "key", b"x", mode=0o600)
    assert (tmp_path / "a" / "b" / "key").stat().st_mode & 0o777 == 0o600


def test_a_lock_is_taken_once(tmp_path: Path) -> None:
    held = files.take_lock(tmp_path / "lock", "somebody writes")
    with pytest.raises(LedgerBusy, match="somebody writes"):
        files.take_lock(tmp_path / "lock", "somebody writes")
    os.close(held)
    os.close(files.take_lock(tmp_path / "lock", "somebody writes"))


def test_the_mark_is_believed_only_when_whole(tmp_path: Path) -> None:
    files.make_directory(tmp_path / "journal")
    assert files.read_mark(tmp_path) is None
    mark, path = Mark(5, 6, 7, -8), files.mark_path(tmp_path)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    files.write_mark(fd, mark)
    os.close(fd)
    assert files.read_mark(tmp_path) == mark
    raw = path.read_bytes()
    assert len(raw) == files.MARK_BYTES == 44
    for at in range(len(raw)):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        assert files.read_mark(tmp_path) is None
        path.write_bytes(raw[:at])
        assert files.read_mark(tmp_path) is None


def test_journal_files_come_in_order(tmp_path: Path) -> None:
    files.make_directory(tmp_path / "journal")
    for seq in (30, 4, 100):
        files.journal_path(tmp_path, seq).touch()
    (tmp_path / "journal" / "notes.wbj").touch()
    assert [first for first, _ in files.journal_files(tmp_path)] == [4, 30, 100]
