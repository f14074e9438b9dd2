from __future__ import annotations

import json
from dataclasses import fields
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.errors import SettingsError
from watchbill.lab.simulator.parcels import EVENTS, NO_TIME, canary_place, live
from watchbill.lab.simulator.places import build_places
from watchbill.lab.simulator.seeds import rng_for
from watchbill.lab.simulator.settings import HonestStress, WorldSettings
from watchbill.lab.simulator.staff import SLIP_ROLES, build_staff, slip_chance
from watchbill.lab.simulator.stats import world_stats
from watchbill.lab.simulator.world import build_world
from watchbill.lab.simulator.write import uuids
from watchbill.records.schema import ASSIGNED_BY_US, LOOKS, SCHEMA
from watchbill.records.validate import check

QUIET: dict[str, Any] = {"days": 2, "outlets": 4, "scale": 0.3, "attacks": ()}


def digest(out: Path) -> dict[str, str]:
    files = sorted(p for p in out.rglob("*") if p.is_file())
    return {p.relative_to(out).as_posix(): sha256(p.read_bytes()).hexdigest() for p in files}


# --- the same world again ---------------------------------------------------------------------------------------------


def test_same_seed_same_bytes_and_other_seed_other_bytes(tmp_path: Path) -> None:
    options: dict[str, Any] = {"days": 7, "outlets": 6, "scale": 0.2, "parcels": True}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        build_world(tmp_path / name, seed=seed, **options)
    first, again, other = (digest(tmp_path / name) for name in "abc")
    assert first == again
    assert len(first) == 7 + 7 + 4
    day = "records/2025-03-04.ndjson"
    assert first[day] != other[day]


def test_a_world_replaces_the_one_before(tmp_path: Path) -> None:
    build_world(tmp_path, seed=1, **{**QUIET, "days": 3})
    build_world(tmp_path, seed=1, **QUIET)
    assert len(list((tmp_path / "records").iterdir())) == 2


def test_files_that_are_no_world_are_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "records" / "precious.ndjson"
    mine.parent.mkdir()
    mine.write_text("{}", encoding="utf-8")
    with pytest.raises(SettingsError, match="no world"):
        build_world(tmp_path, seed=1, **QUIET)
    assert mine.read_text(encoding="utf-8") == "{}"


def test_attacks_leave_the_honest_records_alone(tmp_path: Path) -> None:
    quiet = build_world(tmp_path / "quiet", seed=3, days=7, outlets=6, scale=0.2, attacks=(), format="parquet")
    loud = build_world(tmp_path / "loud", seed=3, days=7, outlets=6, scale=0.2, format="parquet")
    assert quiet.wrongful == 0 < loud.wrongful
    day = loud.files[-1].name
    truth = pq.read_table(loud.out / "truth" / "looks.parquet")
    wrong = truth.filter(pa.compute.field("wrongful"))["id"]
    rows = pq.read_table(loud.files[-1])
    honest = rows.filter(pa.compute.invert(pa.compute.is_in(rows["id"], wrong)))
    looks = [
        t.filter(pa.compute.is_in(t["kind"], pa.array(LOOKS)))
        for t in (pq.read_table(quiet.out / "records" / day), honest)
    ]
    columns = [c for c in looks[0].column_names if c != "id"]
    assert looks[0].select(columns).equals(looks[1].select(columns))


# --- the contract -----------------------------------------------------------------------------------------------------


def canonical(table: pa.Table) -> pa.Table:
    """As the records room would have it: source, arrival clock and extra added."""
    time, received = table["time"].to_numpy(), table["received"].fill_null(-1).to_numpy()
    arrival = np.maximum.accumulate(np.where(received >= 0, received, time))
    n = table.num_rows
    added = {"source": pa.array(["world"] * n), "arrival": pa.array(arrival), "extra": pa.nulls(n, pa.string())}
    arrays = [
        added.get(f.name, None if f.name in added else table[f.name] if f.name in table.column_names else None)
        for f in SCHEMA
    ]
    return pa.table([a.combine_chunks() if isinstance(a, pa.ChunkedArray) else a for a in arrays], schema=SCHEMA)


