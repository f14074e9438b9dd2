"""Settings of reports: the firm that tells (`[firm]`), and clocks, owners and the meter (`[reports]`)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, field_validator

from watchbill.cases.tiers import Kind
from watchbill.core.settings import Section

Level = Literal["ordinary", "larger", "major", "especially_major"]
LEVELS: Final[tuple[Level, ...]] = ("ordinary", "larger", "major", "especially_major")
"""Of the Measures for reporting national cybersecurity incidents (in force 2025-11-01)."""
DUTIES: Final = ("grading", "pipl57_authority", "pipl57_persons", "postal", "cac", "gdpr33", "gdpr34")
"""Duties that have a clock, as `owners` names them."""
_Text = Annotated[str, Field(max_length=500)]
_Desk = Annotated[str, Field(max_length=64)]


def default_meter_fields() -> dict[str, Kind]:
    """Last part of a field's name -> kind of item; what is not named is `other`. Counsel may see it differently."""
    return {
        "bank_card": "tracks",
        "amount": "communications",
        "cod_amount": "communications",
        "goods": "communications",
    }


class FirmSettings(Section):
    """Who tells: printed in every document, so no field has a default that could be taken for true."""

    name: _Text = ""
    name_en: _Text = ""
    address: _Text = ""
    contact: _Text = ""
    contact_en: _Text = ""
    dpo: _Text = ""
    dpo_en: _Text = ""
    express_permit: _Text = ""
    authority: _Text = ""
    postal_authority: _Text = ""
    cyberspace_authority: _Text = ""
    police: _Text = ""
    supervisory_authority: _Text = ""
    franchise_roles: _Text = ""
    franchise_roles_en: _Text = ""


class ReportSettings(Section):
    """When clocks start and who answers for them; which field counts as which kind of item."""

    owner: _Desk = ""
    owners: dict[_Desk, _Desk] = Field(default_factory=dict)
    critical_operator: bool = False
    gdpr: bool = False
    at_once_hours: float = Field(default=24, gt=0, le=24 * 7)
    closing_days: float = Field(default=30, gt=0, le=365)
    escalate_posterior: float = Field(default=0.9, gt=0, le=1)
    grade_hours: float = Field(default=2, gt=0, le=24 * 7)
    provisional_level: Level = "larger"
    shadow_owner: _Desk = ""
    shadow_review_hours: float = Field(default=168, gt=0, le=24 * 365)
    meter_fields: dict[str, Kind] = Field(default_factory=default_meter_fields)

    @field_validator("meter_fields")
    @classmethod
    def _laid_over(cls, given: dict[str, Kind]) -> dict[str, Kind]:
        """What is given is laid over the defaults, field by field."""
        return default_meter_fields() | given

    @field_validator("owners")
    @classmethod
    def _known(cls, owners: dict[str, str]) -> dict[str, str]:
        if not set(owners) <= set(DUTIES):
            raise ValueError(f"owners are named by duty, one of {', '.join(DUTIES)}")
        return owners

    def owner_of(self, duty: str) -> str:
        """The desk that answers for a duty; "" is nobody, and the clock says so."""
        return self.owners.get(duty, self.owner)
