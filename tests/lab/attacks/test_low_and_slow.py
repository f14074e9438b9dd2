from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("low_and_slow", day=2, days=1))


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


def test_own_device_other_outlets_spread_over_the_day(built: Any) -> None:
    account = built.report.attacks[0]["accounts"][0]
    own = built.one("select any_value(a.outlet) from looks l join accounts a using (account) where wrongful")
    strangers = built.one(f"""select count(*) from looks l where wrongful and not exists
        (select 1 from records s where s.kind = 'scan' and s.waybill = l.waybill and s.outlet = '{own}' and s.status = 'arrived')""")
    assert strangers == built.report.wrongful
    assert {r[0] for r in built.rows("select distinct device from looks where wrongful")} == {
        r[0] for r in built.rows(f"select distinct device from looks where account = '{account}' and not wrongful")
    }
    assert 60 <= built.report.wrongful <= 140
    assert built.one("select max(time) - min(time) from looks where wrongful") > 8 * 3_600_000
