from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inquiry.people import DAY, T0, foreign, owner_days
from inquiry.test_exposure import journal_rows
from inquiry.test_inforce import keep
from watchbill.core.errors import NotFoundError
from watchbill.inquiry.caseexposure import ESTIMATED, exposure, hash_of
from watchbill.inquiry.exposure import SeenSubject, saw

HOUR = 3_600_000


def home_of(place: Path, *, persons: int = 1, kind: str = "leased") -> Path:
    """An owner's six days and a stranger's evening on the fourth, with a case; every look names one customer."""
    rows = [{**row, "subjects": [f"c-{row['waybill']}"]} for row in [*owner_days(6), *foreign(3)]]
    rows = [
        {**row, "id": f"{n}", "arrival": row["time"]} for n, row in enumerate(sorted(rows, key=lambda row: row["time"]))
    ]
    post = {"account": "E1", "role": "courier", "outlet": "O1", "from": None, "until": None}
    table = [{**post, "person": f"P{k}"} for k in range(persons)]
    load = [
        {**keep(place, name, "a", held), "time": T0, "arrival": T0}
        for name, held in (
            ("accounts", table),
            ("devices", [{"device": "H1", "outlet": "O1", "kind": "handset", "shared": False}]),
        )
    ]
    journal_rows(place, [*load, *rows])
    opened = T0 + 3 * DAY + 20 * HOUR
    tenancy = {"account": "E1", "from": opened, "until": opened + HOUR, "records": 80, "estimated_yield": 80.0}
    case = {"id": "c99", "seq": 99, "accounts": ["E1"], "kind": kind, "opened": opened, "updated": opened + HOUR}
    (place / "cases.ndjson").write_text(json.dumps({**case, "tenancies": [tenancy]}) + "\n")
    return place


def test_the_owners_work_is_left_out(tmp_path: Path) -> None:
    answer = exposure(home_of(tmp_path), "c99")
    assert {one.subject for one in answer.saw.subjects} == {f"c-W{900_000 + k}" for k in range(80)}
    assert (answer.saw.persons, answer.saw.lower) == (80, 80)
    assert answer.saw.upper is not None
    assert answer.saw.upper >= 80
    assert not answer.saw.complete
    assert [gap.kind for gap in answer.saw.gaps] == [ESTIMATED]
    assert answer.sessions["listed"] == 1
    said = answer.to_json()
    assert list(said)[:11] == [
        "account", "height", "persons", "items", "times", "complete_records", "complete", "lower", "upper", "gaps", "subjects"
    ]  # fmt: skip
    assert list(said)[11:] == ["case", "accounts", "all_sessions", "sessions", "hash"]


def test_all_sessions_are_exact_and_as_saw_has_them(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    every, some = exposure(home, "c99", all_sessions=True), exposure(home, "c99")
    assert every.saw.complete
    assert (every.saw.lower, every.saw.upper) == (every.saw.persons, every.saw.persons)
    assert {one.subject for one in some.saw.subjects} < {one.subject for one in every.saw.subjects}
    inside = saw(home, "E1", every.saw.subjects[0].first, max(one.last for one in every.saw.subjects) + 1)
    assert every.saw.subjects == inside.subjects
    assert every.hash == hash_of(inside.subjects) != some.hash


def test_a_shared_number_is_between(tmp_path: Path) -> None:
    answer = exposure(home_of(tmp_path, persons=2), "c99")
    assert answer.saw.persons == 0, "no verdict says which looks were unexplained"
    assert answer.saw.upper == 80
    assert answer.sessions["between"] > 0


def test_at_a_height(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    early = exposure(home, "c99", upto=150)
    assert early.saw.height == 150
    assert 0 < early.saw.persons < 80
    with pytest.raises(NotFoundError):
        exposure(home, "c99", upto=99)
    with pytest.raises(NotFoundError):
        exposure(home, "c1")


subjects = st.lists(
    st.tuples(st.text(max_size=4), st.lists(st.text(max_size=3), max_size=3, unique=True)),
    max_size=8,
    unique_by=lambda one: one[0],
)


@given(subjects, st.integers(0, 100))
def test_the_hash_is_of_who_and_what_not_of_order_and_times(found: list[tuple[str, list[str]]], seed: int) -> None:
    one = [SeenSubject(name, fields, 1, 2, 3) for name, fields in found]
    chance = random.Random(seed)
    other = [SeenSubject(name, chance.sample(fields, len(fields)), seed, seed, 1) for name, fields in found]
    chance.shuffle(other)
    assert hash_of(one) == hash_of(other)
    more: list[Any] = [*one, SeenSubject("somebody else", [], 1, 1, 1)]
    assert hash_of(more) != hash_of(one)
    assert hash_of([]) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
