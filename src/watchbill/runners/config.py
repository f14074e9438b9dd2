"""The settings file of `watchbill run` (TOML): where the home is, what is read, and how the engine is set.

home = "/var/lib/watchbill"          # relative paths stand beside the file
reference = "reference"
[engine]                              # core/settings.py: reasons, gates, risk, policy, limits ...
[records]                             # records/limits.py
[rules]                               # rules/settings.py: folder, and what rules may do
[sources.desk]                        # one table a source: kind = "files" | "stdin" | "http", mapping ...
[http]                                # web/ingest.py: host, port, certificate
[firm]                                # notices/settings.py: who tells, printed in every report
[reports]                             # notices/settings.py: clocks, owners, meter
[witness]                             # runners/witness.py: where checkpoints are published
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import ValidationError

from watchbill.core.errors import SettingsError
from watchbill.core.settings import Section, Settings, fault_of, load_settings, parse_settings
from watchbill.notices.settings import FirmSettings, ReportSettings
from watchbill.records.limits import RecordLimits
from watchbill.rules.bundle import RuleSource
from watchbill.rules.settings import RuleSettings
from watchbill.runners.witness import WitnessSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

S = TypeVar("S", bound=Section)
_KNOWN: Final = (
    "home",
    "reference",
    "engine",
    "rules",
    "records",
    "sources",
    "http",
    "checkpoint_seconds",
    "reload_seconds",
    "firm",
    "reports",
    "retention_days",
    "witness",
)
RETENTION_DAYS: Final = 1_095
"""Three years: what the postal and personal-information rules ask for, and no more."""
RETENTION_DAYS_MIN: Final = 180


@dataclass(frozen=True)
class RunConfig:
    """A parsed settings file. `sources` are the raw tables; sources.base.open_source checks each."""

    home: Path
    reference: Path | None = None
    engine: Settings = field(default_factory=Settings)
    records: RecordLimits = field(default_factory=RecordLimits)
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    http: Mapping[str, Any] = field(default_factory=dict)
    checkpoint_seconds: float = 60.0
    reload_seconds: float = 30.0
    rules: RuleSource = field(default_factory=RuleSource)
    firm: FirmSettings = field(default_factory=FirmSettings)
    reports: ReportSettings = field(default_factory=ReportSettings)
    retention_days: int = RETENTION_DAYS
    witness: WitnessSettings = field(default_factory=WitnessSettings)


def load_config(path: Path) -> RunConfig:
    """Read and check a settings file.

    Raises:
        SettingsError: says which setting is wrong, and how.
    """
    data = load_settings(path)
    unknown = sorted(set(data) - set(_KNOWN))
    if unknown:
        raise SettingsError(f"{unknown[0]} is not a setting", where=path.name, todo=f"known: {', '.join(_KNOWN)}")
    base = path.resolve().parent
    try:
        records = RecordLimits.model_validate(data.get("records", {}))
    except ValidationError as error:
        raise SettingsError(fault_of(error), where=f"{path.name} [records]", todo="see docs/settings.md") from error
    reference = data.get("reference")
    return RunConfig(
        home=base / str(data.get("home", "watchbill-home")),
        reference=base / str(reference) if reference else None,
        engine=parse_settings(_near(_table(data, "engine", path), base), f"{path.name} [engine]"),
        records=records,
        sources={name: _placed(table, base) for name, table in _table(data, "sources", path).items()},
        http=_table(data, "http", path),
        checkpoint_seconds=_seconds(data, "checkpoint_seconds", 60.0, path),
        reload_seconds=_seconds(data, "reload_seconds", 30.0, path),
        rules=_rules(dict(_table(data, "rules", path)), base, path),
        firm=_section(FirmSettings, data, "firm", path),
        reports=_section(ReportSettings, data, "reports", path),
        retention_days=_days(data, path),
        witness=_witness(dict(_table(data, "witness", path)), base, path),
    )


def _section(model: type[S], data: Mapping[str, Any], name: str, path: Path) -> S:
    try:
        return model.model_validate(_table(data, name, path))
    except ValidationError as error:
        raise SettingsError(fault_of(error), where=f"{path.name} [{name}]", todo="see docs/settings.md") from error


def _witness(table: dict[str, Any], base: Path, path: Path) -> WitnessSettings:
    if table.get("file"):
        table["file"] = str(base / str(table["file"]))
    try:
        return WitnessSettings.model_validate(table)
    except ValidationError as error:
        raise SettingsError(fault_of(error), where=f"{path.name} [witness]", todo="see docs/settings.md") from error


def _days(data: Mapping[str, Any], path: Path) -> int:
    value = data.get("retention_days", RETENTION_DAYS)
    if isinstance(value, bool) or not isinstance(value, int) or value < RETENTION_DAYS_MIN:
        raise SettingsError(
            f"retention_days is not {RETENTION_DAYS_MIN} or more", where=path.name, todo="the law asks for six months"
        )
    return value


def _rules(table: dict[str, Any], base: Path, path: Path) -> RuleSource:
    folder = table.pop("folder", None)
    try:
        settings = RuleSettings.model_validate(table)
    except ValidationError as error:
        raise SettingsError(fault_of(error), where=f"{path.name} [rules]", todo="see docs/settings.md") from error
    return RuleSource(base / str(folder) if folder else None, settings)


def _table(data: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    value = data.get(name, {})
    if not isinstance(value, dict):
        raise SettingsError(f"{name} is not a table", where=path.name, todo=f"write [{name}] and its settings under it")
    return value


def _seconds(data: Mapping[str, Any], name: str, default: float, path: Path) -> float:
    value = data.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.1 <= value <= 86_400:  # noqa: PLR2004
        raise SettingsError(f"{name} is not between 0.1 and 86400", where=path.name, todo="give seconds")
    return float(value)


def _near(engine: dict[str, Any], base: Path) -> dict[str, Any]:
    """The engine's table with the path of its calibration beside the settings file."""
    risk = engine.get("risk")
    if isinstance(risk, dict) and isinstance(risk.get("calibration"), str):
        return engine | {"risk": risk | {"calibration": str(base / risk["calibration"])}}
    return engine


def _placed(table: object, base: Path) -> dict[str, Any]:
    """A source's table with its relative paths beside the settings file."""
    if not isinstance(table, dict):
        raise SettingsError("is not a table", where="[sources]", todo="write [sources.NAME] and its settings under it")
    out = dict(table)
    if isinstance(out.get("paths"), list):
        out["paths"] = [str(base / str(path)) for path in out["paths"]]
    return out
