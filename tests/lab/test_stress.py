from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.lab.conftest import Built, open_world

from watchbill.core.errors import SettingsError
from watchbill.lab.attacks.base import load_attacks
from watchbill.lab.simulator.settings import SCENARIOS, HonestStress
from watchbill.lab.simulator.staging import spread_attacks
from watchbill.lab.simulator.world import build_world

HOURS = "(time // 3600000 + 8) % 24"
"""Local hour of a record."""


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made: dict[str, Built] = {}

    def build(name: str, **arguments: Any) -> Built:
        if name not in made:
            options: dict[str, Any] = {"seed": 11, "days": 6, "outlets": 8, "scale": 0.25, "attacks": (), **arguments}
            report = build_world(
                tmp_path_factory.mktemp(name), format="parquet", honest_stress=HonestStress.scenario(name), **options
            )
            made[name] = open_world(report)
        return made[name]

    return build


def share(built: Built, label: str) -> float:
    return float(
        built.one(
            f"select avg((honest_confuser = '{label}')::int) from (select coalesce(honest_confuser, '') as honest_confuser from looks)"
        )
    )


def test_a_scenario_changes_what_its_name_says_and_unknown_names_are_refused() -> None:
    usual = HonestStress()
    for name, stress in SCENARIOS.items():
        changed = [f.name for f in fields(HonestStress) if getattr(stress, f.name) != getattr(usual, f.name)]
        assert len(changed) == (0 if name == "usual" else len(changed)) <= 2
        assert HonestStress.scenario(name) is stress
    with pytest.raises(SettingsError, match="no such stress"):
        HonestStress.scenario("earthquake")


# --- what the honest stress does --------------------------------------------------------------------------------------


def test_a_feed_outage_lasts_a_day_and_ends_in_a_burst(scene: Any) -> None:
    built = scene("feed_outage_day")
    assert share(built, "feed_down") > 0.02
    held = "kind = 'scan' and received - time > 12 * 3600000"
    days = built.rows(
        f"select (time + 28800000) // 86400000, count(*) from records where {held} and {HOURS} < 10 group by 1 order by 2"
    )
    assert days[-1][1] > 100 > 10 * max(n for _, n in days[:-1])  # one day; a scan twelve hours late now and then


def test_clocks_are_wrong_by_minutes_and_the_log_says_when_it_came(scene: Any) -> None:
    built = scene("clock_skew", seed=13)
    ahead, behind = built.rows(
        "select count(*) filter (time > received), count(*) filter (received - time between 1 and 240000) from records where kind = 'scan'"
    )[0]
    assert ahead > 500 < behind
    assert built.one("select max(time - received) from records where kind = 'scan'") < 5 * 60_000
    assert share(built, "clock_skew") > 0.001


def test_a_reinstalled_app_has_a_new_device_id_that_no_table_lists(scene: Any) -> None:
    built = scene("app_reinstall")
    assert share(built, "app_reinstall") > 0.02
    unlisted = built.one(
        """select count(distinct account) from looks where honest_confuser = 'app_reinstall'
           and device not in (select device from devices)"""
    )
    assert unlisted >= 3


def test_returns_spike_for_two_days(scene: Any) -> None:
    many, usual = (
        built.one("select count(*) filter (status = 'refused') / count(*) filter (status = 'ordered') from records")
        for built in (scene("mass_return"), scene("usual"))
    )
    assert many > 5 * usual
    assert share(scene("mass_return"), "mass_return") > 0.05


def test_thirty_percent_temporary_staff_begin_in_one_week(tmp_path: Path) -> None:
    stress = HonestStress.scenario("temp_staff_week")
    built = open_world(
        build_world(
            tmp_path, seed=11, days=9, outlets=24, format="parquet", attacks=(), honest_stress=stress, scale=0.3
        )
    )
    first = built.rows(
        "select role, min(\"from\") from accounts where employment = 'temp' and \"from\" >= '2025-03-03' group by account, role"
    )
    couriers = built.one("select count(*) from people where role = 'courier' and not unused")
    assert 0.1 < len(first) / couriers < 0.35
    days = [date for _, date in first]
    assert np.ptp([int(d[-2:]) for d in days]) <= 9
    assert built.one("select count(*) from looks where honest_confuser in ('new_hire', 'temp')") > 500


