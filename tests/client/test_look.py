from __future__ import annotations

import json

import pytest

from watchbill.client.fallback import FEW
from watchbill.client.look import Look
from watchbill.records.parse import parse_ndjson
from watchbill.responses.asks import Ask, Decided
from watchbill.responses.masks import HIDDEN, MASKED, PLAIN

ASK = Ask(
    "r1",
    "YT001",
    "view",
    "PC1",
    "10.0.0.1",
    "s1",
    "desk",
    "W1",
    ("c1",),
    ("recipient.phone", "recipient.name"),
    "T1",
    "来电",
)
PHONE = "13800001234"


def test_values_are_shown_at_their_level() -> None:
    look = Look(ASK, Decided("d1", "allow", {"recipient.phone": MASKED, "recipient.name": PLAIN}))
    assert look.show("recipient.phone", PHONE) == "138******34"
    assert look.show("recipient.name", "王伟") == "王伟"
    assert look.show("recipient.name", None) == ""
    assert look.show("recipient.phone", int(PHONE)) == "138******34"


def test_a_field_that_was_not_asked_about_is_not_shown() -> None:
    assert Look(ASK, Decided("d1", "allow")).show("sender.phone", PHONE) == ""
    assert Look(ASK, Decided("d1", "allow", {"sender.phone": PLAIN})).show("sender.phone", PHONE) == ""


def test_a_field_of_which_nothing_was_said_is_masked_once_others_were() -> None:
    assert Look(ASK, Decided("d1", "allow", {"recipient.name": PLAIN})).level("recipient.phone") == MASKED
    assert Look(ASK, Decided("d1", "allow")).level("recipient.phone") == PLAIN


@pytest.mark.parametrize("decision", ["deny", "step_up", "throttle", "odd"])
def test_nothing_is_shown_of_what_is_refused(decision: str) -> None:
    look = Look(ASK, Decided("d1", decision, dict.fromkeys(ASK.fields, PLAIN))) if decision != "odd" else None
    if look is None:  # a decision that nobody knows is no decision to show
        with pytest.raises(KeyError):
            Look(ASK, Decided("d1", decision))
        return
    assert look.refusal is not None
    assert look.level("recipient.phone") == HIDDEN
    record = look.record(5)
    assert record is not None
    assert record["outcome"] == "denied"


def test_while_a_reason_is_asked_everything_is_masked() -> None:
    look = Look(ASK, Decided("d1", "ask_reason", dict.fromkeys(ASK.fields, PLAIN)))
    assert look.asks_reason
    assert look.level("recipient.phone") == MASKED
    refused, shown = look.record(5), look.record(5, showed=True)
    assert refused is not None
    assert shown is not None
    assert refused["outcome"] == "denied"
    assert "outcome" not in shown
    assert shown["masked"]


def test_the_record_keeps_the_contract_and_says_what_was_shown() -> None:
    look = Look(ASK, Decided("d1", "allow", {"recipient.phone": MASKED, "recipient.name": PLAIN}))
    record = look.record(1_800_000_000_000)
    assert record is not None
    assert (record["decision"], record["fields"], record["masked"]) == ("d1", ["recipient.name"], False)
    text = (json.dumps(record) + "\n").encode()
    assert parse_ndjson(text, source="t", identity="t", first_line=1).table.num_rows == 1
    masked = Look(ASK, Decided("", "mask")).record(1_800_000_000_000)
    assert masked is not None
    assert (masked["masked"], masked["fields"]) == (True, list(ASK.fields))
    assert "decision" not in masked


def test_a_look_that_stands_in_the_spool_is_not_logged_twice() -> None:
    assert Look(ASK, Decided("few-1", "allow", why=FEW)).record(5) is None
