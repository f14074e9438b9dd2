"""All settings of the engine, typed, with the defaults that the domain's facts give; read from TOML.

Every field is documented in docs/settings.md (a test holds the two together). Times carry their unit in the name.
"""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from watchbill.core.bridge import fault_of_bridge
from watchbill.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

Template = Literal[
    "assigned", "own_outlet", "cover", "inbound", "held", "own_scan", "any_scan", "ticket", "team", "looked"
]
TEMPLATES: tuple[str, ...] = Template.__args__  # type: ignore[attr-defined]  # Literal's own listing of its values
Step = Literal["ask_reason", "step_up", "throttle", "end_session", "suspend"]
Shadowed = Literal["mask", "ask_reason", "step_up", "throttle", "end_session", "suspend"]
Level = Literal["plain", "masked", "hidden"]
TicketType = Literal["complaint", "claim", "return", "call", "incident", "change", "legal", "none"]


class Section(BaseModel):
    """A part of the settings: unknown names are refused, so that a typing error cannot hide."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Reason(Section):
    """One declared reason of a role: a short path from the account to the waybill."""

    template: Template
    name: str = ""
    window_hours: float = Field(default=360.0, gt=0, le=24 * 60)
    signed_hours: float = Field(default=0.0, ge=0, le=24 * 60)
    types: tuple[TicketType, ...] = ()
    anyone: bool = False

    @property
    def label(self) -> str:
        """The name that a verdict carries."""
        return self.name or self.template


class Role(Section):
    """What explains a role's looks, and how many unexplained unmasked records it may ever see in a burst."""

    reasons: tuple[Reason, ...]
    tokens_max: float = Field(default=40.0, ge=1, le=10_000)
    looks_a_day: float = Field(default=100.0, gt=0, le=1_000_000)
    steps: bool = True
    alone: bool = True
    judged: bool = True


_LOOKED = Reason(template="looked", window_hours=168)
_TEAM = Reason(template="team", window_hours=360)
_CALLS: tuple[TicketType, ...] = ("call", "complaint", "claim", "return", "none")


def _ticket(*types: TicketType, anyone: bool = False) -> Reason:
    return Reason(template="ticket", types=types, window_hours=336, anyone=anyone)


def default_roles() -> dict[str, Role]:
    """The table of shared/domain.md, "Roles and their legitimate reasons"."""
    courier = (
        Reason(template="assigned", window_hours=360, signed_hours=72),
        Reason(template="own_outlet", window_hours=360, signed_hours=72),
        Reason(template="own_scan", window_hours=360, signed_hours=72),
        Reason(template="cover", window_hours=360, signed_hours=72),
        _ticket(*_CALLS),
        _LOOKED,
    )
    service = (
        Reason(template="own_outlet", window_hours=720),
        Reason(template="inbound", window_hours=720),
        _ticket(*_CALLS),
        Reason(template="cover", window_hours=720),
        _TEAM,
        _LOOKED,
    )
    clerk = (
        Reason(template="held", window_hours=720, signed_hours=72),
        Reason(template="own_scan", window_hours=360),
        Reason(template="cover", window_hours=720),
        _ticket(*_CALLS),
        _LOOKED,
    )
    hub = (Reason(template="own_outlet", window_hours=48), Reason(template="own_scan", window_hours=48), _LOOKED)
    unknown = (
        Reason(template="assigned", window_hours=360),
        Reason(template="own_scan", window_hours=360),
        _ticket(*_CALLS, "incident", "change", "legal"),
        _LOOKED,
    )
    return {
        "courier": Role(reasons=courier, looks_a_day=150),
        "service": Role(reasons=service, looks_a_day=150),
        "clerk": Role(reasons=clerk, looks_a_day=250),
        "hub": Role(reasons=hub, looks_a_day=25, tokens_max=20),
        "hq_support": Role(reasons=(_ticket(*_CALLS), _LOOKED), looks_a_day=150),
        "claims": Role(reasons=(_ticket("claim", "return"), _LOOKED), looks_a_day=50),
        "it": Role(reasons=(_ticket("change", "incident"), _LOOKED), looks_a_day=5, tokens_max=20),
        "legal": Role(reasons=(_ticket("legal"), _LOOKED), looks_a_day=5, tokens_max=200),
        "robot": Role(
            reasons=(Reason(template="any_scan", window_hours=72), _LOOKED),
            looks_a_day=5_000,
            tokens_max=400,
            judged=False,
        ),
        # a scanner or handset that looks without an account shows what is in somebody's hand
        "device": Role(reasons=(Reason(template="own_scan", window_hours=72), _LOOKED), looks_a_day=100),
        "unknown": Role(reasons=unknown, looks_a_day=100, alone=False),
    }