def test_lost_tickets_leave_a_gap_of_hours(scene: Any) -> None:
    built = scene("tickets_lost")
    assert share(built, "tickets_lost") > 0.002
    hours = built.rows(
        f"select time // 3600000 as h, count(*) from records where kind = 'ticket' and state = 'open' and {HOURS} between 9 and 19 group by 1"
    )
    first, last = min(h for h, _ in hours), max(h for h, _ in hours)
    open_hours = {h for h in range(first, last + 1) if 9 <= (h + 8) % 24 <= 14}
    missing = sorted(open_hours - {h for h, _ in hours})
    assert any(set(range(h, h + 6)) <= set(missing) for h in missing)


def test_feeds_that_never_existed_are_silent_from_the_first_day(scene: Any) -> None:
    built = scene("feed_never_existed")
    assert share(built, "no_feed") > 0.01
    quiet = built.rows("""select outlet from records where kind = 'scan' and outlet in (select outlet from outlets where outlet[1] not in ('S', 'H'))
        group by 1 having count(*) filter (status = 'arrived') > 0 and count(*) filter (status = 'out_for_delivery') = 0""")  # fmt: skip
    assert quiet
    named = built.one("""select count(*) from looks l where l.ticket is not null and honest_confuser = 'no_feed'""")
    assert named == 0


def test_travellers_come_from_another_city_and_others_by_vpn(scene: Any) -> None:
    built = scene("travel_and_vpn", seed=13, outlets=14)
    assert share(built, "travel") > 0.001 < share(built, "vpn")
    assert built.one("select count(*) from looks where honest_confuser = 'vpn' and not starts_with(ip, '10.66.')") == 0
    places = built.rows("""select distinct o.city, n.place from looks l join people p using (account) join outlets o on o.outlet = p.outlet
        join networks n on n.kind = 'mobile' and split_part(n.network, '.', 2) = split_part(l.ip, '.', 2)
        where l.honest_confuser = 'travel'""")  # fmt: skip
    assert places
    assert all(home != away for home, away in places)


# --- what the honest world has ----------------------------------------------------------------------------------------


def test_scanners_read_only_what_they_scan_within_seconds(scene: Any) -> None:
    built = scene("usual")
    assert built.one("select count(*) from looks where account is null") > 100
    stray = built.one("""select count(*) from looks l where account is null and not exists (select 1 from records s
        where s.kind = 'scan' and s.device = l.device and s.waybill = l.waybill and abs(s.time - l.time) < 10000)""")
    assert stray == 0
    assert built.one("select count(distinct app) from looks where account is null") == 2


def test_label_pcs_are_shared_and_registered(scene: Any) -> None:
    built = scene("usual")
    shared = built.rows(
        """select device, count(distinct account) from looks where device like 'PC-%-LABEL' group by 1"""
    )
    assert max(n for _, n in shared) >= 3
    assert (
        built.one(
            "select count(*) from looks where device like 'PC-%-LABEL' and device not in (select device from devices where shared = 'true')"
        )
        == 0
    )


def test_robots_keep_their_own_hosts_and_fields(scene: Any) -> None:
    rows = scene("usual").rows("""select account, count(distinct device), count(distinct ip), count(distinct fields) from looks
        join people using (account) where role = 'robot' group by 1""")  # fmt: skip
    assert len(rows) == 2
    assert all(row[1:] == (1, 1, 1) for row in rows)


