from __future__ import annotations

from reports.filled import Filled, text_of


def test_only_this_report_names_accounts_and_devices(filled: Filled) -> None:
    said = text_of(filled("police"))
    assert "Accounts concerned (work number): E1" in said
    assert "Devices concerned (number): X9" in said


def test_evidence_meter_and_the_pack(filled: Filled) -> None:
    said = filled("police")
    assert "no work explains them +9.1 80" in text_of(said)
    assert "whether it is a crime is for counsel and the courts" in text_of(said)
    assert filled("police", entered=False).missing == ["evidence_pack"]
    assert {one.id for one in said.sections} >= {"meter", "evidence", "account_holders"}