class ReasonSettings(Section):
    """The streaming join of looks with the work that explains them."""

    roles: dict[str, Role] = Field(default_factory=default_roles)
    role_names: dict[str, str] = Field(default_factory=dict)
    after_minutes: float = Field(default=60, ge=0, le=24 * 60)
    ticket_after_minutes: float = Field(default=30, ge=0, le=24 * 60)
    pending_hours: float = Field(default=48, gt=0, le=24 * 14)
    pending_an_account: int = Field(default=64, ge=1, le=4096)
    exact_days: int = Field(default=3, ge=1, le=14)
    field_tokens: dict[str, float] = Field(default_factory=lambda: {"id_number": 10.0, "bank_card": 10.0})
    ticket_grace_minutes: float = Field(default=30, ge=0, le=24 * 60)


class GateSettings(Section):
    """When evidence from reasons may not be used."""

    coverage_min: float = Field(default=0.80, ge=0, le=1)
    coverage_looks_min: int = Field(default=20, ge=1)
    coverage_accounts_min: int = Field(default=3, ge=1)
    feed_quantile: float = Field(default=0.01, gt=0, lt=0.5)
    feed_scans_min: float = Field(default=5, gt=0)
    roster_grace_days: float = Field(default=7, ge=0, le=90)


_KNOTS_MAX = 1024
_CALIBRATION_BYTES_MAX = 1 << 20


class Calibration(Section):
    """Knots of the isotonic map from raw to calibrated posteriors, straight lines between them; `seeds` it was fitted on.

    As the file that `watchbill trial calibrate` writes. It stands in the settings in full, so that a change of it is a change
    of settings, journaled and kept like any other.
    """

    version: Literal[1] = 1
    seeds: tuple[int, ...] = ()
    raw: tuple[float, ...]
    posterior: tuple[float, ...]

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if not 1 <= len(self.raw) == len(self.posterior) <= _KNOTS_MAX:
            raise ValueError(f"raw and posterior hold the same number of knots, 1 to {_KNOTS_MAX}")
        if not all(_rising(knots) and knots[0] >= 0 and knots[-1] <= 1 for knots in (self.raw, self.posterior)):
            raise ValueError("raw and posterior never fall, and lie between 0 and 1")
        return self


def _rising(knots: Sequence[float]) -> bool:
    return all(low <= high for low, high in pairwise(knots))


def _calibration_of(path: Path) -> object:
    """A calibration file's JSON.

    Raises:
        ValueError: it cannot be read, or is none.
    """
    try:
        with path.open("rb") as file:
            return json.loads(file.read(_CALIBRATION_BYTES_MAX))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path.name} cannot be read as a calibration") from error


@cache
def shipped_calibration() -> Calibration:
    """The calibration of this release, from scoring/calibration.json."""
    return Calibration.model_validate(_calibration_of(Path(__file__).parents[1] / "scoring" / "calibration.json"))


class RiskSettings(Section):
    """From evidence to one posterior and one guarantee number."""

    prior_log_odds: float = -7.0
    family_cap_nats: float = Field(default=4.0, gt=0)
    calibration: Calibration = Field(default_factory=shipped_calibration)
    learn_from_verdicts: bool = True
    weights: dict[str, float] = Field(
        default_factory=lambda: {
            "reason": 0.30,
            "volume": 0.02,
            "login": 0.08,
            "roster": 0.12,
            "canary": 0.10,
            "trace": 0.12,
            "harvest": 0.06,
            "graph": 0.06,
            "habit": 0.0,
            "service": 0.08,
            "slow": 0.06,
        }
    )

    @field_validator("calibration", mode="before")
    @classmethod
    def _read(cls, given: object) -> object:
        """A path stands for the file's content."""
        return _calibration_of(Path(given)) if isinstance(given, str) else given

    @field_validator("weights")
    @classmethod
    def _whole(cls, weights: dict[str, float]) -> dict[str, float]:
        """Over 1 in all, the weighted mean would be no e-value any more."""
        if min(weights.values(), default=0.0) < 0 or sum(weights.values()) > 1 + 1e-9:
            raise ValueError("weights are at least 0 and at most 1 in all")
        return weights