def test_honest_lists_are_exported_by_those_whose_work_they_are(scene: Any) -> None:
    built = scene("usual")
    roles = {
        r for (r,) in built.rows("select distinct role from looks join people using (account) where kind = 'export'")
    }
    assert roles >= {"service", "claims"}
    strange = built.one("""select count(*) from looks l join people p using (account) where kind = 'export' and role = 'service' and time - 1 <
        coalesce((select min(time) from records s where s.kind = 'scan' and s.waybill = l.waybill and s.outlet = p.outlet and s.status = 'arrived'), 9e15)""")  # fmt: skip
    assert strange == 0
    assert (
        built.one(
            "select max(n) from (select count(*) as n from looks where kind = 'export' group by account, time // 600000)"
        )
        > 15
    )


def test_clicks_have_a_human_rhythm(scene: Any) -> None:
    gaps = scene("usual").rows("""select account, gap from (select account, time - lag(time) over (partition by account order by time) as gap
        from looks where account in (select account from people where role in ('courier', 'service', 'clerk')) and kind <> 'export')
        where gap < 300000""")  # fmt: skip
    by_person: dict[str, list[int]] = {}
    for account, gap in gaps:
        by_person.setdefault(account, []).append(gap)
    medians = [np.median(g) for g in by_person.values() if len(g) > 100]
    assert np.quantile([g for _, g in gaps], 0.01) > 200  # no two clicks in one moment
    assert np.std(np.log(medians)) > 0.15  # each at his own tempo
    logs = np.log([g for _, g in gaps])
    assert logs.std() > 0.9  # heavy tails, no metronome


def test_work_lies_within_the_shifts_but_for_overtime(scene: Any) -> None:
    built = scene("usual")
    built.db.execute(f"""create or replace view shifts as select account, epoch_ms("from"::timestamptz) as f, epoch_ms(until::timestamptz) as u
        from read_csv('{built.report.out}/reference/shifts.csv', all_varchar = true)""")
    off, late = (
        built.rows("""select avg((not inside)::int), count(*) filter (honest_confuser = 'overtime' and inside) from (
        select honest_confuser, exists (select 1 from shifts s where s.account = l.account and l.time >= f and l.time < u) as inside
        from looks l where account is not null)""")[0]
    )
    assert 0 < off < 0.02
    assert late == 0


def test_orders_follow_the_week(tmp_path: Path) -> None:
    built = open_world(
        build_world(
            tmp_path,
            seed=1,
            days=14,
            outlets=6,
            scale=0.3,
            attacks=(),
            format="parquet",
            honest_stress=HonestStress.none(),
        )
    )
    days = [
        n
        for _, n in built.rows(
            "select (time + 28800000) // 86400000 as day, count(*) from records where status = 'ordered' group by 1 order by 1"
        )
    ]
    assert days[0] > days[6] < days[7] > days[13]


def test_the_truth_holds_what_a_trial_asks_of_accounts(scene: Any) -> None:
    built = scene("usual")
    assert built.one("select count(*) from people where outlet_size < 1 or employment is null") == 0
    young, old = built.rows(
        "select count(*) filter (tenure_days < 365), count(*) filter (tenure_days > 1095) from people"
    )[0]
    assert young > 5 < old
    assert built.one("select count(*) from sessions where operator <> 'owner' or wrongful > 0") == 0
    assert built.one("select sum(looks) from sessions") == built.one(
        "select count(*) from looks where session is not null"
    )


def test_all_attacks_fit_into_one_world(tmp_path: Path) -> None:
    kinds = list(load_attacks())
    report = build_world(
        tmp_path, seed=12, days=8, outlets=20, scale=0.3, attacks=spread_attacks(8, kinds), format="parquet"
    )
    assert [a["kind"] for a in report.attacks] == kinds
    assert all(a["looks"] > 0 for a in report.attacks), [a["kind"] for a in report.attacks if not a["looks"]]
    taken = [a for attack in report.attacks for a in attack["accounts"]]
    assert len(taken) == len(set(taken))
