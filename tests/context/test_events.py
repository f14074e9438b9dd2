from __future__ import annotations

from watchbill.context.events import EVENT, LOGIN, LOOK, RETRACT, WORK


def test_an_event_is_small_and_its_kinds_differ() -> None:
    assert EVENT.itemsize <= 152
    assert len({LOOK, LOGIN, RETRACT, WORK, 0}) == 5
