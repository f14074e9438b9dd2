"""The commands for the containment policy: show, try (its dry run on the ledger), shadow (what would have been done)."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.replay import stopping
from watchbill.commands.show import ledger_home, read_json, read_lines, say, table, time_ms, when
from watchbill.context.lone import DEVICE_MARK
from watchbill.core.errors import SettingsError
from watchbill.runners.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from watchbill.core.settings import Settings

_DIFFER_SHOWN: Final = 30
_ROWS_SHOWN: Final = 50
_INTERRUPTED: Final = 130
_CONFIG = typer.Option(None, help="A settings file instead of what is in force in the home.")
_TRIED = typer.Option(..., "--config", help="Settings file whose \\[engine] is tried.")
_WORK = typer.Option(None, help="Folder where an interrupted run is kept; the same command goes on there.")
_FROM = typer.Option(None, "--from", help="Count looks from this time on (RFC 3339, date or epoch ms).")
_TO = typer.Option(None, "--to", help="Count looks before this time.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="The containment policy.")
    group.command("show")(show_command)
    group.command("try")(try_command)
    group.command("shadow")(shadow_command)
    app.add_typer(group, name="policy")


# --- show --------------------------------------------------------------------------------------------------------------


def show_command(
    config: Path | None = _CONFIG, home: Path | None = HomeOption, as_json: bool = JsonOption
) -> None:  # fmt: skip
    """The policy in force: ladder, thresholds, spans, what is in shadow, the budget, masks by role, who is under a step."""
    said = shown(None if config else ledger_home(home), config)
    if as_json:
        print_json(said)
        return
    rows = [(r["step"], _number(r["at"]), r["lasts"], r["mode"], r["cost_yuan"], r["under_it"]) for r in said["ladder"]]
    table(
        f"The ladder ({said['mode']})", ("step", "#taken at", "lasts", "mode", "#yuan if wrong", "#under it now"), rows
    )
    budget = said["budget"]
    say(
        f"budget: {budget['share']:.1%} of the accounts active in an hour, at least {budget['least']}, newly stepped up,"
        " by records of work and by other evidence each"
    )
    if budget.get("hours_spent"):
        say(
            f"  it was spent in {budget['hours_spent']} hours, {budget['refused_ever']} accounts were only asked",
            style="yellow",
        )
    if said["detectors_shadow"]:
        say(f"detectors in shadow: {', '.join(said['detectors_shadow'])}; read by {said['shadow_owner']}")
    masks = [(role, *(fields.get(name, "plain") for name in said["fields"])) for role, fields in said["masks"].items()]
    table("What a role may see", ("role", *said["fields"]), masks)


def _number(at: float | None) -> str:
    """A guarantee number for people: 1000, 1e7."""
    return "the bucket" if at is None else f"{at:g}".replace("e+", "e").replace("e0", "e")


def shown(home: Path | None, config: Path | None = None) -> dict[str, Any]:
    """What `policy show` prints as JSON; of a settings file where one is given."""
    from watchbill.runners.backtest import settings_in_force
    from watchbill.runners.config import load_config

    if config is not None:
        return policy_rows(load_config(config).engine, {})
    if home is None:
        raise SettingsError("neither a home nor a settings file", where="policy show", todo="Give --home or --config")
    return policy_rows(settings_in_force(home), read_json(home / "status.json"))


def policy_rows(settings: Settings, status: dict[str, Any]) -> dict[str, Any]:
    """The policy of settings as plain data, with what status.json of a home says of it."""
    from watchbill.responses.policy import STEPS, enforced_steps

    policy = settings.policy
    enforced, held = enforced_steps(policy), status.get("standing", {})
    numbers = [None, None, policy.ask_reason_at, policy.step_up_at, policy.throttle_at, policy.end_session_at]
    numbers.append(policy.suspend_at)
    hours, minutes = f"{policy.step_hours:g} h", f"{policy.suspend_minutes:g} min"
    lasts = [
        "",
        "1 h",
        hours,
        hours,
        hours,
        f"{minutes}, then step_up for {hours}",
        f"{minutes}, then mask for {hours}",
    ]
    costs: dict[str, float] = {str(name): yuan for name, yuan in policy.cost_yuan.items()}
    ladder = [
        {"step": name, "at": numbers[at], "lasts": lasts[at], "mode": "enforce" if enforced[at] else "shadow",
         "cost_yuan": costs.get(name), "under_it": held.get(name, 0)}
        for at, name in enumerate(STEPS) if at
    ]  # fmt: skip
    fields = sorted({name for row in settings.masks.values() for name in row})
    return {
        "mode": policy.mode, "ladder": ladder, "relax_factor": policy.relax_factor,
        "budget": {"share": policy.budget_share, "least": policy.budget_min, **status.get("budget", {})},
        "detectors_shadow": list(settings.detectors_shadow), "shadow_owner": settings.shadow_owner,
        "shadow_rows": status.get("shadow", {}).get("rows", {}), "fields": fields, "masks": settings.masks,
        "height": status.get("height"),
    }  # fmt: skip


# --- try ---------------------------------------------------------------------------------------------------------------


def try_command(
    config: Path = _TRIED, since: str | None = _FROM, until: str | None = _TO, work: Path | None = _WORK,
    home: Path | None = HomeOption, as_json: bool = JsonOption,
) -> None:  # fmt: skip
    """Replay the ledger under proposed settings beside those in force: whom it would interrupt, what it would save."""
    place = ledger_home(home)
    with stopping() as stop, _progress(quiet=as_json) as told:
        said = tried(place, config, time_ms(since, "--from"), time_ms(until, "--to"), work, told, stop)
    if as_json:
        print_json(said)
    else:
        _say(said)
    if not said["finished"]:
        raise typer.Exit(_INTERRUPTED)


def tried(
    home: Path, config: Path, since: int | None = None, until: int | None = None, work: Path | None = None,
    told: Callable[[int, int], None] = lambda _done, _height: None, stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:  # fmt: skip
    """What `policy try` prints as JSON.

    Raises:
        SettingsError: the settings file is wrong, the span is empty, or the work folder lies in the home.
        LedgerError: the ledger is damaged.
    """
    from watchbill.runners.backtest import settings_in_force
    from watchbill.runners.config import load_config
    from watchbill.runners.tryout import Tryout, Wanted

    if since is not None and until is not None and since >= until:
        raise SettingsError("is not after --from", where="--to", todo="Give a later moment")
    if work is not None and work.resolve().is_relative_to(home.resolve()):
        raise SettingsError("lies in the home, which stays as it is", where="--work", todo="Give another folder")
    given = {"begin": since} if since is not None else {}
    given |= {"end": until} if until is not None else {}
    rows = read_lines(home / "cases.ndjson")
    accounts = {row["id"]: who for row in rows if (who := _whose(row))}
    accounts |= {one["case"]: one["account"] for row in rows for one in row.get("people", ())}  # files of merged cases
    wanted = Wanted(settings_in_force(home), load_config(config).engine, accounts=accounts, **given)
    return Tryout(home, wanted, SystemClock(), work=work).run(told, stop).report


def _whose(case: dict[str, Any]) -> str:
    """The account of a case, or the name under which its device stands among the accounts."""
    if case["accounts"]:
        return str(case["accounts"][0])
    return DEVICE_MARK + str(case["devices"][0]) if case["devices"] else ""


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar over seqs on standard error; nothing when quiet or no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("dry run"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, height: bar.update(task, completed=done, total=height)


def _say(said: dict[str, Any]) -> None:
    for one in said["settings"]:
        say(f"  {one['setting']}: {one['now']} -> {one['new']}")
    now, new = said["now"], said["new"]
    rows = [(f"accounts: {name}", *_pair(now["steps"][name], new["steps"][name])) for name in now["steps"]]
    rows += [(f"looks: {name}", *_pair(now["looks"][name], new["looks"][name])) for name in now["looks"]]
    rows += [(f"records {name}", *_pair(now["records"][name], new["records"][name])) for name in now["records"]]
    rows.append(("yuan of steps", *_pair(_summed(now["cost_yuan"]), _summed(new["cost_yuan"]))))
    head = ("", "#now", "#new", "#dismissed", "#new", "#confirmed", "#new", "#unjudged", "#new")
    table("In force, and proposed", head, rows)
    for row in said["differ"][:_DIFFER_SHOWN]:
        before, after = row["now"], row["new"]
        say(f"  {row['account']} ({row['verdict']}): {before['step']} -> {after['step']}, looks stopped {before['stopped']:,} -> {after['stopped']:,}")  # fmt: skip
    if said["differ_count"] > _DIFFER_SHOWN:
        say(f"  ... {said['differ_count']:,} accounts differ (--json lists them)")
    if said["new"]["shadow_rows"]:
        say(f"{said['new']['shadow_rows']:,} changes of standing would only be written down (shadow)")
    say(said["summary"], style="bold")
    if not said["finished"]:
        say(f"stopped at {said['done']:,} of {said['height']:,}; with --work the same command goes on", style="yellow")


def _pair(now: dict[str, Any], new: dict[str, Any]) -> list[Any]:
    return [side[word] for word in ("all", "dismissed", "confirmed", "unjudged") for side in (now, new)]


def _summed(yuan: dict[str, float]) -> dict[str, float]:
    return {"all": round(sum(yuan.values()), 2), **yuan}


# --- shadow ------------------------------------------------------------------------------------------------------------


def shadow_command(
    by: str = typer.Option("", help="Only steps, or only detectors."),
    account: str = typer.Option("", help="Only of this account."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """What would have been done: the rows of shadow.ndjson, the newest last."""
    said = shadowed(ledger_home(home), by, account)
    if as_json:
        print_json(said)
        return
    rows = [
        (r["seq"], when(r["time"]), r.get("account") or r["device"], r["step"], when(r["until"]), r["case"], r["by"],
         ", ".join(r.get("detectors", ())))
        for r in said["rows"][-_ROWS_SHOWN:]
    ]  # fmt: skip
    table("In shadow", ("#seq", "time", "who", "step", "until", "case", "by", "detectors"), rows)
    say(f"{len(said['rows']):,} rows as of height {said['height']:,}; read by {said['owner'] or 'nobody by name'}")


def shadowed(home: Path, by: str = "", account: str = "") -> dict[str, Any]:
    """What `policy shadow` prints as JSON: height, owner, and rows of shadow.ndjson that fit."""
    from watchbill.runners.findings import SHADOW

    status = read_json(home / "status.json")
    rows = [
        row
        for row in read_lines(home / SHADOW)
        if by in {"", row["by"]} and account in {"", row.get("account") or row["device"]}
    ]
    return {"height": status.get("height", 0), "owner": status.get("shadow", {}).get("owner", ""), "rows": rows}
