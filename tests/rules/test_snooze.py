from __future__ import annotations

from watchbill.rules.snooze import Snooze, with_snooze


def test_a_snooze_of_the_same_value_is_replaced() -> None:
    first, other = (
        Snooze(rule="r", field="account", value="a", until=5),
        Snooze(rule="r", field="account", value="b", until=5),
    )
    later = first.model_copy(update={"until": 9})
    assert with_snooze((first, other), later) == (other, later)
