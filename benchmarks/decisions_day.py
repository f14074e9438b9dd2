"""Simulated days of decisions through the desk and the engine: memory, state and time a decision, hour by hour.

Bias: no HTTP (benchmarks/decisions.py has that); the clock is set forward between batches, so a day takes minutes; sealing does not run,
so the journal grows on disk. What is remembered for a while (looks that wait for a reason 48 hours, work 3 days, decisions 24 hours, ids 7
days) fills up first, so "growth" compares the last 24 hours with the 24 before them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import child, say

START = 1_760_000_000_000
HOUR_MS = 3_600_000
GROWTH_MAX = 1.05


def one(a_second: float, hours: int, accounts: int) -> dict[str, Any]:
    """The hours of a day: MB of anonymous memory, MB of a checkpoint's state, microseconds a decision."""
    from watchbill.core.settings import Settings
    from watchbill.responses.asks import Ask
    from watchbill.runners.clock import ManualClock
    from watchbill.runners.desk import Desk, DeskSettings
    from watchbill.runners.engine import Engine

    place = Path(tempfile.mkdtemp(prefix="watchbill-day-"))
    clock = ManualClock(START)
    engine, desk = Engine(place, Settings(), clock), Desk(DeskSettings(waiting_max=10_000))
    answered: list[Any] = []
    size, number, rows = 200, 0, []
    try:
        for hour in range(hours):
            began, count = time.process_time(), int(a_second * 3600) // size
            for batch in range(count):
                now = START + hour * HOUR_MS + batch * HOUR_MS // count
                for _ in range(size):
                    number += 1
                    who = number * 7919 % accounts
                    ask = Ask(
                        f"r{number}",
                        f"a{who}",
                        device=f"d{who}",
                        ip="10.0.0.1",
                        waybill=f"W{number // 3}",
                        subjects=(f"p{number}",),
                        fields=("recipient.phone",),
                    )
                    desk.put(ask, "day", answered.extend)
                asked = desk.drain()
                looks, told = desk.looks(asked, engine, now)
                engine.take_all([looks] if looks is not None else [], live_now=now)
                desk.settle(asked, told, engine)
                answered.clear()
            spent = (time.process_time() - began) / (count * size) * 1e6
            engine.checkpoint()
            newest = max((place / "state").iterdir(), key=lambda path: path.name)
            state = sum(file.stat().st_size for file in newest.iterdir()) / 1e6
            status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            resident = int(status["RssAnon"].split()[0]) / 1e3
            rows.append([hour + 1, resident, state, spent])
        return {"rows": rows, "decisions": number}
    finally:
        engine.close()
        shutil.rmtree(place, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--a-second", type=float, default=1.5)
    parser.add_argument("--hours", type=int, default=120)
    parser.add_argument("--accounts", type=int, default=5_000)
    parser.add_argument("--inner", action="store_true")
    given = parser.parse_args()
    if given.inner:
        print(json.dumps(one(given.a_second, given.hours, given.accounts)))
        return
    ran = child(
        __file__,
        "--inner",
        "--a-second",
        str(given.a_second),
        "--hours",
        str(given.hours),
        "--accounts",
        str(given.accounts),
    )
    rows = ran["rows"]
    wanted = {1, *range(12, given.hours + 1, 12)}
    shown = [
        [hour, f"{resident:.0f}", f"{state:.1f}", f"{spent:.0f}"]
        for hour, resident, state, spent in rows
        if hour in wanted
    ]
    last, before = ([row[1] for row in rows[-24 * at :][:24]] for at in (1, 2))
    growth = float(np.median(last) / np.median(before))
    say(
        f"{given.hours} simulated hours, {ran['decisions']:,} decisions, {given.accounts:,} accounts",
        ["hour", "memory MB", "checkpoint MB", "us CPU a decision"], shown,
        f"memory of the last 24 hours against the 24 before: {growth:.3f} (limit {GROWTH_MAX})",
    )  # fmt: skip


if __name__ == "__main__":
    main()
