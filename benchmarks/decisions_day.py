"""24 simulated hours of decisions through the desk and the engine: memory, state and time a decision, hour by hour.

Bias: no HTTP (benchmarks/decisions.py has that); the clock is set forward between batches, so a day takes minutes; sealing does not run,
so the journal grows on disk. "Growth" compares the last hours with those after warming up.
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
    """The hours of a day: MB of memory, MB of a checkpoint's state, microseconds a decision."""
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
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
            rows.append([hour + 1, resident, state, spent])
        return {"rows": rows, "decisions": number}
    finally:
        engine.close()
        shutil.rmtree(place, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--a-second", type=float, default=20)
    parser.add_argument("--hours", type=int, default=24)
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
    wanted = sorted({1, 2, 6, 12, 18, *range(max(1, given.hours - 1), given.hours + 1)})
    shown = [
        [hour, f"{resident:.0f}", f"{state:.1f}", f"{spent:.0f}"]
        for hour, resident, state, spent in rows
        if hour in wanted
    ]
    warm = [row for row in rows if len(rows) // 3 <= row[0] <= len(rows) // 2] or rows
    growth = float(np.median([row[1] for row in rows[-3:]]) / np.median([row[1] for row in warm]))
    say(
        f"{given.hours} simulated hours, {ran['decisions']:,} decisions, {given.accounts:,} accounts",
        ["hour", "RSS MB", "checkpoint MB", "us CPU a decision"], shown,
        f"memory of the last hours against hours {len(rows) // 3} to {len(rows) // 2}: {growth:.3f} (limit {GROWTH_MAX})",
    )  # fmt: skip


if __name__ == "__main__":
    main()
