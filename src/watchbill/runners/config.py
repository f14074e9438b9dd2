"""The settings file of `watchbill run` (TOML): where the home is, what is read, and how the engine is set.

home = "/var/lib/watchbill"          # relative paths stand beside the file
reference = "reference"
[engine]                              # core/settings.py: reasons, gates, risk, policy, limits ...
[records]                             # records/limits.py
[rules]                               # rules/settings.py: folder, and what rules may do
[sources.desk]                        # one table a source: kind = "files" | "stdin" | "http", mapping ...
[http]                                # web/ingest.py: host, port, certificate
[cases]                               # runners/caseskept.py: url of the database of cases
[presence]                            # web/presence.py: rp_id, origins, token_env ...
[actions.idp]                         # one table an action: kind = "webhook" | "caep" | "command" | "notify" (docs/actions.md)
[on_call]                             # actions = ["first", "second"]: who is paged, in order
[outbox]                              # runners/outbox.py: limits of what waits
[decisions]                           # runners/desk.py: who may ask before data is shown (docs/decide.md)
[witness]                             # runners/witness.py: where checkpoints are published
[firm]                                # notices/settings.py: who tells, printed in every report
[reports]                             # notices/settings.py: clocks, owners, meter
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import ValidationError

from watchbill.core.errors import SettingsError, StoreError
from watchbill.core.settings import Section, Settings, fault_of, load_settings, parse_settings
from watchbill.detectors.base import detector_ids
from watchbill.notices.settings import FirmSettings, ReportSettings
from watchbill.records.limits import RecordLimits
from watchbill.records.schema import CONTROL_PREFIX, CONTROL_SOURCE
from watchbill.rules.bundle import RuleSource
from watchbill.rules.settings import RuleSettings
from watchbill.runners.desk import DeskSettings
from watchbill.runners.outbox import OutboxSettings
from watchbill.runners.witness import WitnessSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

BOUND: Final = "bounded_loss"
"""The detector that is a token bucket."""
S = TypeVar("S", bound=Section)
_KNOWN: Final = (
    "home",
    "reference",
    "engine",
    "rules",
    "records",
    "sources",
    "http",
    "presence",
    "actions",
    "on_call",
    "outbox",
    "decisions",
    "cases",
    "checkpoint_seconds",
    "reload_seconds",
    "complaints_seconds",
    "retention_days",
    "witness",
    "firm",
    "reports",
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
    presence: Mapping[str, Any] = field(default_factory=dict)
    decisions: DeskSettings | None = None
    checkpoint_seconds: float = 60.0
    reload_seconds: float = 30.0
    complaints_seconds: float = 3600.0
    rules: RuleSource = field(default_factory=RuleSource)
    cases_url: str = ""
    actions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    on_call: tuple[str, ...] = ()
    outbox: OutboxSettings = field(default_factory=OutboxSettings)
    retention_days: int = RETENTION_DAYS
    witness: WitnessSettings = field(default_factory=WitnessSettings)
    firm: FirmSettings = field(default_factory=FirmSettings)
    reports: ReportSettings = field(default_factory=ReportSettings)


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
    engine = parse_settings(_near(_table(data, "engine", path), base), f"{path.name} [engine]")
    _known_detectors(engine)
    try:
        records = RecordLimits.model_validate(data.get("records", {}))
    except ValidationError as error:
        raise SettingsError(fault_of(error), where=f"{path.name} [records]", todo="see docs/settings.md") from error
    try:
        outbox = OutboxSettings.model_validate(data.get("outbox", {}))
    except ValidationError as error:
        raise SettingsError(fault_of(error), where=f"{path.name} [outbox]", todo="see docs/settings.md") from error
    actions = {name: _near_files(table, base) for name, table in _table(data, "actions", path).items()}
    reference = data.get("reference")
    for name in _table(data, "sources", path):
        if name.startswith(CONTROL_PREFIX) or name == CONTROL_SOURCE:
            raise SettingsError(f"[sources.{name}] has a name of ours", where=path.name, todo="choose another name")
    return RunConfig(
        home=base / str(data.get("home", "watchbill-home")),
        reference=base / str(reference) if reference else None,
        engine=engine,
        records=records,
        sources={name: _placed(table, base) for name, table in _table(data, "sources", path).items()},
        http=_table(data, "http", path),
        presence=_table(data, "presence", path),
        decisions=_decisions(data, path),
        checkpoint_seconds=_seconds(data, "checkpoint_seconds", 60.0, path),
        reload_seconds=_seconds(data, "reload_seconds", 30.0, path),
        complaints_seconds=_seconds(data, "complaints_seconds", 3600.0, path),
        rules=_rules(dict(_table(data, "rules", path)), base, path),
        cases_url=_cases_url(_table(data, "cases", path), path),
        actions=actions,
        on_call=_on_call(_table(data, "on_call", path), actions, path),
        outbox=outbox,
        retention_days=_days(data, path),
        witness=_witness(dict(_table(data, "witness", path)), base, path),
        firm=_section(FirmSettings, data, "firm", path),
        reports=_section(ReportSettings, data, "reports", path),
    )


def _cases_url(table: Mapping[str, Any], path: Path) -> str:
    """[cases] url; a password belongs into ~/.pgpass or PGPASSWORD, though one in the URL works."""
    url = table.get("url", "")
    if set(table) - {"url"} or not isinstance(url, str):
        raise SettingsError("takes url, a text", where=f"{path.name} [cases]", todo="see docs/settings.md")
    if url:
        from watchbill.casedb.store import check_url

        try:
            check_url(url)
        except StoreError as error:
            raise SettingsError(error.what, where=f"{path.name} [cases] url", todo=error.todo) from None
    return url


def _on_call(table: dict[str, Any], actions: Mapping[str, Mapping[str, Any]], path: Path) -> tuple[str, ...]:
    """The names of [on_call], each an action that reaches people."""
    names = table.pop("actions", [])
    where = f"{path.name} [on_call]"
    if table or not isinstance(names, list):
        raise SettingsError("holds something else than actions = [names]", where=where, todo="see docs/actions.md")
    for name in names:
        if not isinstance(name, str) or name not in actions or actions[name].get("kind") == "caep":
            todo = "name actions that reach people: notify, webhook or command"
            raise SettingsError("names no [actions.NAME] that can page", where=where, todo=todo)
    return tuple(names)


def _near_files(table: object, base: Path) -> dict[str, Any]:
    """An action's table with its files beside the settings file."""
    if not isinstance(table, dict):
        raise SettingsError("is not a table", where="[actions]", todo="write [actions.NAME] and its settings under it")
    files = {
        name: str(base / value) for name, value in table.items() if name.endswith("_file") and isinstance(value, str)
    }
    return {**table, **files}


