from __future__ import annotations

from watchbill.responses.asks import Ask, Decided, closed


def test_what_cannot_be_known_is_masked_and_reveals_nothing() -> None:
    answer = closed(Ask("r1", fields=("recipient.phone", "recipient.name")), "d1", "unavailable")
    assert answer.decision == "mask"
    assert set(answer.levels.values()) == {"masked"}
    assert answer.why == "unavailable"
    assert not answer.reveals


def test_only_an_allowed_look_with_a_plain_field_reveals() -> None:
    assert Decided("d", "allow").reveals
    assert Decided("d", "allow", {"recipient.phone": "plain", "recipient.id_number": "hidden"}).reveals
    assert not Decided("d", "allow", {"recipient.id_number": "hidden"}).reveals
    assert not Decided("d", "step_up", {"recipient.phone": "plain"}).reveals
