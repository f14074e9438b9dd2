"""`watchbill presence`: who may prove presence with a key, and the list that keeps assigned parcels usable offline."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from watchbill.commands.common import HomeOption, JsonOption, home_of, print_json
from watchbill.commands.show import ledger_home, say, table, time_ms, when
from watchbill.core.errors import SettingsError
from watchbill.runners.clock import SystemClock

if TYPE_CHECKING:
    from watchbill.runners.presencekeys import Invite, Key

ByOption = typer.Option(..., "--by", help="Who says so, by a pseudonym that the firm can resolve; never the owner.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(name="presence", no_args_is_help=True, help="Keys that prove presence, and offline lists.")
    for name, command in (
        ("invite", invite_command), ("list", list_command), ("confirm", confirm_command), ("revoke", revoke_command),
        ("offline", offline_command),
    ):  # fmt: skip
        group.command(name)(command)
    app.add_typer(group)


def invite_command(
    account: str = typer.Argument(..., help="The account whose owner may enrol a key."),
    by: str = ByOption,
    device: str = typer.Option(
        "", help="The key lives in this device and frees it alone; without it, it frees sessions."
    ),
    hours: float = typer.Option(24.0, min=0.1, max=168.0, help="How long the invitation is open."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Invite an owner to enrol a key; the code is shown once. The key counts only once `presence confirm` was said."""
    from watchbill.runners.presencekeys import PresenceKeys

    made, code = PresenceKeys(home_of(home)).invite(account, by, SystemClock().now_ms(), hours=hours, device=device)
    if as_json:
        print_json(asdict(made) | {"code": code})
    else:
        say(f"invitation {made.id}, open until {when(made.until)}: {code}")


def list_command(
    account: str | None = typer.Argument(None, help="Only of this account."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Keys and invitations, with who let them in; revoked and used ones too."""
    from watchbill.runners.presencekeys import PresenceKeys

    store = PresenceKeys(home_of(home))
    keys, invites = store.keys(account), store.invites(account)
    if as_json:
        print_json({"keys": [_of_key(key) for key in keys], "invites": [asdict(one) for one in invites]})
        return
    rows = [
        (key.id, key.account, key.device or "sessions", _state(key), key.fingerprint, when(key.used)) for key in keys
    ]
    table("Keys", ("key", "account", "frees", "state", "fingerprint", "last used"), rows)
    now = SystemClock().now_ms()
    open_now = [(one.id, one.account, one.by, when(one.until)) for one in invites if _is_open(one, now)]
    table("Open invitations", ("invitation", "account", "by", "until"), open_now)


def confirm_command(
    key: str = typer.Argument(..., help="Id of the key, from `presence list`."),
    fingerprint: str = typer.Option(..., help="What the owner's page shows, read out by the owner beside you."),
    by: str = ByOption,
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Say that the owner stood beside you with the key: from now on it counts."""
    from watchbill.runners.presencekeys import PresenceKeys

    store = PresenceKeys(home_of(home))
    if store.key(key).fingerprint.replace(" ", "") != fingerprint.replace(" ", "").lower():
        todo = "Revoke the key: somebody else may have enrolled theirs with the invitation"
        raise SettingsError("is not that of this key", where="--fingerprint", todo=todo)
    _said(store.confirm(key, by, SystemClock().now_ms()), as_json)


def revoke_command(
    key: str = typer.Argument(..., help="Id of the key."),
    by: str = ByOption,
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Take a key out of use, for good."""
    from watchbill.runners.presencekeys import PresenceKeys

    _said(PresenceKeys(home_of(home)).revoke(key, by, SystemClock().now_ms()), as_json)


def offline_command(
    account: str = typer.Argument(..., help="The account."),
    device: str = typer.Option(..., help="The handset that the list is for."),
    hours: float = typer.Option(12.0, min=0.1, max=12.0, help="How long it can be used."),
    bridge: str = typer.Option("", help="Address of the masked bridge, with {waybill}."),
    at: str | None = typer.Option(None, "--at", help="As of this time (RFC 3339 or epoch ms; default: now)."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """A signed list of the parcels that are the account's to deliver now, for the time without a network."""
    from watchbill.core.bridge import fault_of_bridge
    from watchbill.inquiry.assigned import assigned_parcels
    from watchbill.ledger.reader import Ledger
    from watchbill.responses.offline import grant
    from watchbill.runners.offlinekey import offline_key

    if fault := fault_of_bridge(bridge):
        raise SettingsError(
            f"the address {fault}", where="--bridge", todo="As https://bridge.example.com/call?w={waybill}"
        )
    place = ledger_home(home)
    given = time_ms(at, "--at")
    now = SystemClock().now_ms() if given is None else given
    parcels = assigned_parcels(Ledger(place), account, now)
    key = offline_key(place)
    token = grant(account, device, parcels, now, hours, bridge, key)
    said = {
        "token": token,
        "until": now + int(hours * 3_600_000),
        "parcels": len(parcels),
        "public_key": key.public_key().public_bytes_raw().hex(),
    }
    if as_json:
        print_json(said)
    else:
        say(f"{len(parcels)} parcels, until {when(now + int(hours * 3_600_000))}: {token}")


def _said(key: Key, as_json: bool) -> None:
    if as_json:
        print_json(_of_key(key))
    else:
        say(f"key {key.id}: {_state(key)}")


def _of_key(key: Key) -> dict[str, Any]:
    own = {name: value for name, value in asdict(key).items() if name not in {"credential", "public", "signs"}}
    return own | {"fingerprint": key.fingerprint, "counts": key.counts}


def _state(key: Key) -> str:
    if not key.living:
        return f"revoked by {key.revoked_by}"
    return f"confirmed by {key.confirmed_by}" if key.counts else "waits to be confirmed"


def _is_open(invite: Invite, now: int) -> bool:
    return invite.used is None and invite.until > now
