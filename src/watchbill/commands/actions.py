"""The commands for what other systems are told: actions (the outbox), approve, refuse, retry, dead, try."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from watchbill.commands.common import HomeOption, JsonOption, home_of, print_json
from watchbill.commands.show import say, table, when
from watchbill.core.errors import NotFoundError, SettingsError
from watchbill.runners.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchbill.runners.outbox import Entry, Outbox

_LISTED: Final = 200
_BY: Final = re.compile(r"[\w.:@-]{1,64}")
_NUMBER = typer.Argument(..., metavar="ID", help="Number of the entry, as `watchbill actions` lists it.")
_WHO = typer.Option(..., "--by", help="Who says so, by a pseudonym that the firm can resolve.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What other systems are told, and what waits for a person.", invoke_without_command=True)
    group.callback()(list_command)
    group.command("approve")(approve_command)
    group.command("refuse")(refuse_command)
    group.command("retry")(retry_command)
    group.command("dead")(dead_command)
    group.command("try")(try_command)
    app.add_typer(group, name="actions")


def outbox_of(home: Path | None) -> Outbox:
    """The outbox of a home.

    Raises:
        NotFoundError: no action ever ran there.
    """
    from watchbill.runners.outbox import FILE, Outbox

    place = home_of(home)
    if not (place / FILE).exists():
        todo = "`watchbill run` makes one when its settings have an [actions.NAME]"
        raise NotFoundError("there is no outbox here", where=str(place), todo=todo)
    return Outbox(place)


def list_command(context: typer.Context, home: Path | None = HomeOption, as_json: bool = JsonOption) -> None:
    """The newest entries of the outbox, counts by state, and suspensions that nobody looked at."""
    if context.invoked_subcommand is not None:
        return
    with outbox_of(home) as outbox:
        said: dict[str, Any] = {
            "counts": outbox.counts(), "entries": [entry.said() for entry in outbox.listed(most=_LISTED)],
            "unattended": outbox.failures(_LISTED),
        }  # fmt: skip
    if as_json:
        print_json(said)
        return
    _show("Outbox", said["entries"])
    say(", ".join(f"{count:,} {state.replace('_', ' ')}" for state, count in said["counts"].items()))
    if said["unattended"]:
        say(f"{len(said['unattended'])} suspensions that nobody looked at in time: the firm's failure", style="yellow")


def dead_command(home: Path | None = HomeOption, as_json: bool = JsonOption) -> None:
    """Dead letters: what was tried as often as settings allow. They stay until `actions retry`, or until they are too many."""
    with outbox_of(home) as outbox:
        said = [entry.said() for entry in outbox.listed(("dead",), most=_LISTED)]
    if as_json:
        print_json({"entries": said})
    else:
        _show("Dead letters", said)


def _show(title: str, entries: list[dict[str, Any]]) -> None:
    rows = [
        (
            one["id"],
            one["action"],
            one["verb"] if one["why"] == "step" else one["why"],
            one["step"],
            one.get("account") or f"device {one.get('device', '')}",
            one["case"],
            one["state"].replace("_", " "),
            one["attempts"],
            when(one["next"] or one["settled"] or one["made"]),
            "; ".join(words for words in (one["decided"], one["note"]) if words),
        )
        for one in entries
    ]
    table(title, ("#id", "action", "what", "step", "who", "case", "state", "#tried", "next or last", "note"), rows)


def approve_command(
    number: int = _NUMBER, by: str = _WHO, home: Path | None = HomeOption, as_json: bool = JsonOption
) -> None:
    """Let a step that awaits approval go out."""
    with outbox_of(home) as outbox:
        _said(outbox.approve(number, _pseudonym(by), SystemClock().now_ms()), "approved", as_json)


def refuse_command(
    number: int = _NUMBER, by: str = _WHO, home: Path | None = HomeOption, as_json: bool = JsonOption
) -> None:
    """Say that a step that awaits approval is not to go out."""
    with outbox_of(home) as outbox:
        _said(outbox.refuse(number, _pseudonym(by), SystemClock().now_ms()), "refused", as_json)


def retry_command(number: int = _NUMBER, home: Path | None = HomeOption, as_json: bool = JsonOption) -> None:
    """Try a dead letter again, as often as settings allow."""
    with outbox_of(home) as outbox:
        _said(outbox.retry(number, SystemClock().now_ms()), "waits to be sent", as_json)


def _pseudonym(by: str) -> str:
    if not _BY.fullmatch(by):
        raise SettingsError("is no pseudonym", where="--by", todo="Letters, digits and . : @ _ -, at most 64")
    return by


def _said(entry: Entry, what: str, as_json: bool) -> None:
    if as_json:
        print_json(entry.said())
    else:
        say(f"{entry.id} ({entry.action}, {entry.step}): {what}")


# --- a dry run ---------------------------------------------------------------------------------------------------------


def try_command(
    name: str = typer.Argument(..., metavar="NAME", help="Name of the action: \\[actions.NAME]."),
    config: Path = typer.Option(..., help="Settings file."),
    step: str = typer.Option("suspend", help="The step that it would be told of."),
    account: str = typer.Option("EXAMPLE", help="The account that it would be about."),
    as_json: bool = JsonOption,
) -> None:
    """Say what an action would send for a step, its end, and a page. Sends, starts and writes nothing."""
    said = tried(config, name, step, account)
    if as_json:
        print_json(said)
        return
    for one in said["would"]:
        say(f"{one['verb']} ({one['why']}): {one['skipped'] or 'would send'}", style="bold")
        if not one["skipped"]:
            say(*json.dumps(one["sends"], ensure_ascii=False, indent=1).splitlines())


def tried(config: Path, name: str, step: str, account: str) -> dict[str, Any]:
    """What `actions try` prints as JSON.

    Raises:
        SettingsError: a setting or the step is wrong. NotFoundError: there is no such action.
    """
    from watchbill.responses.policy import STEPS
    from watchbill.runners.acting import open_actions
    from watchbill.runners.config import load_config

    if step not in STEPS[1:]:
        raise SettingsError("is no step", where="--step", todo=f"Choose one of: {', '.join(STEPS[1:])}")
    loaded = load_config(config)
    clock = SystemClock()
    actions = open_actions(loaded, clock)
    if name not in actions:
        todo = f"Known: {', '.join(sorted(actions)) or 'none'}"
        raise NotFoundError("there is no such action", where="actions try", todo=todo)
    action = actions[name]
    would = list(_would(action, step, account, clock.now_ms(), paged=name in loaded.on_call))
    return {"action": name, "kind": action.settings.kind, "on": list(action.settings.on), "would": would}


def _would(action: Any, step: str, account: str, now: int, *, paged: bool) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - an Action; naming it would import its room at once
    from watchbill.responses.base import Order

    until = now + 900_000
    orders = [Order("msg_example", "apply", "step", step, now, until, "c1", account, txn="msg_example")]
    orders.append(Order("msg_example_undo", "undo", "step", step, now, None, "c1", account, undoes="msg_example"))
    if paged:
        orders.append(Order("msg_example_page", "apply", "page", "suspend", now, until, "c1", account))
    for order in orders:
        why_not = action.suits(order)
        if order.why == "step" and step not in action.settings.on:
            why_not = "it is not told of this step (`on`)"
        yield {
            "verb": order.verb, "why": order.why, "skipped": why_not,
            "sends": None if why_not else action.describe(order),
        }  # fmt: skip
