from __future__ import annotations

from watchbill.context.events import EVENT, LOGIN, LOOK, RETRACT


def test_an_event_is_small_and_its_kinds_differ() -> None:
    assert EVENT.itemsize <= 96
    assert len({LOOK, LOGIN, RETRACT, 0}) == 4
