from __future__ import annotations

from pathlib import Path

import pytest

from inquiry.leaks import customers, ledger, look
from watchbill.context.reference import find_tables, read_table
from watchbill.core.errors import LimitError, NotFoundError, SettingsError
from watchbill.core.hashing import hash_text
from watchbill.inquiry.attribute import answer_of, attribute, shipped
from watchbill.inquiry.canaries import DAY_MS, canaries_of, make, place, retire, rotate
from watchbill.inquiry.leakhits import Asked, Extra
from watchbill.inquiry.leaklist import parse_leak
from watchbill.inquiry.sightings import open_sightings

ZONE = "Asia/Shanghai"
NOW = 1_750_000_000_000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return ledger(tmp_path / "home", [look(f"E{n % 3}", n * 7) for n in range(60)], (50,))


def table_of(folder: Path) -> list[tuple[str | None, str | None, int | None]]:
    table = read_table("canaries", find_tables(folder)["canaries"], ZONE, 1_000)
    return list(zip(*(table.column(name).to_pylist() for name in ("waybill", "subject", "placed")), strict=True))


def test_canaries_look_real_and_are_nowhere_in_the_record(home: Path) -> None:
    made = [*make(home, "waybill", 20, NOW), *make(home, "subject", 20, NOW + 1)]
    real = {f"YT{n * 7:013d}" for n in range(60)} | {f"C{n * 7:011d}" for n in range(60)}
    assert len({one.value for one in made} - real) == 40
    assert all(len(one.value) == (15 if one.kind == "waybill" else 12) for one in made)
    assert [one.value for one in canaries_of(home)] == [one.value for one in made]
    again = ledger(home.parent / "b", [look(f"E{n % 3}", n * 7) for n in range(60)], (50,))
    assert {one.value for one in make(again, "waybill", 20, NOW)} != {one.value for one in made[:20]}  # another key


def test_placing_writes_the_reference_table_and_keeps_rows_of_others(home: Path, tmp_path: Path) -> None:
    (tmp_path / "canaries.csv").write_text("waybill,subject,placed,note\nOURS1,,2025-01-01,by hand\n", encoding="utf-8")
    made = make(home, "waybill", 3, NOW)
    assert [one.value for one in place(home, tmp_path, NOW + 5, ZONE, "counter")] == [one.value for one in made]
    rows = table_of(tmp_path)
    assert [row[0] for row in rows] == ["OURS1", *(one.value for one in made)]
    assert rows[1][2] == NOW + 5
    with pytest.raises(NotFoundError):
        place(home, tmp_path, NOW + 6, ZONE)


def test_rotation_adds_new_ones_beside_the_old_and_retiring_takes_out(home: Path, tmp_path: Path) -> None:
    make(home, "waybill", 4, NOW)
    old = place(home, tmp_path, NOW, ZONE)
    assert rotate(home, tmp_path, NOW + 5 * DAY_MS, ZONE, 30) == []
    new = rotate(home, tmp_path, NOW + 31 * DAY_MS, ZONE, 30)
    assert len(new) == 4
    assert len(table_of(tmp_path)) == 8
    assert rotate(home, tmp_path, NOW + 32 * DAY_MS, ZONE, 30) == []
    retire(home, tmp_path, [old[0].value], NOW + 33 * DAY_MS, ZONE)
    assert old[0].value not in {row[0] for row in table_of(tmp_path)}
    assert sum(one.retired is not None for one in canaries_of(home)) == 1
    with pytest.raises(NotFoundError):
        retire(home, tmp_path, [old[0].value], NOW, ZONE)


def test_phones_are_never_made_up_but_may_be_given(tmp_path: Path) -> None:
    home = ledger(tmp_path / "h", [look("E1", n, subjects=[f"138{n:08d}"]) for n in range(30)])
    with pytest.raises(SettingsError, match="--given"):
        make(home, "subject", 3, NOW)
    assert [one.value for one in make(home, "subject", 0, NOW, ["13900000001", "13900000001 "])] == ["13900000001"]
    with pytest.raises(SettingsError, match="records name them") as told:
        make(home, "subject", 0, NOW, ["13800000001"])
    assert "13800000001" not in str(told.value)


def test_limits_and_empty_homes(home: Path, tmp_path: Path) -> None:
    for kind, number in (("waybill", 0), ("phone", 3), ("waybill", 10**6)):
        with pytest.raises(LimitError):
            make(home, kind, number, NOW)
    with pytest.raises(LimitError, match="no more free"):
        make(home, "waybill", 2_000, NOW)
    empty = ledger(tmp_path / "e", [{"kind": "login", "account": "E1"}])
    with pytest.raises(NotFoundError):
        make(empty, "waybill", 3, NOW)
    make(home, "waybill", 1, NOW)
    with pytest.raises(SettingsError):
        place(home, tmp_path / "none", NOW, ZONE)


def test_a_canary_in_a_list_points_at_who_looked_at_it(home: Path, tmp_path: Path) -> None:
    value = make(home, "subject", 1, NOW)[0].value
    rows = [look(f"E{n % 3}", n * 7) for n in range(60)] + [look("E2", 9, subjects=[value])]
    other = ledger(tmp_path / "two", rows)
    (other / "canaries.ndjson").write_bytes((home / "canaries.ndjson").read_bytes())
    leak = parse_leak("\n".join([value, *(item.texts[0] for item in customers([2, 3, 4, 5, 6]))]).encode())
    with_it = attribute(other, leak)
    assert (with_it.canaries, with_it.canaries_seen_by) == (1, ["E2"])
    plain = answer_of(open_sightings(other), leak.items, Extra({}), Asked(), shipped())
    known = answer_of(open_sightings(other), leak.items, Extra({}, frozenset({hash_text(value)})), Asked(), shipped())
    assert known.ranking[0].account == "E2"
    assert known.ranking[0].raw > plain.ranking[0].raw
    assert attribute(home, leak).canaries_seen_by == []