def test_every_record_keeps_the_contract(world: Any) -> None:
    for path in world.report.files:
        table = pq.read_table(path)
        assert table.schema.equals(pa.schema([f for f in SCHEMA if f.name not in ASSIGNED_BY_US]))
        assert check(canonical(table)) == {}


def test_records_stand_in_order_of_arrival_within_their_day(world: Any) -> None:
    wrong = world.one(
        """with a as (select coalesce(received, time) as arrived, lag(coalesce(received, time))
                over (order by filename, file_row_number) as before,
                strftime(make_timestamp((coalesce(received, time) + 28800000) * 1000), '%Y-%m-%d') as day, filename
           from (from read_parquet([{}], filename = true, file_row_number = true)))
           select count(*) from a where arrived < before or not contains(filename, day)""".format(
            ",".join(f"'{p}'" for p in world.report.files)
        )
    )
    assert wrong == 0


def test_ids_are_unique_and_the_truth_knows_every_look(world: Any) -> None:
    assert world.one("select count(*) - count(distinct id) from records") == 0
    looks = world.one("select count(*) from records where kind in ('view', 'search', 'export', 'print')")
    assert looks == world.one("select count(*) from looks") == world.report.looks
    assert looks == pq.read_metadata(world.report.out / "truth" / "looks.parquet").num_rows


def test_reference_tables_fit_the_records(world: Any) -> None:
    assert (
        world.one(
            "select count(*) from records where outlet is not null and outlet not in (select outlet from outlets)"
        )
        == 0
    )
    assert (
        world.one(
            "select count(*) from outlets where parent is not null and parent not in (select outlet from outlets)"
        )
        == 0
    )
    assert world.one("select count(distinct account) from accounts") == world.report.accounts
    assert world.one("select count(*) from accounts where outlet not in (select outlet from outlets)") == 0
    # Overlapping rows of one account and person would make the roster say two things at once.
    assert world.one("select count(*) from accounts a join accounts b using (account, person) "
                     'where a."from" < b."from" and (a.until is null or a.until > b."from")') == 0  # fmt: skip


@pytest.mark.parametrize("uuid_ids", [False, True])
def test_all_formats_hold_the_same_records(tmp_path: Path, uuid_ids: bool) -> None:
    texts: list[list[dict[str, Any]]] = []
    for form in ("ndjson", "parquet", "arrow"):
        report = build_world(tmp_path / form, seed=4, format=form, uuid_ids=uuid_ids, **QUIET)  # type: ignore[arg-type]
        texts.append([row for path in report.files for row in read_rows(path)])
    assert texts[0] == texts[1] == texts[2]
    assert any("shown" in row for row in texts[0])
    waybill = next(row["waybill"] for row in texts[0] if "waybill" in row)
    assert (len(waybill) == 36) == uuid_ids


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows as dictionaries without what is absent (or false: absent and not masked are one)."""
    if path.suffix == ".ndjson":
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert all(value is not None for row in rows for value in row.values())
    elif path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
    else:
        with pa.ipc.open_file(path) as file:
            rows = file.read_all().to_pylist()
    return [{k: v for k, v in sorted(row.items()) if v is not None and v is not False} for row in rows]


@given(st.lists(st.integers(0, 2**62), min_size=1, max_size=20, unique=True))
def test_uuids_are_well_formed_and_distinct(numbers: list[int]) -> None:
    made = uuids(np.array(numbers), 1).to_pylist()
    assert len(set(made)) == len(numbers)
    assert all(
        [len(part) for part in m.split("-")] == [8, 4, 4, 4, 12] and int(m.replace("-", ""), 16) >= 0 for m in made
    )


# --- honest work ------------------------------------------------------------------------------------------------------

REASONS = """
with roster as (
    select distinct account, role, outlet, epoch_ms("from"::timestamp - interval 8 hour) as f,
        coalesce(epoch_ms(try_cast(until as timestamp) - interval 8 hour), 9e15) as u from accounts),
