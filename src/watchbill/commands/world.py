"""`watchbill world`: writes a made-up carrier with its logs, reference tables and truth, to try things on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from watchbill.commands.common import JsonOption, print_json
from watchbill.commands.show import say, table

if TYPE_CHECKING:
    from watchbill.lab.attacks.base import AttackSpec
    from watchbill.lab.simulator.world import WorldReport


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("world")(world_command)


def world_command(
    out: Path = typer.Argument(..., help="Folder for records/, reference/ and truth/."),
    seed: int = typer.Option(1, help="The same seed gives the same bytes."),
    days: int = typer.Option(14, help="Days of records, 1-900."),
    outlets: int = typer.Option(12, help="Delivery outlets, 3-80,000."),
    scale: float = typer.Option(1.0, help="Factor on couriers and parcels of an outlet."),
    form: str = typer.Option("ndjson", "--format", help="ndjson, parquet or arrow."),
    parcels: bool = typer.Option(False, help="Also write reference/parcels.csv (large)."),
    uuid_ids: bool = typer.Option(False, help="UUIDs for parcels, customers and accounts."),
    honest: bool = typer.Option(False, "--honest", help="Stage no attack."),
    attacks: str = typer.Option("", "--attacks", help="all, or kinds with commas between; else the five usual ones."),
    stress: str = typer.Option("usual", "--stress", help="A named bad week of honest work, as docs/lab.md lists them."),
    extra: Path | None = typer.Option(None, "--extra-attacks", help="A folder with further attack files."),
    as_json: bool = JsonOption,
) -> None:
    """Write a made-up carrier: its records, its reference tables, and the truth about who misused what."""
    if form not in {"ndjson", "parquet", "arrow"}:
        raise typer.BadParameter("choose ndjson, parquet or arrow", param_hint="--format")
    from watchbill.lab.simulator.settings import HonestStress
    from watchbill.lab.simulator.world import build_world

    chosen: Literal["ndjson", "parquet", "arrow"] = (
        "ndjson" if form == "ndjson" else "parquet" if form == "parquet" else "arrow"
    )
    report = build_world(
        out, seed=seed, days=days, outlets=outlets, scale=scale, format=chosen, parcels=parcels, uuid_ids=uuid_ids,
        attacks=() if honest else _chosen(attacks, days, extra), honest_stress=HonestStress.scenario(stress),
        extra_attacks=extra,
    )  # fmt: skip
    if as_json:
        print_json(plain(report))
    else:
        _say(report)


def _chosen(names: str, days: int, extra: Path | None) -> list[AttackSpec] | None:
    """Specifications for `--attacks`; None = the usual ones.

    Raises:
        typer.BadParameter: the world is too short for the attacks named.
    """
    if not names:
        return None
    from watchbill.lab.attacks.base import load_attacks
    from watchbill.lab.simulator.staging import spread_attacks

    kinds = list(load_attacks(extra)) if names == "all" else [name.strip() for name in names.split(",")]
    specs = spread_attacks(days, kinds)
    if not specs:
        raise typer.BadParameter("attacks need a world of 7 days or more", param_hint="--attacks")
    return specs


def plain(report: WorldReport) -> dict[str, Any]:
    """The report as plain data."""
    return {
        "out": str(report.out), "files": [str(path) for path in report.files], "records": report.records,
        "total": report.total, "looks": report.looks, "wrongful": report.wrongful, "accounts": report.accounts,
        "parcels": report.parcels, "attacks": report.attacks,
    }  # fmt: skip


def _say(report: WorldReport) -> None:
    table("Records", ("kind", "#records"), list(report.records.items()))
    say(
        f"{report.total:,} records, {report.looks:,} looks ({report.wrongful:,} wrongful), {report.accounts:,} accounts"
    )
    attacks = [(one["id"], ", ".join(one["accounts"]), one["looks"], one["persons"]) for one in report.attacks]
    if attacks:
        table("Attacks", ("attack", "accounts", "#looks", "#persons"), attacks)
    say(f"written to {report.out}/")
