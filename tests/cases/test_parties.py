from __future__ import annotations

import typing

import pytest
from pydantic import ValidationError

from watchbill.cases.parties import LINKS, ROLES, TARGETS, Link, Party, current, link_of, missing


def party(name: str, *links: str, case: str = "c1", role: str = "intermediary") -> Party:
    said = {"id": name, "case": case, "role": role, "name": name, "by": "r7", "links": [link_of(one) for one in links]}
    return Party.model_validate(said)


def test_words_and_types_are_the_same() -> None:
    assert set(typing.get_args(Party.model_fields["role"].annotation)) == set(ROLES)
    assert set(typing.get_args(Link.model_fields["kind"].annotation)) == set(LINKS)
    assert set(typing.get_args(Link.model_fields["sort"].annotation)) == set(TARGETS)


def test_links_are_read_from_words() -> None:
    assert link_of("paid:account:E1") == {"kind": "paid", "sort": "account", "to": "E1"}
    assert link_of("rented:E1") == {"kind": "rented", "sort": "account", "to": "E1"}
    assert link_of("works_for:party:p2") == {"kind": "works_for", "sort": "party", "to": "p2"}
    assert link_of("shares_line:line:10.0.0.1")["to"] == "10.0.0.1"


def test_the_last_word_counts_and_undescribed_parties_are_told() -> None:
    held = current([party("p1"), party("p2", role="buyer"), party("p1", "works_for:party:p9", role="up_line")])
    assert [(one.id, one.role) for one in held] == [("p1", "up_line"), ("p2", "buyer")]
    assert missing(held) == ["p9"]
    assert missing([*held, party("p9")]) == []
    assert missing([party("p1", "paid:party:p2"), party("p2", case="c2")]) == ["p2"]


@pytest.mark.parametrize("link", ["likes:E1", "paid:", "paid:party:p1"])
def test_what_makes_no_sense_is_refused(link: str) -> None:
    with pytest.raises(ValidationError):
        party("p1", link)