looked as (select l.id, l.account, l.waybill, l.time, l.ticket, l.honest_confuser, l.wrongful, a.role, a.outlet as desk from looks l left join roster a
           on a.account = l.account and l.time >= a.f and l.time < a.u where l.first or l.wrongful),
scans as (select waybill, outlet, time, account, assignee, status from records where kind = 'scan'),
tickets as (select ticket, waybill, assignee, type, outlet, min(time) filter (state = 'open') as opened,
            coalesce(max(time) filter (state = 'closed'), max(until)) as closed
            from records where kind = 'ticket' group by all),
explained as (
    select l.id from looked l join scans s on s.waybill = l.waybill and s.time <= l.time where
        (role = 'courier' and (s.assignee = l.account or s.account = l.account or (s.outlet = desk and status = 'arrived')))
        or (role = 'service' and s.outlet = desk) or (role = 'clerk' and s.outlet = desk and status = 'held_at_station')
        or (role = 'hub' and s.outlet = desk and l.time - s.time < 48 * 3600000)
    union select l.id from looked l join tickets t on t.waybill = l.waybill and t.assignee = l.account
        where opened <= l.time and (l.time < closed or l.time < opened + 1800000)
    union select l.id from looked l join tickets t on t.ticket = l.ticket where role = 'legal'
    union select l.id from looked l join tickets t on t.type = 'cover' and t.assignee = l.account
        and l.time between opened and closed join scans s on s.waybill = l.waybill and s.outlet = t.outlet and s.time <= l.time)
select role, coalesce(honest_confuser, '') as why, wrongful, count(*) as n, count(*) filter (id in (from explained)) as found
from looked group by all
"""


def test_honest_first_looks_have_their_trace(world: Any) -> None:
    """Recomputed from the records alone, as domain.md's table of reasons says."""
    rows = world.rows(REASONS)
    honest = [r for r in rows if not r[2]]
    assert sum(r[4] for r in honest) / sum(r[3] for r in honest) >= 0.97
    for role in ("courier", "service", "clerk", "hub", "hq_support"):
        mine = [r for r in honest if r[0] == role]
        assert sum(r[4] for r in mine) / sum(r[3] for r in mine) >= 0.95, role
    wrongful = [r for r in rows if r[2]]
    assert sum(r[4] for r in wrongful) / sum(r[3] for r in wrongful) < 0.4


def test_only_the_labelled_slips_lack_a_trace(world: Any) -> None:
    unsure = {"misread", "forgot_ticket", "cover_unticketed", "merger", "roster_gap"}
    for role, why, wrongful, n, found in world.rows(REASONS):
        if not wrongful and why not in unsure and role is not None:
            assert found == n or (n - found) / n < 0.02, (role, why, n, found)


def test_looks_a_day_lie_where_the_domain_says(world: Any) -> None:
    stats = world_stats(world.report.out)
    assert stats.records == {k: n for k, n in world.report.records.items() if n}
    bounds = {"courier": (50, 300), "service": (60, 250), "clerk": (100, 500), "hub": (5, 40), "hq_support": (20, 200),
              "claims": (10, 80), "it": (0, 5)}  # fmt: skip
    for role, (low, high) in bounds.items():
        assert low * 0.5 <= stats.looks_a_day[role][1] <= high, (role, stats.looks_a_day[role])


def test_parcels_have_eight_to_twelve_scans(world: Any) -> None:
    mean = world.one(
        """select avg(n) from (select waybill, count(*) as n from records where kind = 'scan' group by 1
           having bool_or(status = 'ordered') and bool_or(status = 'signed'))"""
    )
    assert 8 <= mean <= 12


