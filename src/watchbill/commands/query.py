"""The commands that ask a home: saw, who-saw, verify, status, cases, case show."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from watchbill.cases.sheet import row_named, row_overdue, row_untold
from watchbill.commands.common import HomeOption, JsonOption, group, print_json
from watchbill.commands.party import party_app
from watchbill.commands.show import ledger_home, percent, read_json, read_lines, say, table, time_ms, when
from watchbill.ledger.keys import is_seeded
from watchbill.runners.clock import SystemClock

if TYPE_CHECKING:
    from watchbill.inquiry.exposure import Gap, Saw, WhoSaw
    from watchbill.ledger.witnessed import Witnessed

_SUBJECTS_SHOWN = 50


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("saw")(saw_command)
    app.command("who-saw")(who_saw_command)
    app.command("verify")(verify_command)
    app.command("status")(status_command)
    many = group(app, "cases", alone=True)
    many.callback(invoke_without_command=True)(cases_command)
    one = group(app, "case", "One case.")
    one.command("show")(case_show_command)
    one.add_typer(party_app(), name="party")


# --- what an account saw, who saw a customer ---------------------------------------------------------------------------


def saw_command(
    account: str = typer.Argument(..., help="The account (work number)."),
    since: str | None = typer.Option(None, "--from", help="Looks from this time on (RFC 3339, date or epoch ms)."),
    until: str | None = typer.Option(None, "--to", help="Looks before this time."),
    height: int | None = typer.Option(None, help="Answer as of this height of the journal."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Whose data an account saw, exactly."""
    from watchbill.inquiry.exposure import saw

    answer = saw(ledger_home(home), account, time_ms(since, "--from"), time_ms(until, "--to"), height)
    if as_json:
        print_json(answer.to_json())
    else:
        _say_saw(answer)


def _say_saw(answer: Saw) -> None:
    rows = [
        (s.subject, ", ".join(s.fields), when(s.first), when(s.last), s.times)
        for s in answer.subjects[:_SUBJECTS_SHOWN]
    ]
    table(f"What {answer.account} saw", ("customer", "fields", "first", "last", "#looks"), rows)
    if len(answer.subjects) > _SUBJECTS_SHOWN:
        say(f"... and {len(answer.subjects) - _SUBJECTS_SHOWN:,} more customers (--json lists all)")
    say(
        f"{answer.persons:,} persons, {answer.items:,} items, {answer.complete_records:,} complete records, {answer.times:,} looks"
    )
    if answer.complete:
        say(f"exact at height {answer.height:,}")
    else:
        most = "no upper bound" if answer.upper is None else f"at most {answer.upper:,}"
        say(f"not exact at height {answer.height:,}: at least {answer.lower:,} persons, {most}")
    _say_gaps(answer.gaps)


def _say_gaps(gaps: list[Gap]) -> None:
    for gap in gaps:
        persons = "" if gap.persons is None else f", up to {gap.persons:,} persons"
        say(f"  open: {gap.text} ({gap.looks:,} looks{persons})", style="yellow")


