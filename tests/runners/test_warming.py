"""Warming up leaves nothing behind; settling down is told to the interpreter."""

from __future__ import annotations

import gc
import sys

import pytest

from watchbill.core.settings import Settings
from watchbill.runners.compiling import compiling
from watchbill.runners.warming import SWITCH_SECONDS, settle_down, warm_up


def test_a_second_time_compiles_nothing() -> None:
    warm_up(Settings())
    seen: list[int] = []
    with compiling(lambda done, _about: seen.append(done)):
        warm_up(Settings())
    assert seen == []


def test_settled_down_and_taken_back() -> None:
    before = (sys.getswitchinterval(), gc.get_threshold())
    rise = settle_down()
    try:
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > before[1][0]
    finally:
        rise()
    assert (sys.getswitchinterval(), gc.get_threshold()) == before
    assert gc.get_freeze_count() == 0
