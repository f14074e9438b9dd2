"""The commands that prove: proof of one record, consistency between checkpoints, and seal, which makes a checkpoint of now."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.show import ledger_home, say
from watchbill.core.errors import LedgerBusy, NotFoundError

if TYPE_CHECKING:
    from watchbill.ledger.prove import Proof
    from watchbill.ledger.sealing import SealReport

_SECONDS_MAX = 60.0
_AT = typer.Option(None, "--at", help="Under the checkpoint of this size (default: the newest).")
_OUT = typer.Option(None, "--out", help="Write it into this file.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("proof")(proof_command)
    app.command("consistency")(consistency_command)
    app.command("seal")(seal_command)


def proof_command(
    record: str = typer.Argument(..., metavar="ID-OR-SEQ", help="The record's seq, or its id in its source."),
    is_id: bool = typer.Option(False, "--id", help="It is an id, also where it consists of digits."),
    at: int | None = _AT,
    out: Path | None = _OUT,
    keep_record: Path | None = typer.Option(
        None, "--record", help="Write the canonical record, as it was logged, here."
    ),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Prove that a record is in the signed log, as a c2sp.org/tlog-proof@v1 that other people's tools check."""
    from watchbill.ledger.prove import prove

    place = ledger_home(home)
    seq = int(record) if record.isascii() and record.isdigit() and not is_id else seq_of(place, record)
    found = prove(place, seq, at)
    if out is not None:
        out.write_bytes(found.text())
    if keep_record is not None:
        if found.record is None:
            raise NotFoundError("the record's payload was erased", where="--record", todo="The proof alone is left")
        keep_record.write_bytes(found.record)
    if as_json:
        print_json(proof_json(found))
    elif out is None:
        typer.echo(found.text().decode(), nl=False)
    else:
        gone = "" if found.record else "; its payload was erased, the proof stands"
        say(f"record {found.index} of {found.size:,}: {out.name}{gone}")


def seq_of(home: Path, record: str) -> int:
    """Seq of the record with this id.

    Raises:
        NotFoundError: there is none, or several sources have one.
    """
    from watchbill.ledger.reader import Ledger

    seqs = Ledger(home).find("id", record).column("seq").to_pylist()
    if len(seqs) != 1:
        what = "no record has this id" if not seqs else f"{len(seqs)} records have this id: seqs {seqs[:10]}"
        raise NotFoundError(what, where="proof", todo="Give the seq")
    return int(seqs[0])


def proof_json(found: Proof) -> dict[str, Any]:
    """What `proof` prints as JSON."""
    return {
        "seq": found.index, "size": found.size, "leaf": base64.b64encode(found.leaf).decode(),
        "nonce": base64.b64encode(found.nonce).decode() if found.nonce else None,
        "record": found.record.decode() if found.record else None, "proof": found.text().decode(),
    }  # fmt: skip


def consistency_command(
    size1: int = typer.Argument(..., metavar="SIZE", help="The earlier tree, in records."),
    at: int | None = _AT,
    out: Path | None = _OUT,
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Prove that the log of a checkpoint begins with an earlier one: old size, hashes, checkpoint, as witnesses read it."""
    from watchbill.ledger.prove import checkpoint_note, consistency, consistency_text

    place = ledger_home(home)
    size2, note = checkpoint_note(place, at)
    path = consistency(place, size1, size2)
    text = consistency_text(size1, path, note)
    if out is not None:
        out.write_bytes(text)
    if as_json:
        print_json(
            {"old": size1, "size": size2, "path": [base64.b64encode(node).decode() for node in path], "proof": text.decode()}
        )  # fmt: skip
    elif out is None:
        typer.echo(text.decode(), nl=False)
    else:
        say(f"the log of {size2:,} records begins with that of {size1:,}: {out.name}")


def seal_command(home: Path | None = HomeOption, as_json: bool = JsonOption) -> None:
    """Seal everything acknowledged now, so that it stands under a new signed checkpoint; beside a running engine too."""
    report = seal_now(ledger_home(home))
    if as_json:
        print_json({"sealed": report.sealed, "records": report.records, "root": report.root})
    else:
        say(f"{report.records:,} records sealed, {report.sealed:,} in all", f"root {report.root}")


def seal_now(home: Path) -> SealReport:
    """Seal everything acknowledged; waits while the running engine's own sealer is at it.

    Raises:
        LedgerBusy: it did not end in a minute.
    """
    from watchbill.ledger.sealing import seal
    from watchbill.runners.clock import SystemClock

    clock = SystemClock()
    until = clock.monotonic() + _SECONDS_MAX
    while True:
        try:
            return seal(home, final=True)
        except LedgerBusy:
            if clock.monotonic() > until:
                raise
            clock.sleep(0.2)