def _decisions(data: Mapping[str, Any], path: Path) -> DeskSettings | None:
    if "decisions" not in data:
        return None
    try:
        settings = DeskSettings.model_validate(_table(data, "decisions", path))
    except ValidationError as error:
        where = f"{path.name} [decisions]"
        raise SettingsError(fault_of(error), where=where, todo="see docs/decide.md") from None
    if not settings.callers:
        todo = "add a [decisions.callers.NAME] table with token_env"
        raise SettingsError("nobody may ask for decisions", where=f"{path.name} [decisions]", todo=todo)
    return settings


def _known_detectors(engine: Settings) -> None:
    """A detector that does not exist is a typing error here; in settings of the journal it is one of another release."""
    known = detector_ids()
    for setting in ("detectors_off", "detectors_shadow"):
        unknown = [name for name in getattr(engine, setting) if name not in known]
        if unknown:
            todo = "`watchbill detectors` lists them"
            raise SettingsError(f"{unknown[0]} is no detector", where=f"engine.{setting}", todo=todo)
    if BOUND in engine.detectors_shadow:
        todo = 'put "mask" into policy.shadow_steps: it is what the bucket does'
        raise SettingsError(f"{BOUND} bears no evidence", where="engine.detectors_shadow", todo=todo)


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


def _section(model: type[S], data: Mapping[str, Any], name: str, path: Path) -> S:
    try:
        return model.model_validate(_table(data, name, path))
    except ValidationError as error:
        raise SettingsError(fault_of(error), where=f"{path.name} [{name}]", todo="see docs/settings.md") from error


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
