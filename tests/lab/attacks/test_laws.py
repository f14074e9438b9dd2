"""One law suite for the room: every attack of the folder says the truth about itself and takes real, unmasked data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec, load_attacks

MOVES_PEOPLE = {"leaver_reuse", "leaver_device"}


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
    found = built.rows("select distinct account from looks where wrongful and account is not null order by 1")
    assert sorted(attack["accounts"]) == [r[0] for r in found]
    for name, column in (("devices", "device"), ("ips", "ip"), ("operators", "operator")):
        assert attack[name] == [
            r[0] for r in built.rows(f"select distinct {column} from looks where wrongful order by 1")
        ]
    assert attack["sessions"] == built.one("select count(distinct session) from looks where wrongful")
    canaries = "select waybill from canaries where waybill is not null"
    assert attack["canaries"] >= built.one(f"select count(*) from looks where wrongful and waybill in ({canaries})")


def test_every_session_has_one_person_and_begins_with_a_login(built: Any) -> None:
    both = "select count(*) from (select session from looks where session is not null group by 1 having count(distinct operator) > 1 or count(distinct account) > 1)"
    assert built.one(both) == 0
    bare = """with s as (select session, min(time) filter (kind = 'login' and outcome = 'success') as login,
                    min(time) filter (kind <> 'login') as look from records where session is not null group by 1)
              select count(*) from s where login is null or login > look"""
    assert built.one(bare) == 0
    told = "select session, operator, wrongful from sessions where wrongful > 0 order by 1"
    counted = "select session, any_value(operator), count(*) from looks where wrongful and session is not null group by 1 order by 1"
    assert built.rows(told) == built.rows(counted)


def test_honest_looks_are_as_they_were(built: Any, stage: Callable[..., Any]) -> None:
    attack = built.report.attacks[0]
    if attack["kind"] in MOVES_PEOPLE:
        pytest.skip("where nobody has left, the attack needs somebody who leaves")
    columns = "time, account, device, ip, session, waybill, subjects, fields, masked, page"
    honest = f"select {columns} from looks where not wrongful order by all"
    assert built.rows(honest) == stage().rows(honest)


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
    assert unknown < max(0.35 * built.report.wrongful, 5)
