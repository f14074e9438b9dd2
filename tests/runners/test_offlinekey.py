"""The key of offline lists: made once, kept to its owner."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from watchbill.core.errors import LedgerError
from watchbill.runners.offlinekey import offline_key


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    made = offline_key(tmp_path).private_bytes_raw()
    path = tmp_path / "presence" / "offline.key"
    assert offline_key(tmp_path).private_bytes_raw() == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(("data", "mode"), [(b"x" * 31, 0o600), (b"x" * 32, 0o644)])
def test_a_damaged_or_open_key_is_refused(tmp_path: Path, data: bytes, mode: int) -> None:
    path = tmp_path / "presence" / "offline.key"
    path.parent.mkdir()
    path.write_bytes(data)
    path.chmod(mode)
    with pytest.raises(LedgerError):
        offline_key(tmp_path)
