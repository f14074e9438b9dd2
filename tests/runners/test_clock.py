from __future__ import annotations

import time

from watchbill.runners.clock import ManualClock, SystemClock


def test_the_machine_s_clock_counts_milliseconds_and_never_goes_back() -> None:
    clock = SystemClock()
    assert abs(clock.now_ms() - time.time() * 1000) < 5_000
    before = clock.monotonic()
    clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.009


def test_a_held_clock_moves_only_when_told() -> None:
    clock = ManualClock(1_000)
    assert (clock.now_ms(), clock.monotonic()) == (1_000, 1.0)
    clock.sleep(2.5)
    assert (clock.now_ms(), clock.monotonic()) == (3_500, 3.5)
