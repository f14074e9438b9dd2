"""The commands of evidence: pack (a case as one file for the police) and verify-pack."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.proof import seal_now
from watchbill.commands.show import ledger_home, say
from watchbill.core.errors import SettingsError

if TYPE_CHECKING:
    from watchbill.ledger.verify_pack import PackReport


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("pack")(pack_command)
    app.command("verify-pack")(verify_pack_command)


def pack_command(
    case: str = typer.Argument(..., help="The case's id, as `watchbill cases` lists it."),
    out: Path = typer.Option(..., help="The file to write."),
    report: str = typer.Option("evidence", help="Kind of report."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """The evidence of a case as one file that verifies offline: records, proofs, checkpoint, timestamps, exposure, decisions.

    What is acknowledged and not sealed yet is sealed first, so that every record has its proof.
    """
    import hashlib

    from watchbill.ledger.prove import checkpoint_note
    from watchbill.reports.base import load_report, packed

    place = ledger_home(home)
    seal_now(place)
    height = checkpoint_note(place)[0]
    parts = load_report(report).parts(place, case, height)
    data = packed(place, case, height, parts)
    out.write_bytes(data)
    records = sum(name.startswith("proofs/") for name in parts)
    said = {
        "file": out.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "height": height, "records": records,
        "timestamps": sum(name.endswith(".tsr") for name in parts), "parts": len(parts) + 1,
    }  # fmt: skip
    if as_json:
        print_json(said)
        return
    say(f"{out.name}: {records:,} records with proofs at height {height:,}, {said['timestamps']} timestamps")
    say(f"sha256 {said['sha256']}")
    if not said["timestamps"]:
        say("no timestamp: `watchbill timestamp --tsa URL` before packing lets others date it", style="yellow")
    say("It holds personal data: give it to those alone who may work on this case.")


def verify_pack_command(
    pack: Path | None = typer.Argument(None, metavar="FILE.zip"),
    key: str | None = typer.Option(None, help="The log's verifier key, from elsewhere than the pack."),
    print_verifier: bool = typer.Option(
        False, help="Print the verifier: one file, for whoever does not have Watchbill."
    ),
    as_json: bool = JsonOption,
) -> None:
    """Verify an evidence pack offline; exit 1, naming the part, when anything does not fit."""
    from watchbill.ledger import verify_pack

    if print_verifier:
        typer.echo(Path(verify_pack.__file__).read_text(encoding="utf-8"), nl=False)
        return
    if pack is None:
        raise SettingsError("no file is given", where="verify-pack", todo="Give the pack's file")
    report = verify_pack.verify_pack(pack, key)
    if as_json:
        print_json(asdict(report))
    else:
        _say(report)
    if not report.ok:
        raise typer.Exit(1)


def _say(report: PackReport) -> None:
    if not report.ok:
        where = "" if report.first_bad is None else f", byte {report.first_bad}"
        say(f"NOT VALID: {report.part}{where}: {report.reason}", style="bold red")
        return
    say(f"valid: case {report.case}, {report.records:,} records under the checkpoint of {report.size:,}", style="green")
    say(f"{report.persons:,} persons exposed, counted again; list {report.hash}")
    for time, size in report.timestamps:
        say(f"timestamp {time} over the checkpoint of {size:,} (check its signature with openssl ts -verify)")
    say(f"key {report.key}")
    if not report.trusted:
        say("compare this key with the one that the firm published, or give that as --key", style="yellow")
