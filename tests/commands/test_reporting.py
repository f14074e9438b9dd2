from __future__ import annotations

from pathlib import Path

import pytest

from commands.incidents import CASE, home_and_settings
from watchbill.commands.reporting import facts_for, given, settings_for, write_out
from watchbill.core.errors import SettingsError


def test_settings_come_from_the_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, config = home_and_settings(tmp_path)
    monkeypatch.delenv("WATCHBILL_CONFIG", raising=False)
    assert settings_for(None)[0].name == ""
    assert settings_for(config)[0].name == "示例快递"
    monkeypatch.setenv("WATCHBILL_CONFIG", str(config))
    assert settings_for(None)[1].owner == "legal"
    assert facts_for(home, CASE, None).firm.name_en == "Example Express"


def test_somebody_says_it_and_a_file_has_its_hash(tmp_path: Path) -> None:
    assert given(" r1 ") == "r1"
    for nobody in ("", "  ", "x" * 65):
        with pytest.raises(SettingsError):
            given(nobody)
    said = write_out(tmp_path / "a", b"")
    assert said == {
        "file": "a",
        "bytes": 0,
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }
