from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from watchbill.core.errors import SettingsError
from watchbill.notices.clocks import clocks_of
from watchbill.notices.settings import DUTIES, FirmSettings, ReportSettings
from watchbill.runners.config import load_config


def test_nobody_is_made_up() -> None:
    assert not any(FirmSettings().model_dump().values()), "a default could be taken for true"
    assert ReportSettings().owner_of("postal") == ""


def test_owners_by_duty_and_kinds_laid_over() -> None:
    settings = ReportSettings(owner="legal", owners={"postal": "post desk"}, meter_fields={"address": "tracks"})
    assert [settings.owner_of(one) for one in ("postal", "gdpr33")] == ["post desk", "legal"]
    assert settings.meter_fields["address"] == "tracks"
    assert settings.meter_fields["bank_card"] == "tracks"
    with pytest.raises(ValidationError, match="by duty"):
        ReportSettings(owners={"postl": "x"})
    with pytest.raises(ValidationError):
        ReportSettings(provisional_level="huge")  # type: ignore[arg-type]


def test_the_settings_file_holds_both(tmp_path: Path) -> None:
    path = tmp_path / "w.toml"
    path.write_text('[firm]\nname = "示例"\n[reports]\ncritical_operator = true\n', encoding="utf-8")
    read = load_config(path)
    assert read.firm.name == "示例"
    assert read.reports.critical_operator
    path.write_text("[reports]\nescalate_posterior = 2\n")
    with pytest.raises(SettingsError, match=r"\[reports\].*escalate_posterior"):
        load_config(path)


def test_every_duty_that_runs_can_be_owned() -> None:
    row = {"id": "c", "opened": 0, "status": "closed", "posterior": 1.0, "verdicts": [{"verdict": "lifted", "time": 5}]}
    clocks = clocks_of([row], [], ReportSettings(gdpr=True), 10**12)
    assert {clock.duty.partition("/")[0] for clock in clocks} == set(DUTIES)
