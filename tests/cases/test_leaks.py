from __future__ import annotations

import typing

import pytest
from pydantic import ValidationError

from watchbill.cases.leaks import ACTS, CHANNELS, Handling, Leak

GOOD = {
    "id": "0" * 12, "sha256": "0" * 64, "bytes": 5, "channel": "qq", "finder": "f1", "by": "r7", "found": 1, "legal_basis": "report",
}  # fmt: skip


def test_words_and_types_are_the_same() -> None:
    assert set(typing.get_args(Leak.model_fields["channel"].annotation)) == set(CHANNELS)
    assert set(typing.get_args(Handling.model_fields["act"].annotation)) == set(ACTS)


@pytest.mark.parametrize("channel", list(CHANNELS))
def test_every_channel_is_taken(channel: str) -> None:
    assert Leak.model_validate(GOOD | {"channel": channel, "price_yuan": 500}).channel == channel


@pytest.mark.parametrize(
    "wrong",
    [{"channel": "fax"}, {"price_yuan": -1}, {"finder": " "}, {"legal_basis": ""}, {"sha256": "x"}, {"id": "../x"}, {"note": "x" * 501},
     {"found": -1}, {"extra": 1}],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Leak.model_validate(GOOD | wrong)


def test_a_step_says_who_did_what() -> None:
    step = Handling(leak="0" * 12, act="handed_over", by="r7", to="police", sha256="0" * 64)
    assert step.to == "police"
    with pytest.raises(ValidationError):
        Handling.model_validate(step.model_dump() | {"act": "lost"})