_COSTS: dict[Step, float] = {
    "ask_reason": 2.0,
    "step_up": 10.0,
    "throttle": 50.0,
    "end_session": 200.0,
    "suspend": 1000.0,
}


class PolicySettings(Section):
    """The ladder: at which guarantee number (mean run between false alarms, in looks) a step is taken, and for how long."""

    ask_reason_at: float = Field(default=1e3, gt=1)
    step_up_at: float = Field(default=1e5, gt=1)
    throttle_at: float = Field(default=1e7, gt=1)
    end_session_at: float = Field(default=1e8, gt=1)
    suspend_at: float = Field(default=1e12, gt=1)
    step_hours: float = Field(default=24, gt=0, le=24 * 30)
    suspend_minutes: float = Field(default=15, gt=0, le=15)
    relax_factor: float = Field(default=10, ge=1)
    presence_hours: float = Field(default=8, gt=0, le=24)
    presence_km: float = Field(default=150, gt=0, le=20_040)
    bridge_url: str = Field(default="", max_length=2048)
    record_yuan: float = Field(default=50.0, gt=0)
    control_hours: float = Field(default=24.0, gt=0, le=24 * 30)
    cost_yuan: dict[Step, Annotated[float, Field(ge=0, le=1e9)]] = Field(default_factory=lambda: dict(_COSTS))
    mode: Literal["enforce", "shadow"] = "enforce"
    shadow_steps: tuple[Shadowed, ...] = ()
    budget_share: float = Field(default=0.01, ge=0, le=1)
    budget_min: int = Field(default=10, ge=0, le=1_000_000)

    @property
    def shadowing(self) -> bool:
        """Whether any step is in shadow."""
        return self.mode == "shadow" or bool(self.shadow_steps)

    @field_validator("bridge_url")
    @classmethod
    def _bridge(cls, template: str) -> str:
        if fault := fault_of_bridge(template):
            raise ValueError(fault)
        return template


_FIELD = re.compile(r"\w{1,64}")
_NEVER: tuple[str, ...] = ("id_number", "bank_card")
_MASKS_MAX = 200


def default_masks() -> dict[str, dict[str, Level]]:
    """Role -> last part of a field's name -> level (est., docs/contain.md); what is not named is plain."""
    never: dict[str, Level] = dict.fromkeys(_NEVER, "hidden")
    return {
        "courier": dict(never),
        "service": dict(never),
        "clerk": dict(never),
        "hub": {**never, "phone": "masked"},
        "device": {**never, "phone": "masked"},
        "it": {**never, "phone": "masked", "address": "masked"},
        "unknown": dict(never),
    }


class InquirySettings(Section):
    """How answers of inquiry split an account between its owner and somebody else, and what records fetch."""

    other_under: float = Field(default=0.5, gt=0, lt=1)
    owner_over: float = Field(default=0.95, gt=0, lt=1)
    past_days: float = Field(default=30, gt=0, le=3650)
    tenancy_gap_hours: float = Field(default=8, gt=0, le=24 * 30)
    yuan_a_record: float = Field(default=1.0, ge=0)
    yuan_a_record_low: float = Field(default=0.8, ge=0)
    yuan_a_record_high: float = Field(default=10.0, ge=0)
    rent_yuan_a_day: float = Field(default=500.0, ge=0)
    mark_digits: int = Field(default=0, ge=0, le=8)
    complaint_days: float = Field(default=30, gt=0, le=3650)
    complaint_alert_at: float = Field(default=0.9, gt=0, le=1)

    @model_validator(mode="after")
    def _in_order(self) -> InquirySettings:
        if self.other_under > self.owner_over:
            raise ValueError("other_under is at most owner_over")
        if not self.yuan_a_record_low <= self.yuan_a_record <= self.yuan_a_record_high:
            raise ValueError("yuan_a_record lies between its low and its high")
        return self


