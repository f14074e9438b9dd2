"""Reference tables by digest: what changed, what is refused, and that the kept copy is what counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchbill.core.errors import LedgerError, SettingsError
from watchbill.core.settings import Settings
from watchbill.runners.references import Loaded, References, read_folder


def folder(place: Path, accounts: int) -> list[Loaded]:
    """The tables of a folder with this many accounts."""
    place.mkdir(exist_ok=True)
    (place / "accounts.csv").write_text(
        "account,role,outlet\n" + "".join(f"a{n},courier,O1\n" for n in range(accounts))
    )
    (place / "outlets.csv").write_text("outlet,name\nO1,one\n")
    return read_folder(place, Settings())


def in_force(references: References, loaded: list[Loaded]) -> list[str]:
    """Names of what changed, all of it taken."""
    changes = references.changes(loaded)
    for change in changes:
        assert references.take(change["table"], change["digest"]).num_rows == change["rows"]
    return [change["table"] for change in changes]


def test_only_what_changed_is_told_once(tmp_path: Path) -> None:
    references = References(tmp_path / "home")
    assert in_force(references, folder(tmp_path / "r", 4)) == ["accounts", "outlets"]
    assert in_force(references, folder(tmp_path / "r", 4)) == []
    assert in_force(references, folder(tmp_path / "r", 5)) == ["accounts"]
    assert in_force(references, folder(tmp_path / "r", 4)) == ["accounts"], "an old version may come back"
    assert len(list((tmp_path / "home" / "reference").glob("accounts-*.parquet"))) == 2


def test_a_table_that_loses_more_than_half_is_refused_until_it_is_whole(tmp_path: Path) -> None:
    references = References(tmp_path / "home")
    in_force(references, folder(tmp_path / "r", 10))
    for left in (4, 0):
        assert in_force(references, folder(tmp_path / "r", left)) == []
        assert references.refused == {"accounts": f"shrank from 10 to {left} rows; the old table stays in force"}
    assert references.rows["accounts"] == 10
    assert in_force(references, folder(tmp_path / "r", 5)) == ["accounts"]
    assert references.refused == {}


def test_no_folder_no_tables_and_a_wrong_one_is_said(tmp_path: Path) -> None:
    assert read_folder(None, Settings()) == []
    with pytest.raises(SettingsError, match="not a folder"):
        read_folder(tmp_path / "nowhere", Settings())


def test_a_kept_table_that_is_gone_stops_everything(tmp_path: Path) -> None:
    references = References(tmp_path)
    in_force(references, folder(tmp_path / "r", 3))
    key = references.in_force["accounts"]
    (tmp_path / "reference" / f"accounts-{key}.parquet").unlink()
    with pytest.raises(LedgerError, match="is missing"):
        References(tmp_path).take("accounts", key)
