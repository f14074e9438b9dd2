"""From a person to the journal: a verdict goes through the inbox of a home, and so through whoever writes it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from watchbill.cases.verdicts import Verdict
from watchbill.core.errors import LedgerBusy, NotFoundError
from watchbill.ledger.keys import is_seeded
from watchbill.runners.engine import Engine
from watchbill.runners.inbox import put, take_inbox
from watchbill.runners.local import keep_current

if TYPE_CHECKING:
    from pathlib import Path

    from watchbill.runners.clock import Clock

WAIT_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.1


def said_now(given: dict[str, Any], clock: Clock) -> Verdict:
    """A verdict said at this moment, with an id of its own.

    Raises:
        pydantic.ValidationError: it makes no sense.
    """
    stamped = given | {"time": clock.now_ms()}
    text = json.dumps([stamped, clock.monotonic()], sort_keys=True)
    return Verdict.model_validate(stamped | {"id": hashlib.sha256(text.encode()).hexdigest()[:32]})


def deliver(home: Path, told: Verdict, clock: Clock, wait_seconds: float = WAIT_SECONDS) -> dict[str, Any]:
    """Put a verdict into force: {"id", "in_force", "height"} (height None where another process took it).

    Where another process writes the home and does not take it within `wait_seconds`, it stays in the inbox.

    Raises:
        NotFoundError: there is no such case. LedgerError: the home is damaged.
    """
    path = put(home, told)
    refused = path.with_suffix(".refused")
    until = clock.monotonic() + wait_seconds
    height = None
    while path.exists():
        try:
            height = _by_ourselves(home, clock)
            break
        except LedgerBusy:
            if clock.monotonic() > until:
                return {"id": told.id, "in_force": False, "height": None}
            clock.sleep(_LOOK_SECONDS)
    if refused.exists():
        refused.unlink()
        raise NotFoundError("there is no such case", where="verdict", todo="`watchbill cases` lists them")
    return {"id": told.id, "in_force": not path.exists(), "height": height}


def _by_ourselves(home: Path, clock: Clock) -> int:
    """Nobody writes the home: open it, take the inbox, leave everything as a run does. The height behind it.

    Raises:
        LedgerBusy: somebody does.
    """
    replayed = is_seeded(home)
    engine = Engine(home, None, clock, replay=replayed)
    now = None if replayed else clock.now_ms()
    try:
        take_inbox(engine, now)
        engine.checkpoint()
        keep_current(engine, now)
        return engine.journal.durable
    finally:
        engine.close()