class CaseSettings(Section):
    """Until when people should have looked at a case, told the person and decided an appeal, and who may decide."""

    first_look_suspended_minutes: float = Field(default=15.0, gt=0, le=1440)
    first_look_hours: float = Field(default=24.0, gt=0, le=24 * 30)
    appeal_hours: float = Field(default=24.0, gt=0, le=24 * 30)
    appeal_reviewers: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        default=(), max_length=1_000
    )
    appeal_contact: str = Field(default="", max_length=200)
    delay_roles: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = ("security_lead", "legal_lead")


class LimitSettings(Section):
    """What nobody can make grow without a bound."""

    accounts_max: int = Field(default=2_000_000, ge=1)
    devices_max: int = Field(default=200_000, ge=0)
    outlets_max: int = Field(default=200_000, ge=1)
    decisions_max: int = Field(default=1_000_000, ge=0)
    decision_hours: float = Field(default=24, gt=0, le=24 * 7)
    reference_rows_max: int = Field(default=50_000_000, ge=1)


class Settings(Section):
    """Everything that changes what the engine says; a change of it is itself a journal record."""

    time_zone: str = "Asia/Shanghai"
    table_minutes: int = Field(default=60, ge=1, le=1440)
    tick_seconds: int = Field(default=60, ge=1, le=3600)
    reasons: ReasonSettings = Field(default_factory=ReasonSettings)
    gates: GateSettings = Field(default_factory=GateSettings)
    risk: RiskSettings = Field(default_factory=RiskSettings)
    policy: PolicySettings = Field(default_factory=PolicySettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    inquiry: InquirySettings = Field(default_factory=InquirySettings)
    cases: CaseSettings = Field(default_factory=CaseSettings)
    masks: dict[str, dict[str, Level]] = Field(default_factory=default_masks)
    detectors_off: tuple[str, ...] = ()
    detectors_shadow: tuple[str, ...] = ()
    shadow_owner: str = Field(default="", max_length=64)

    @field_validator("masks")
    @classmethod
    def _bounded(cls, masks: dict[str, dict[str, Level]]) -> dict[str, dict[str, Level]]:
        if "unknown" not in masks:
            raise ValueError("masks of the role unknown are missing; they hold for every role that is not named")
        if len(masks) > _MASKS_MAX or any(len(fields) > _MASKS_MAX for fields in masks.values()):
            raise ValueError(f"at most {_MASKS_MAX} roles, and fields of a role")
        for fields in masks.values():
            if not all(_FIELD.fullmatch(name) for name in fields):
                raise ValueError("a field is named by its last part alone, as phone for recipient.phone")
        return masks

    @model_validator(mode="after")
    def _owned(self) -> Self:
        """What nobody reads need not be found."""
        if self.detectors_shadow and not self.shadow_owner.strip():
            raise ValueError("detectors_shadow needs shadow_owner: the desk that reads what they find")
        return self


def parse_settings(data: dict[str, object], where: str) -> Settings:
    """Settings from a parsed TOML table.

    Roles given are merged over the default roles, one by one; masks over the default masks, role by role and field by field.

    Raises:
        SettingsError: a name or a value is wrong; says which.
    """
    merged = dict(data)
    reasons = merged.get("reasons")
    if isinstance(reasons, dict) and isinstance(reasons.get("roles"), dict):
        roles = {name: role.model_dump() for name, role in default_roles().items()} | reasons["roles"]
        merged["reasons"] = {**reasons, "roles": roles}
    if isinstance(merged.get("masks"), dict):
        merged["masks"] = _laid_over(default_masks(), merged["masks"])
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise SettingsError(
            fault_of(error), where=where, todo="docs/settings.md lists every setting with its range"
        ) from error


def _laid_over(masks: dict[str, dict[str, Level]], given: object) -> dict[str, object]:
    """Masks given over the default ones; a role that has no defaults begins with those of `unknown`."""
    out: dict[str, object] = dict(masks)
    for role, fields in given.items() if isinstance(given, dict) else ():
        out[role] = {**masks.get(role, masks["unknown"]), **fields} if isinstance(fields, dict) else fields
    return out


def fault_of(error: ValidationError) -> str:
    """The first thing that is wrong, in one line, without the value that was given: it may be a token."""
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    return f"{path}: {first['msg']}" if path else first["msg"]


def load_settings(path: Path) -> dict[str, object]:
    """Read a TOML file.

    Raises:
        SettingsError: it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}", where=path.name, todo="check the path and the TOML") from error
