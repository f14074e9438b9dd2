"""A small home with one case for the tests of reports: a stranger's evening at an owner's account, as the inquiry's tests make it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from inquiry.test_caseexposure import home_of
from watchbill.notices.facts import FIRM, Facts, facts_of
from watchbill.notices.final import finalize
from watchbill.notices.profile import Profile
from watchbill.notices.record import append
from watchbill.notices.settings import FirmSettings, ReportSettings
from watchbill.reports.base import profiles

CASE = "c99"
FILLED = FirmSettings(
    name="示例快递", name_en="Example Express", contact="privacy@example.com", dpo="dpo@example.com", authority="省网信办",
    postal_authority="市邮政管理局", cyberspace_authority="省网信办", police="市公安局", supervisory_authority="DPA",
    express_permit="国邮1", franchise_roles="总部决定，网点执行", franchise_roles_en="headquarters decides",
)  # fmt: skip
EVIDENCE = {
    "detector": "unexplained",
    "nats": 9.1,
    "text_zh": "没有业务理由的查询",
    "text_en": "no work explains them",
    "records": 80,
}


def incident(place: Path, **said: Any) -> Path:
    """The home; `said` goes into the row of its case."""
    home = home_of(place)
    row = json.loads((home / "cases.ndjson").read_text())
    row |= {"status": "open", "posterior": 0.97, "devices": ["X9"], "reasons": [EVIDENCE], "for_person": [], "verdicts": [],
            "unattended": 0, "persons": 80, "items": 80}  # fmt: skip
    row |= said
    (home / "cases.ndjson").write_text(json.dumps(row) + "\n")
    steps = [
        {"seq": 99, "case": one, "account": "E1", "step": "suspend", "time": row["opened"] + 60_000}
        for one in (CASE, "c1")
    ]
    (home / "interventions.ndjson").write_text("".join(json.dumps(step) + "\n" for step in steps))
    return home


def facts(home: Path, case: str = CASE, firm: FirmSettings = FILLED, settings: ReportSettings | None = None) -> Facts:
    """Its facts."""
    return facts_of(home, case, firm, settings or ReportSettings())


def fill_all(home: Path, profile: Profile, time: int, value: str = "说明 text") -> None:
    """Enter something for each field that only people know, and what the case needs besides."""
    case = CASE if profile.about == "case" else FIRM
    for one in profile.fields:
        if one.source == "person":
            said = {
                "profile": profile.id,
                "field": one.id,
                "value": one.choices[0] if one.choices else value,
                "lang": "",
            }
            append(home, "set", case, "r1", time, **said)
    if case == CASE:
        append(home, "grade", CASE, "r1", time, level="larger", aware=time, note="")
        append(home, "not_told", CASE, "r1", time, reason="the device was seized with the list on it")


def signed(home: Path, name: str, time: int, stage: str = "") -> dict[str, Any]:
    """A report signed off, with everything entered."""
    profile = profiles()[name]
    fill_all(home, profile, time)
    return finalize(home, profile, facts(home, CASE if profile.about == "case" else FIRM), "r2", time + 1, stage)
