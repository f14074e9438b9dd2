"""A log that continues what was published says so; one that was cut or rewritten, with its own key too, is found out."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from watchbill.core.errors import LedgerError, LimitError
from watchbill.ledger import witnessed
from watchbill.ledger.prove import checkpoint_note, checkpoint_sizes
from watchbill.ledger.sealing import seal
from watchbill.ledger.verify import verify
from watchbill.ledger.witnessed import check_against, notes_in


@pytest.fixture
def home(tmp_path: Path, make: Any, fill: Any) -> Path:
    fill(tmp_path / "home", make(700, days=1.5), 50)
    for upto in (300, 600):
        seal(tmp_path / "home", rows_max=200, upto=upto, final=True)
    return tmp_path / "home"


def published(home: Path) -> bytes:
    return b"\n".join(checkpoint_note(home, size)[1] for size in checkpoint_sizes(home))


def test_a_log_that_goes_on_continues_them(home: Path) -> None:
    notes = published(home)
    count = len(checkpoint_sizes(home))
    assert len(notes_in(notes)) == count
    seal(home, rows_max=200, final=True)
    told = check_against(home, notes)
    assert (told.checked, told.ok, told.size, told.reason) == (count, True, 600, "")


def test_a_history_that_was_rewritten_with_the_logs_own_key_is_found(home: Path, make: Any, fill: Any) -> None:
    notes, keys = published(home), home.parent / "keys"
    shutil.copytree(home / "keys", keys)
    shutil.rmtree(home)
    table = make(700, days=1.5)
    other = table.set_column(0, "source", [["changed"] + ["api"] * 699])
    home.mkdir()
    shutil.copytree(keys, home / "keys")
    fill(home, other, 50)
    seal(home, rows_max=200, final=True)
    assert verify(home).ok  # the log alone cannot tell: its key signed it
    told = check_against(home, notes)
    assert (told.ok, told.checked) == (False, 0)
    assert "history was rewritten" in told.reason


def test_a_log_that_was_cut_is_found(home: Path, tmp_path: Path, make: Any, fill: Any) -> None:
    notes = published(home)
    keys = tmp_path / "short"
    keys.mkdir()
    shutil.copytree(home / "keys", keys / "keys")
    fill(keys, make(700, days=1.5).slice(0, 400), 50)
    seal(keys, rows_max=200, upto=400, final=True)
    assert verify(keys).ok
    told = check_against(keys, notes)
    assert not told.ok
    assert "cut" in told.reason
    assert told.size > 400


def test_checkpoints_of_another_log_are_no_proof(home: Path, tmp_path: Path, make: Any, fill: Any) -> None:
    fill(tmp_path / "other", make(100), 50)
    seal(tmp_path / "other", final=True)
    told = check_against(home, published(tmp_path / "other"))
    assert not told.ok
    assert "another log" in told.reason


def test_what_holds_none_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (b"", b"hello", published(home)[:40]):
        with pytest.raises(LedgerError):
            check_against(home, data)
    monkeypatch.setattr(witnessed, "FILE_BYTES_MAX", 10)
    with pytest.raises(LimitError):
        check_against(home, published(home))
