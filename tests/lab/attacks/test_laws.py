"""One law suite for the room: every attack of the folder says the truth about itself and takes real, unmasked data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec, load_attacks


@pytest.fixture(scope="module", params=sorted(load_attacks()))
def built(request: pytest.FixtureRequest, stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec(request.param, day=2, days=1))


def test_the_truth_says_what_was_taken(built: Any) -> None:
    attack = built.report.attacks[0]
    looks, first, last = built.rows("select count(*), min(time), max(time) from looks where wrongful")[0]
    assert (attack["looks"], attack["from"], attack["until"]) == (looks, first, last + 1)
    shown = (
        "select count(distinct s) from (select unnest(subjects) as s from looks where wrongful and outcome = 'success')"
    )
    assert attack["persons"] == built.one(shown)
    assert sorted(attack["accounts"]) == sorted(
        r[0] for r in built.rows("select distinct account from looks where wrongful")
    )


def test_what_is_taken_is_unmasked_and_of_real_parcels(built: Any) -> None:
    assert built.one("select count(*) from looks where wrongful and masked") == 0
    assert built.one("select count(*) from looks where wrongful and outcome = 'success' and not list_has_all(fields, "
                     "['recipient.name', 'recipient.phone', 'recipient.address'])") == 0  # fmt: skip
    known = (
        "select waybill from records where kind = 'scan' union select waybill from canaries where waybill is not null"
    )
    unknown = built.one(
        f"select count(*) from looks where wrongful and outcome = 'success' and waybill not in ({known})"
    )
    # A parcel whose life ended before the first day of records leaves no scan.
    assert unknown / built.report.wrongful < 0.35
