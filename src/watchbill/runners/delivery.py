"""From a person to the journal: what somebody says of a case goes through the inbox of a home, and so through whoever writes it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel

from watchbill.cases.desk import NO_CASE
from watchbill.core.errors import LedgerBusy, NotFoundError, RefusedError, WatchbillError
from watchbill.ledger.keys import is_seeded
from watchbill.runners.engine import Engine
from watchbill.runners.inbox import put, take_inbox
from watchbill.runners.local import keep_current

if TYPE_CHECKING:
    from pathlib import Path

    from watchbill.cases.acts import Said
    from watchbill.runners.clock import Clock

Word = TypeVar("Word", bound=BaseModel)
WAIT_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.1


def said_now(given: dict[str, Any], clock: Clock, model: type[Word]) -> Word:
    """Something said at this moment, with an id of its own.

    Raises:
        pydantic.ValidationError: it makes no sense.
    """
    stamped = given | {"time": clock.now_ms()}
    text = json.dumps([stamped, clock.monotonic()], sort_keys=True)
    return model.model_validate(stamped | {"id": hashlib.sha256(text.encode()).hexdigest()[:32]})


def deliver(home: Path, told: Said, clock: Clock, wait_seconds: float = WAIT_SECONDS) -> dict[str, Any]:
    """Put what somebody said into force: {"id", "in_force", "height"} (height None where another process took it).

    Where another process writes the home and does not take it within `wait_seconds`, it stays in the inbox.

    Raises:
        NotFoundError: there is no such case. RefusedError: it is not legal for the case as it is. LedgerError: the home is
            damaged.
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
        raise _why_not(refused)
    return {"id": told.id, "in_force": not path.exists(), "height": height}


def _why_not(refused: Path) -> WatchbillError:
    """The error that a refused word is, and nothing of it left behind."""
    beside = refused.with_suffix(".why")
    why = beside.read_text(encoding="utf-8") if beside.exists() else ""
    refused.unlink()
    beside.unlink(missing_ok=True)
    if why == NO_CASE or not why:
        return NotFoundError(NO_CASE, where="case", todo="`watchbill cases` lists them")
    return RefusedError(why, where="case", todo="`watchbill case show CASE` says how it stands")


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