def who_saw_command(
    subject: str = typer.Argument(..., metavar="SUBJECT-OR-WAYBILL", help="The customer, or the parcel."),
    height: int | None = typer.Option(None, help="Answer as of this height of the journal."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Which accounts saw a customer or a parcel, exactly."""
    from watchbill.inquiry.exposure import who_saw

    answer = who_saw(ledger_home(home), subject, height)
    if as_json:
        print_json(answer.to_json())
    else:
        _say_who_saw(answer)


def _say_who_saw(answer: WhoSaw) -> None:
    words = {True: "yes", False: "no", None: "not known"}
    rows = [
        (w.account or "(no account)", ", ".join(w.fields), when(w.first), when(w.last), w.times, words[w.explained])
        for w in answer.accounts
    ]
    table(f"Who saw {answer.subject}", ("account", "fields", "first", "last", "#looks", "explained"), rows)
    exact = "exact" if answer.complete else "not exact"
    say(f"{len(answer.accounts):,} accounts; {exact} at height {answer.height:,}")
    _say_gaps(answer.gaps)


# --- verify, status ----------------------------------------------------------------------------------------------------


def verify_command(
    against: Path | None = typer.Option(
        None, help="A file of checkpoints published earlier: the log must continue them."
    ),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Read the whole ledger again and compare it with its signed checkpoints; exit 1 when something does not fit."""
    place = ledger_home(home)
    said = verified(place)
    if against is not None:
        said["witnessed"] = asdict(_witnessed(place, against))
    good = said["ok"] and said.get("witnessed", {"ok": True})["ok"]
    if as_json:
        print_json(said)
    else:
        _say_verified(said)
    if not good:
        raise typer.Exit(1)


def _witnessed(home: Path, against: Path) -> Witnessed:
    from watchbill.ledger.witnessed import check_against

    return check_against(home, against.read_bytes())


def _say_verified(said: dict[str, Any]) -> None:
    say(f"height {said['height']:,}, sealed {said['sealed']:,}", f"root {said['root']}")
    if said["ok"]:
        say("everything fits", style="green")
        if said["gone"]:
            say(f"{said['gone']:,} payloads were erased or dropped by age; their leaves and proofs stand")
    else:
        say(f"NOT WHOLE from record {said['first_bad']} on: {said['reason']}", style="bold red")
    told = said.get("witnessed")
    if told and told["ok"]:
        say(
            f"continues all {told['checked']:,} published checkpoints, the last of {told['size']:,} records",
            style="green",
        )
    elif told:
        say(f"HISTORY DOES NOT MATCH WHAT WAS PUBLISHED: {told['reason']}", style="bold red")


def verified(home: Path) -> dict[str, Any]:
    """What `verify` prints as JSON."""
    from watchbill.ledger.verify import verify

    report = verify(home)
    return {
        "height": report.height, "root": report.root, "checkpoint": report.checkpoint, "ok": report.ok,
        "first_bad": report.first_bad, "reason": report.reason, "sealed": report.sealed, "gone": report.gone,
    }  # fmt: skip


def status_command(home: Path | None = HomeOption, as_json: bool = JsonOption) -> None:
    """How far the home is, which sources lag, which detectors are silent and why, what is odd about the data."""
    said = status_of(ledger_home(home))
    if as_json:
        print_json(said)
    else:
        _say_status(said)


def status_of(home: Path) -> dict[str, Any]:
    """What `status` prints as JSON: the runner's last status.json, how far the ledger is now, and the outbox by state."""
    from watchbill.ledger.reader import Ledger
    from watchbill.runners.outbox import FILE, Outbox

    ledger = Ledger(home)
    said = read_json(home / "status.json")
    if (home / FILE).exists():
        with Outbox(home) as outbox:
            said["actions"] = outbox.counts() | {"unattended": len(outbox.failures())}
    return said | {"height": ledger.height, "sealed": ledger.sealed, "status_height": said.get("height")}


def _say_status(said: dict[str, Any]) -> None:
    say(f"height {said['height']:,} (sealed {said['sealed']:,})")
    if said["status_height"] is None:
        say("the runner has not written a status yet", style="yellow")
        return
    say(f"status as of height {said['status_height']:,}, {when(said.get('arrival'))}")
    say(f"{said.get('records', 0):,} records, {said.get('accounts', 0):,} accounts")
    if said.get("repaired"):
        say(f"repaired on start: {said['repaired']}", style="yellow")
    sources = [
        (name, "" if one["lag_ms"] is None else f"{one['lag_ms'] / 1000:,.0f} s", "yes" if one["silent"] else "no")
        for name, one in said.get("sources", {}).items()
    ]
    table("Sources", ("source", "#lag", "silent"), sources)
    table(
        "Detectors", ("detector", "state"), [(name, why or "works") for name, why in said.get("detectors", {}).items()]
    )
    gates = said.get("gates", {})
    closed = ", ".join(gates.get("roles_closed", [])) or "none"
    say(
        f"roles not judged by reasons: {closed}; groups closed {gates.get('groups_closed', 0)}, feeds gated {gates.get('feeds_gated', 0)}"
    )
    if desk := said.get("desk"):
        counts = ", ".join(f"{count:,} {status}" for status, count in desk["statuses"].items()) or "none"
        say(
            f"cases: {counts}; {desk['overdue']:,} overdue, {desk['untold']:,} persons not told, {desk['appeals_open']:,} open appeals"
        )
    if why := said.get("database", {}).get("why"):
        say(why, style="yellow")
    actions = said.get("actions", {})
    if actions.get("awaiting_approval") or actions.get("dead"):
        text = f"{actions['awaiting_approval']:,} actions wait for a person, {actions['dead']:,} are dead letters"
        say(f"{text} (`watchbill actions`)", style="yellow")
    for finding in said.get("findings", []):
        say(f"  {finding['count']:,} {finding['text']}", style="yellow")


# --- cases -------------------------------------------------------------------------------------------------------------


def cases_command(
    context: typer.Context,
    status: str = typer.Option("", help="Only cases with this status (open, in_review, contained ...)."),
    kind: str = typer.Option("", help="Only cases of this kind (leased, owner, leaver ...)."),
    late: bool = typer.Option(False, "--overdue", help="Only cases of which something is overdue."),
    untold: bool = typer.Option(False, "--untold", help="Only cases with interrupted persons whom nobody told."),
    assigned: str = typer.Option("", help="Only cases that this reviewer works on."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """The cases as of the runner's last checkpoint, the likeliest first."""
    if context.invoked_subcommand is not None:
        return
    place = ledger_home(home)
    said, now = cases_of(place, status, kind), clock_of_home(place)
    wanted = [
        row for row in said["cases"]
        if not late or row_overdue(row, now)
        if not untold or row_untold(row, now)
        if not assigned or row.get("assigned") == assigned
    ]  # fmt: skip
    _say_cases(said | {"cases": wanted, "now": now}, as_json=as_json)


def _say_cases(said: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(said)
        return
    rows = [
        (
            c["id"],
            c["kind"],
            c["status"],
            ", ".join(c["accounts"]) or f"device {', '.join(c['devices'])}",
            percent(c["posterior"]),
            c["persons"],
            c["items"],
            c.get("assigned") or "",
            f"{', '.join(late)} overdue" if (late := row_overdue(c, said["now"])) else when(c.get("due")),
            when(c["updated"]),
        )
        for c in said["cases"]
    ]
    columns = ("case", "kind", "status", "accounts", "#posterior", "#persons", "#items", "assigned", "due", "updated")
    table("Cases", columns, rows)
    untold = sum(len(row_untold(c, said["now"])) for c in said["cases"])
    say(f"{len(rows):,} cases as of height {said['height']:,}; {untold:,} interrupted persons not told yet")


def clock_of_home(home: Path) -> int:
    """Epoch ms by which things are due: the wall clock of a live home, the last arrival of a replayed one."""
    arrival = int(read_json(home / "status.json").get("arrival") or 0)
    return arrival if is_seeded(home) else max(arrival, SystemClock().now_ms())


def cases_of(home: Path, status: str = "", kind: str = "") -> dict[str, Any]:
    """What `cases` prints as JSON: height and the rows of cases.ndjson that fit."""
    rows = [
        row for row in read_lines(home / "cases.ndjson") if status in {"", row["status"]} and kind in {"", row["kind"]}
    ]
    rows.sort(key=lambda row: (-row["posterior"], row["seq"]))
    return {"height": read_json(home / "status.json").get("height", 0), "cases": rows}


def case_show_command(
    case: str = typer.Argument(..., help="The case's id, as `watchbill cases` lists it."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """One case: why it was opened, what speaks for the person, whose data is at stake."""
    said = case_of(ledger_home(home), case)
    if as_json:
        print_json(said)
    else:
        _say_case(said)


def case_of(home: Path, case: str) -> dict[str, Any]:
    """What `case show` prints as JSON: height and the row of cases.ndjson.

    Raises:
        NotFoundError: there is no such case.
    """
    everything = cases_of(home)
    return {"height": everything["height"], **row_named(everything["cases"], case, "case show")}


def _say_case(said: dict[str, Any]) -> None:
    say(f"{said['id']}: {said['kind']}, {said['status']}", style="bold")
    say(f"accounts {', '.join(said['accounts']) or 'none'}; devices {', '.join(said['devices']) or 'none unusual'}")
    say(f"opened {when(said['opened'])}, updated {when(said['updated'])}, posterior {percent(said['posterior'])}")
    rows = [("against", r["text_en"], f"{r['nats']:+.1f}", r["records"]) for r in said["reasons"]]
    rows += [("shadow", r["text_en"], f"{r['nats']:+.1f}", r["records"]) for r in said.get("shadow", ())]
    rows += [("for", r["text_en"], f"{r['nats']:+.1f}", r["records"]) for r in said["for_person"]]
    table("Evidence", ("side", "what", "#nats", "#records"), rows)
    _say_tenancies(said["tenancies"])
    _say_desk(said)
    for one in said.get("verdicts", []):
        note = f": {one['note']}" if one["note"] else ""
        say(f"{when(one['time'])} {one['by']} said {one['verdict']}, {one['reason']}{note}")
    if said.get("unattended"):
        say(f"{said['unattended']} suspensions ended because nobody looked in time", style="yellow")
    say(
        f"{said['persons']:,} persons, {said['items']:,} items, {said['complete_records']:,} complete records; tier: {said['tier']}"
    )
    say("A case is evidence, not a judgement: a person decides anything that lasts.")


def _say_desk(said: dict[str, Any]) -> None:
    """Who works on it, what may belong to it, who was told, appeals."""
    if said.get("assigned") or said.get("due"):
        say(f"assigned to {said.get('assigned') or 'nobody'}, due {when(said.get('due')) or 'at no time'}")
    for one in said.get("related", []):
        say(f"shares a {one['why']} with case {one['case']} (`watchbill case merge` puts them together)")
    for person in said.get("people", []):
        if person["interrupted"] and not person["told"]:
            why = f"delayed until {when(person['delayed']['until'])}" if person["delayed"] else "not told yet"
            say(f"{person['account']}: {why}", style="yellow")
        for appeal in person["appeals"]:
            say(
                f"{person['account']}: appeal {appeal['outcome']}, with {appeal['to'] or 'nobody'}, due {when(appeal['due'])}"
            )


def _say_tenancies(tenancies: list[dict[str, Any]]) -> None:
    """When somebody else sat there, and what the records fetch against the rent, at the default prices."""
    from watchbill.core.settings import Settings
    from watchbill.inquiry.tenancies import earnings

    settings, rows = Settings(), []
    for one in tenancies:
        low, high, rent = earnings(one, settings.inquiry, settings.time_zone)
        fetched = f"{low:,.0f}-{high:,.0f} yuan, rent {rent:,.0f}"
        who = one["account"] or f"device {one.get('device', '')}"
        rows.append((who, when(one["from"]), when(one["until"]), one["records"], fetched))
    table("Tenancies", ("account", "from", "until", "#records", "fetch"), rows)