@given(st.integers(0, 50), st.integers(-4, 6))
def test_lives_go_forward(seed: int, day: int) -> None:
    settings_ = WorldSettings(seed, 7, 4, 0.2)
    places = build_places(settings_)
    life = live(settings_, places, build_staff(settings_, places), day)
    assert len(set(life.parcels["waybill"].tolist())) == len(life.parcels)
    assert (life.parcels["waybill"] % 10**5 % 200 != canary_place(200)).all()
    order = [EVENTS.index(e) for e in EVENTS if e != "rerouted"]
    at = life.at[:, order]
    for row in at:
        times = row[row != NO_TIME]
        assert (np.diff(times) >= 0).all()


def test_a_session_belongs_to_one_account_and_begins_with_a_login(world: Any) -> None:
    assert (
        world.one(
            "select max(n) from (select count(distinct account) as n from records where session is not null group by session)"
        )
        == 1
    )
    bare = world.one(
        """with s as (select session, min(time) filter (kind = 'login') as login, min(time) filter (kind <> 'login') as look,
             any_value(attack) as attack from (from records left join (select id, attack from looks) using (id))
             where session is not null group by 1)
           select count(*) from s where attack is null and (login is null or login > look)"""
    )
    assert bare == 0


# --- confusers --------------------------------------------------------------------------------------------------------


def test_all_confusers_are_there_and_labelled(world: Any) -> None:
    labels = {r[0] for r in world.rows("select distinct honest_confuser from looks where honest_confuser is not null")}
    labels |= {r[0] for r in world.rows("select distinct unnest(honest_confusers) from people")}
    assert labels >= {
        "surge", "cover", "merger", "new_hire", "new_handset", "night_shift", "batch_clearing", "repeat", "late_scan",
        "feed_down", "ticket_unnamed", "forgot_ticket", "misread", "roster_gap", "shared_number", "leaver", "temp",
    }  # fmt: skip
    assert world.one("select count(*) from looks where wrongful and honest_confuser is not null") == 0


def test_the_plain_world_has_none(tmp_path: Path) -> None:
    report = build_world(tmp_path, seed=2, honest_stress=HonestStress.none(), **{**QUIET, "days": 7})
    truth = pq.read_table(report.out / "truth" / "looks.parquet")
    assert truth["honest_confuser"].null_count == truth.num_rows == report.looks
    assert all(
        not row for row in pq.read_table(report.out / "truth" / "accounts.parquet")["honest_confusers"].to_pylist()
    )


SWITCHES = {
    "surge": ("surge", 1.0), "cover": ("cover", 0.0), "repeat": ("repeat", 0.0), "late_scan": ("late_scan", 0.0),
    "feed_down": ("feed_down", 0.0), "batch_clearing": ("batch_clearing", 0.0), "ticket_unnamed": ("ticket_unnamed", 0.0),
    "misread": ("no_reason", 0.0), "new_handset": ("new_handset", 0.0), "temp": ("temp", 0.0),
    "merger": ("merger", 0.0), "new_hire": ("new_hire", 0.0), "night_shift": ("night_shift", 0.0),
    "roster_gap": ("roster_late", 0.0), "shared_number": ("shared_number", 0.0),
}  # fmt: skip


@pytest.mark.parametrize("label", ["surge", "repeat", "late_scan", "misread"])
def test_each_switch_silences_its_label(tmp_path: Path, label: str) -> None:
    name, off = SWITCHES[label]
    assert name in {f.name for f in fields(HonestStress)}
    report = build_world(tmp_path, seed=2, honest_stress=HonestStress(**{name: off}), **{**QUIET, "days": 7})
    assert label not in pq.read_table(report.out / "truth" / "looks.parquet")["honest_confuser"].to_pylist()


