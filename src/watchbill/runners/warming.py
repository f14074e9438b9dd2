"""Made ready for decisions: kernels loaded before the first is asked for, and long pauses of the interpreter taken out of their way.

A first step loads (or, once after an installation, compiles) some two hundred kernels; nobody's look should wait for that.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any, Final

from watchbill.records.columns import columns_of
from watchbill.responses.asks import Ask
from watchbill.runners.askrecords import look_of, table_of
from watchbill.runners.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchbill.core.settings import Settings

SWITCH_SECONDS: Final = 0.0001
"""How long a thread keeps the interpreter: the engine must not hold up the answers for the 5 ms that are usual (0.5 ms: p99 a tenth more)."""
_YOUNG, _MIDDLE, _OLD = 20_000, 20, 1_000
"""Thresholds of the collector: with the usual ones it walks through everything that lives once a second, for a tenth of a second."""
_START: Final = 1_600_000_000_000
_HOUR_MS: Final = 3_600_000


def warm_up(settings: Settings) -> None:
    """Step a pipeline of its own over a handful of records, past a tick of the published tables; nothing of it stays."""
    pipeline = Pipeline(settings)
    base: dict[str, Any] = {"source": "warm", "account": "a", "device": "d", "ip": "192.0.2.1", "waybill": "W1"}
    kinds: list[dict[str, Any]] = [
        {"kind": "login", "session": "s"},
        {"kind": "scan", "outlet": "O", "status": "arrived"},
        {"kind": "ticket", "ticket": "T", "state": "open", "type": "claim"},
        {"kind": "view", "subjects": ["p"], "fields": ["recipient.phone"]},
    ]
    rows = [base | kind | {"id": str(at)} for at, kind in enumerate(kinds)]
    for hour in range(2):
        now = _START + hour * 2 * _HOUR_MS
        ask = Ask(str(hour), "b", waybill="W2", subjects=("p",), fields=("recipient.phone",))
        table = table_of(
            [
                *({**row, "time": now, "arrival": now} for row in rows),
                look_of(ask, f"i{hour}", "warm", now) | {"arrival": now},
            ]
        )
        pipeline.step(columns_of(table, hour * table.num_rows))


def settle_down() -> Callable[[], None]:
    """Tell the interpreter that this process answers requests: short turns, and no walks through what stays for good.

    Returns:
        What takes it back.
    """
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)

    def rise() -> None:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)
        gc.unfreeze()

    return rise
