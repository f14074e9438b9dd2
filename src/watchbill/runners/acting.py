"""The actions of a settings file, opened: with an outbox and a dispatcher for `watchbill run`, or alone for a dry run."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any, Final

from watchbill.context.lone import DEVICE_MARK
from watchbill.core.errors import SettingsError
from watchbill.responses.base import Action, Around, open_action
from watchbill.responses.policy import STEPS
from watchbill.runners.dispatch import Dispatcher, Now
from watchbill.runners.learning import until_of
from watchbill.runners.outbox import FILE, Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from watchbill.responses.caep import Caep
    from watchbill.runners.clock import Clock
    from watchbill.runners.config import RunConfig
    from watchbill.runners.engine import Engine

ACTIONS_MAX: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


def open_actions(config: RunConfig, clock: Clock) -> dict[str, Action]:
    """All actions of a settings file, by name; opening one sends and writes nothing.

    Raises:
        SettingsError: one is wrong, or two disagree.
    """
    if len(config.actions) > ACTIONS_MAX:
        raise SettingsError(f"more than {ACTIONS_MAX} actions", where="[actions]", todo="One webhook can serve many")
    around = Around(config.home, clock.now_ms, clock.monotonic)
    actions: dict[str, Action] = {}
    for name, table in config.actions.items():
        if not _NAME.fullmatch(name):
            raise SettingsError("a name of an action", where="[actions]", todo="Letters, digits, - and _, at most 40")
        actions[name] = open_action(name, table, around)
    issuers = {getattr(action.settings, "issuer", "") for action in actions.values()} - {""}
    if len(issuers) > 1:
        raise SettingsError(
            "issuer differs between actions", where="[actions]", todo="Receivers know us by one address"
        )
    return actions


def open_dispatcher(config: RunConfig, clock: Clock, tell: Callable[[str], None]) -> Dispatcher | None:
    """The dispatcher of a running home; None where nothing is configured and nothing waits.

    Raises:
        SettingsError: an action is wrong. LedgerError: the outbox cannot be opened.
    """
    actions = open_actions(config, clock)
    if not actions and not (config.home / FILE).exists():
        return None
    outbox = Outbox(config.home, config.outbox)
    left = {entry.action for entry in outbox.listed(("waiting", "awaiting_approval"))} - set(actions)
    for name in sorted(left):
        tell(f"entries of {name} wait in the outbox, but no [actions.{name}] sends them")
    # jitter need not be replayed: it parts receivers' retries, and decides nothing
    rng = random.Random()  # noqa: S311 - no secret
    return Dispatcher(actions, outbox, clock, rng, on_call=config.on_call, tell=tell)


def receivers_of(actions: Mapping[str, Action]) -> tuple[Caep, ...]:
    """The actions whose receivers have a token, and so manage their streams over HTTP."""
    if not any(action.settings.kind == "caep" for action in actions.values()):
        return ()  # without one its libraries are not even loaded
    from watchbill.responses.caep import Caep

    found = (action for action in actions.values() if isinstance(action, Caep))
    return tuple(action for action in found if action.token_digest is not None)


def standing_in(engine: Engine) -> Callable[[str, str, int], Now | None]:
    """What an engine holds of an account or device at a moment, also without a further record; for its own thread only."""

    def standing_of(account: str, device: str, now: int) -> Now | None:
        pipeline = engine.pipeline
        at = pipeline.context.accounts.find(DEVICE_MARK + device if device else account)
        if at < 0:
            return None
        row: Any = pipeline.standing_of(at, now)[0]
        return Now(STEPS[int(row["step"])], until_of(int(row["until"])))

    return standing_of