def test_late_scans_carry_received_and_an_outage_ends_in_a_burst(world: Any) -> None:
    late = world.one("select avg((received is not null)::int) from records where kind = 'scan'")
    assert 0.01 < late < 0.08
    assert world.one("select count(*) from records where received < time") == 0
    assert world.one("select count(*) from records where received is not null and kind <> 'scan'") == 0
    # A quarter of an hour after an outage holds what hours held back.
    assert world.one("select max(n) from (select count(*) as n from records where received is not null "
                     "group by outlet, received // 900000)") > 30  # fmt: skip


def test_leavers_are_silent_afterwards_and_mergers_move_people(world: Any) -> None:
    ended = "select account, max(until) as last from accounts group by 1 having count(*) = count(until)"
    assert world.one(f"select count(*) from ({ended})") >= 1
    assert world.one(f"""select count(*) from looks l join ({ended}) e using (account) where not wrongful
                         and l.time >= epoch_ms(e.last::timestamp - interval 8 hour)""") == 0  # fmt: skip
    moved = "select account from accounts group by account having count(distinct outlet) > 1"
    assert world.one(f"select count(*) from ({moved})") >= 1


def test_roster_gaps_follow_their_rate(tmp_path: Path) -> None:
    stress = HonestStress(roster_missing=0.5)
    report = build_world(tmp_path, seed=2, honest_stress=stress, **QUIET)
    listed = len(
        {line.split(",")[0] for line in (tmp_path / "reference" / "accounts.csv").read_text().splitlines()[1:]}
    )
    assert 0.3 < listed / report.accounts < 0.7


def test_slips_have_the_stated_mean_and_spread() -> None:
    settings_ = WorldSettings(1, 7, 400, 0.5)
    staff = build_staff(settings_, build_places(settings_))
    able = np.isin(staff.role, SLIP_ROLES)
    days = np.stack([slip_chance(settings_, staff, day)[able] for day in range(20)])
    mean, rho = settings_.stress.no_reason, settings_.stress.no_reason_rho
    assert days.mean() == pytest.approx(mean, rel=0.15)
    assert days.var() / (mean * (1 - mean)) == pytest.approx(rho, rel=0.4)
    assert np.corrcoef(days[0], days[1])[0, 1] > 0.2  # the person, not only the day
    assert (slip_chance(settings_, staff, 0)[~able] == 0).all()


# --- canaries and refusals --------------------------------------------------------------------------------------------


def test_no_honest_look_and_no_parcel_touches_a_canary(world: Any) -> None:
    bills = "select waybill from canaries where waybill is not null"
    people = "select subject from canaries where subject is not null"
    assert world.one(f"select count(*) from ({bills})") > 20
    assert world.one(f"select count(*) from looks where not wrongful and waybill in ({bills})") == 0
    assert world.one(f"select count(*) from records where kind = 'scan' and waybill in ({bills})") == 0
    assert (
        world.one(
            f"select count(*) from (select unnest(subjects) as s from looks where not wrongful) where s in ({people})"
        )
        == 0
    )
    assert world.one(f"select count(*) from looks where wrongful and waybill in ({bills})") > 0


@pytest.mark.parametrize(
    "wrong", [{"days": 0}, {"outlets": 2}, {"scale": 0.0}, {"format": "xml"}, {"outlets": 100_000}]
)
def test_figures_that_make_no_sense_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        build_world(tmp_path, seed=1, **{**QUIET, **wrong})


def test_the_first_day_is_the_one_asked_for(tmp_path: Path) -> None:
    report = build_world(tmp_path, seed=1, start=date(2026, 11, 10), **QUIET)
    assert [p.name for p in report.files] == ["2026-11-10.ndjson", "2026-11-11.ndjson"]


def test_generators_of_two_purposes_differ() -> None:
    draws = {rng_for(1, purpose, n).integers(0, 2**60) for purpose in ("a", "b") for n in (-1, 0, 1)}
    assert len(draws) == 6
