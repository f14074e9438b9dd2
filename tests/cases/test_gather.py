"""Evidence alone puts cases together only where it says so in both, over something that both used; a person may, and may part them."""

from __future__ import annotations

from typing import Any

import pytest

from cases.worked import SUSPEND, UP, a_book, act, rise, say, verdict
from watchbill.cases.book import CaseBook
from watchbill.cases.case import status_of
from watchbill.cases.gather import CROWD_MAX, JOIN_NATS, RING_MAX, related
from watchbill.cases.sheet import Sheets, gathered, kind_of_files

RING = {"unexplained": 8.0, "rings": JOIN_NATS + 0.1}


def members(book: CaseBook) -> list[list[str]]:
    return sorted(sorted(case.account for case in book.whole(lead.id)) for lead in book.leads())


def test_two_of_a_ring_on_one_device_are_one_case_whoever_came_first() -> None:
    book = a_book()
    rise(book, "a", 10, evidence=RING, devices=("d",))
    rise(book, "b", 20, evidence=RING, lines=("1.2.3.4",))
    assert members(book) == [["a"], ["b"]]
    rise(book, "b", 30, evidence=RING, devices=("d",))
    assert members(book) == [["a", "b"]]
    rise(book, "c", 40, evidence={"device_pool": 9.0}, lines=("1.2.3.4",))
    assert members(book) == [["a", "b", "c"]]
    lead = book.whole("c40")[0]
    assert lead.id == "c10"
    assert kind_of_files(book.whole("c10")) == "ring"
    assert [one["what"] for one in lead.history].count("merged") == 2
    assert {one["by"] for one in lead.history} == {""}


@pytest.mark.parametrize(
    "more",
    [
        {"evidence": {"unexplained": 30.0}, "devices": ("d",)},  # a shared device alone
        {"evidence": {"rings": JOIN_NATS - 0.1}, "devices": ("d",)},  # a ring said softly
        {"evidence": RING, "devices": ("other",)},  # nothing that both used
    ],
)
def test_less_than_that_ties_nobody(more: dict[str, Any]) -> None:
    book = a_book()
    rise(book, "a", 10, evidence=RING, devices=("d",))
    rise(book, "b", 20, **more)
    assert members(book) == [["a"], ["b"]]


def test_what_a_person_decided_on_is_left_alone() -> None:
    book = a_book()
    rise(book, "a", 10, evidence=RING, devices=("d",))
    say(book, verdict("c10", "confirmed", "ring"))
    rise(book, "b", 20, evidence=RING, devices=("d",))
    assert members(book) == [["a"], ["b"]]
    (lead,) = Sheets(gathered(book.cases.values())).of(book.whole("c20"))["related"]
    assert lead == {"case": "c10", "why": "device"}


def test_a_crowd_and_a_ring_too_large_tie_nobody() -> None:
    book = a_book()
    for number in range(CROWD_MAX + 1):
        rise(book, f"x{number}", 10 + number, devices=("kiosk",))
    rise(book, "a", 100, evidence=RING, devices=("kiosk",))
    rise(book, "b", 101, evidence=RING, devices=("kiosk",))
    assert len(members(book)) == CROWD_MAX + 3
    book = a_book()
    for number in range(RING_MAX + 2):  # a chain: each shares a device with the next
        rise(book, f"x{number}", 10 + number, evidence=RING, devices=(f"d{number}",))
        rise(book, f"x{number}", 500 + number, evidence=RING, devices=(f"d{number + 1}",))
        if number:
            rise(book, f"x{number}", 900 + number, evidence=RING)
    assert max(len(one) for one in members(book)) == RING_MAX


def test_whom_a_person_parted_evidence_does_not_join_again() -> None:
    book = a_book()
    for account, seq in (("a", 10), ("b", 20), ("c", 30)):
        rise(book, account, seq, evidence=RING, devices=("d",))
    assert members(book) == [["a", "b", "c"]]
    say(book, act("c10", "review"))
    say(book, act("c10", "split", 2, account="a"))
    assert members(book) == [["a"], ["b", "c"]]
    assert status_of(book.whole("c20")) == "in_review"  # who stays goes on
    rise(book, "a", 40, new=SUSPEND, old=UP, evidence=RING, devices=("d",))
    assert members(book) == [["a"], ["b", "c"]]
    again = CaseBook(book.families, book.settings)
    again.restore(book.snapshot())
    rise(again, "a", 41, new=SUSPEND, old=UP, evidence=RING, devices=("d",))
    assert members(again) == [["a"], ["b", "c"]]
    say(book, act("c20", "merge", 3, other="c10"))  # a person may
    assert members(book) == [["a", "b", "c"]]
    assert book.whole("c10")[0].id == "c20"


def test_a_shared_device_is_a_lead_and_a_closed_case_none() -> None:
    book = a_book()
    rise(book, "a", 10, devices=("d",), lines=("l",))
    rise(book, "b", 20, devices=("d",), lines=("l",))
    sheets = Sheets(gathered(book.cases.values()))
    assert sheets.of(book.whole("c10"))["related"] == [{"case": "c20", "why": "device"}, {"case": "c20", "why": "line"}]
    say(book, verdict("c20", "dismissed", "task"))
    assert Sheets(gathered(book.cases.values())).of(book.whole("c10"))["related"] == []
    assert related(book.whole("c10"), book.ties, {"c10": "c10", "c20": "c20"}, {"c20": "dismissed"}) == []
