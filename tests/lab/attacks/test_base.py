from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from watchbill.core.errors import SettingsError
from watchbill.lab.attacks.base import FIRST_DAY, Attack, AttackSpec, View, load_attacks, paced, pick_accounts
from watchbill.lab.simulator.parcels import canary_place, live
from watchbill.lab.simulator.places import build_places
from watchbill.lab.simulator.seeds import rng_for
from watchbill.lab.simulator.settings import WorldSettings
from watchbill.lab.simulator.staff import SERVICE, build_staff, build_terminals
from watchbill.lab.simulator.staging import DEFAULT_ATTACKS, default_attacks, spread_attacks
from watchbill.lab.simulator.world import build_world

KINDS = {
    "blatant_lease", "bulk_downloader", "collusion", "concurrent_owner", "device_ring", "dormant_return", "fresh_parcels",
    "greedy_export", "half_explained", "leaver_device", "leaver_reuse", "list_decryption", "low_and_slow", "mimic",
    "new_account_harvest", "numbers_in_turn", "outlet_harvest", "partitioned_ring", "poisoner", "proxy_same_city",
    "remote_control", "scanner_malware", "service_abuse", "slow_sixty", "trojan_label_pc", "vip_snoop",
}  # fmt: skip
DROP_IN = """
import numpy as np
from watchbill.lab.attacks.base import Attack, clock, pick_accounts, steal

def choose(view, spec, first, last, taken, rng):
    return pick_accounts(view, spec, (first, last), taken, rng)

def generate(view, plan, rng):
    parcels = view.pool[:3]
    time = clock(view.day, 3) + np.arange(3) * 1000
    return steal(parcels, time, account=plan.accounts[0], device=view.device("X"), ip=0, session=7, what="export", app="admin")

ATTACK = Attack(summary="three records at night", generate=generate, choose=choose)
"""


@pytest.fixture(scope="module")
def view() -> View:
    settings = WorldSettings(1, 8, 9, 0.3)
    places = build_places(settings)
    staff = build_staff(settings, places)
    parcels = np.concatenate([live(settings, places, staff, day).parcels for day in (0, 1)])
    pool = parcels[np.argsort(parcels["waybill"])]
    return View(settings, places, staff, build_terminals(settings, places, staff), 2, pool, pool[:0])


def test_the_folder_is_the_registry() -> None:
    assert set(load_attacks()) == KINDS
    assert all(isinstance(a, Attack) and a.summary.endswith(".") for a in load_attacks().values())


def test_an_attack_drops_in_from_a_folder_outside(tmp_path: Path, stage: Callable[..., Any]) -> None:
    (tmp_path / "night_shift_theft.py").write_text(DROP_IN, encoding="utf-8")
    built = stage(AttackSpec("night_shift_theft", day=2), extra_attacks=tmp_path)
    assert built.report.wrongful == 3
    assert built.rows("select distinct kind, attack, app from looks where wrongful") == [
        ("export", "night_shift_theft-0", "admin")
    ]


def test_a_file_without_an_attack_and_a_name_taken_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty_one.py").write_text("", encoding="utf-8")
    with pytest.raises(SettingsError, match="ATTACK"):
        load_attacks(tmp_path)
    (tmp_path / "empty_one.py").rename(tmp_path / "low_and_slow.py")
    with pytest.raises(SettingsError, match="two attacks"):
        load_attacks(tmp_path)


def test_default_attacks_come_after_history() -> None:
    for days in (7, 8, 14, 30):
        specs = default_attacks(WorldSettings(1, days, 12))
        assert {s.kind for s in specs} == set(DEFAULT_ATTACKS)
        assert all(s.day is not None and FIRST_DAY <= s.day < days for s in specs)
    assert default_attacks(WorldSettings(1, 6, 12)) == []
    every = spread_attacks(14, sorted(KINDS))
    assert [s.kind for s in every] == sorted(KINDS)
    assert all(FIRST_DAY <= (s.day or 0) < 14 for s in every)


def test_no_wrongful_look_before_history(world: Any) -> None:
    first = world.one("select min(time) from records")
    assert world.one("select min(time) from looks where wrongful") - first >= (FIRST_DAY - 0.1) * 86_400_000


