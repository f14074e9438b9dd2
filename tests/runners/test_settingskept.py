"""Settings in force: kept by digest, renewed by a record, refused when somebody changed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from watchbill import __version__
from watchbill.core.errors import LedgerError
from watchbill.core.settings import Settings
from watchbill.runners.settingskept import SettingsKept

if TYPE_CHECKING:
    from pathlib import Path

OTHER = Settings.model_validate({"policy": {"step_hours": 2}})


def test_a_change_is_a_record_and_gives_the_settings_back(tmp_path: Path) -> None:
    kept = SettingsKept(tmp_path)
    record = kept.change_to(OTHER)
    assert record is not None
    assert record["version"] == __version__
    assert kept.in_force == {}  # only the record itself puts them in force
    assert kept.take(record) == OTHER
    assert kept.change_to(OTHER) is None
    assert kept.change_to(Settings()) is not None


def test_another_release_is_a_change_too(tmp_path: Path) -> None:
    kept = SettingsKept(tmp_path)
    record = kept.change_to(OTHER)
    assert record is not None
    kept.take({**record, "version": "0.0.1"})
    assert kept.change_to(OTHER) == record


def test_missing_or_changed_content_is_refused(tmp_path: Path) -> None:
    kept = SettingsKept(tmp_path)
    record = kept.change_to(OTHER)
    assert record is not None
    place = kept.folder / f"{record['digest']}.json"
    place.write_text(place.read_text().replace('"step_hours": 2.0', '"step_hours": 3.0'))
    with pytest.raises(LedgerError, match="were changed"):
        kept.take(record)
    place.unlink()
    with pytest.raises(LedgerError, match="are missing"):
        kept.take(record)