@pytest.mark.parametrize(
    "spec",
    [
        AttackSpec("teleport"),
        AttackSpec("low_and_slow", day=9),
        AttackSpec("low_and_slow", day=1, params={"speed": 3}),
        AttackSpec("low_and_slow", day=1, accounts=("nobody",)),
    ],
)
def test_specifications_that_make_no_sense_are_refused(tmp_path: Path, spec: AttackSpec) -> None:
    with pytest.raises(SettingsError):
        build_world(tmp_path, seed=1, days=3, outlets=4, scale=0.2, attacks=[spec])


def test_accounts_and_intensity_are_obeyed(stage: Callable[..., Any]) -> None:
    quiet = stage()
    account = quiet.one("select account from people where role = 'courier' order by account limit 1")
    looks = []
    for intensity in (1.0, 3.0):
        built = stage(AttackSpec("low_and_slow", accounts=(account,), day=2, days=2, intensity=intensity))
        assert {r[0] for r in built.rows("select distinct account from looks where wrongful")} == {account}
        looks.append(built.report.wrongful)
    assert 2 < looks[1] / looks[0] < 4


def test_two_attacks_take_two_accounts(stage: Callable[..., Any]) -> None:
    built = stage(*(AttackSpec("blatant_lease", day=2) for _ in range(4)))
    assert len({a for attack in built.report.attacks for a in attack["accounts"]}) == 4
    assert len({d for attack in built.report.attacks for d in attack["devices"]}) == 4


def test_picking_prefers_different_outlets(view: View) -> None:
    chosen = pick_accounts(view, AttackSpec("x"), (3, 4), set(), rng_for(1, "t"), n=5)
    assert len({int(view.staff.outlet[i]) for i in chosen}) == 5
    again = pick_accounts(view, AttackSpec("x"), (3, 4), set(chosen), rng_for(1, "t"), n=5)
    assert not set(chosen) & set(again)
    everybody = set(np.flatnonzero(view.staff.role == SERVICE).tolist())
    with pytest.raises(SettingsError, match="free"):
        pick_accounts(view, AttackSpec("x"), (3, 4), everybody, rng_for(1, "t"), role=SERVICE)


def test_walking_numbers_finds_parcels_canaries_and_nothing(view: View) -> None:
    first = int(view.pool["waybill"][0])
    numbers, parcels = view.numbers_from(first, 99_000)
    assert (np.diff(numbers) == 1).all()
    real = np.isin(numbers, view.pool["waybill"])
    canary = (parcels["recipient"] > 0) & ~real
    every = view.settings.rates.canary_every
    assert set((numbers[canary] % 10**5 % every).tolist()) <= {canary_place(every)}
    assert real.sum() > canary.sum() > 0
    assert (parcels["recipient"][~real & ~canary] == 0).all()
    assert (parcels["recipient"][real] == view.pool["recipient"][: real.sum()]).all()


def test_the_attackers_terminal_is_far_away(view: View) -> None:
    for outlet in range(view.settings.outlets):
        for pick in range(6):
            assert view.far_city(outlet, pick) != view.places.city[outlet]


def test_paced_times_go_forward_at_the_given_gap() -> None:
    times = paced(1000, 4000, 5.0, rng_for(1, "pace"))
    assert (np.diff(times) > 0).all()
    assert float(np.median(np.diff(times))) == pytest.approx(5000, rel=0.1)


@pytest.mark.parametrize("kind", ["blatant_lease", "list_decryption", "low_and_slow", "leaver_reuse"])
def test_half_of_an_attack_can_be_at_the_own_outlets_parcels(stage: Callable[..., Any], kind: str) -> None:
    built = stage(AttackSpec(kind, day=2, params={"own_outlet": 0.5}))
    account = built.report.attacks[0]["accounts"][0]
    own = built.one(f"select max(outlet) from accounts where account = '{account}'")
    number = int(own[2:])
    mine = built.one(f"""select avg((substr(subjects[1], 3, 5)::int = {number})::int) from looks
                         where wrongful and outcome = 'success'""")  # fmt: skip
    assert 0.4 < mine < 0.75
