"""Detection on worlds of the lab that nobody tuned on: records got before a stop, honest people interrupted, looks explained.

Bias: the attackers do not react (they go on as if nothing had happened) and the carrier does not obey (verdicts are counted, the
records stay as they are), so what is counted after a stop is what a verdict would have refused. A renter's look counts as got when
it found somebody, unmasked, and its verdict was `allow`. `stopped` = the first verdict of step_up or worse; `in all` also counts
what was allowed afterwards (steps lapse). Intervals are of Wilson (shares) or by bootstrap over attacks (medians).
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from common import CACHE, child, say, total, world
from seeds import judged

BULK = ("blatant_lease", "list_decryption", "device_ring", "leaver_reuse")
LIMITS = dict.fromkeys(BULK, 50) | {"low_and_slow": 150}
CARRIER_ACCOUNTS = 400_000
STOPPED = "('step_up', 'throttle', 'deny')"


def one(place: Path) -> dict[str, Any]:
    """Replay one world in this process and count."""
    from watchbill.core.settings import Settings
    from watchbill.runners.local import replay
    from watchbill.sources.base import open_source

    folder = Path(tempfile.mkdtemp(dir=CACHE))
    try:
        source = open_source("files", {"kind": "files", "paths": [str(place / "records")]})
        replay([source], folder / "home", folder / "out", Settings(), reference=place / "reference")
        return count(place, folder / "out" / "verdicts.parquet")
    finally:
        shutil.rmtree(folder)


def count(place: Path, verdicts: Path) -> dict[str, Any]:
    """The figures of one world."""
    db = duckdb.connect()
    db.execute("set threads = 2")
    shown = "outcome is distinct from 'failure' and outcome is distinct from 'denied' and not coalesce(masked, false)"
    db.execute(
        f"""create table looks as
            select v.seq, v.account, v.decision, v.explained, t.wrongful, t.attack, t.first, r.shown,
                   (v.time + 28800000) // 86400000 as day, a.attack is not null as attacked
            from read_parquet('{verdicts}') v
            join read_parquet('{place}/truth/looks.parquet') t using (id)
            join (select id, {shown} and len(subjects) > 0 as shown from read_parquet('{place}/records/*.parquet')) r using (id)
            join read_parquet('{place}/truth/accounts.parquet') a on a.account = v.account"""
    )
    return {"attacks": attacks_of(db), "honest": honest_of(db)}


def attacks_of(db: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """One row an attack (a ring of several accounts is one attack; each account is stopped for itself)."""
    rows = db.execute(
        f"""with stops as (
                select attack, account, min(seq) filter (decision != 'allow') as any_at,
                       min(seq) filter (decision in {STOPPED}) as stop_at
                from looks where wrongful and shown group by all)
            select l.attack,
                   count(*) filter (l.shown and l.seq < coalesce(s.any_at, 9e18) and l.decision = 'allow'),
                   count(*) filter (l.shown and l.seq < coalesce(s.stop_at, 9e18) and l.decision = 'allow'),
                   count(*) filter (l.shown and l.decision = 'allow'),
                   count(*) filter (l.shown), count(distinct l.account),
                   count(distinct l.account) filter (s.stop_at is not null)
            from looks l left join stops s on s.attack = l.attack and s.account = l.account
            where l.wrongful group by 1 order by 1"""
    ).fetchall()
    names = ("attack", "before_any", "before_stop", "in_all", "shown", "accounts", "accounts_stopped")
    return [dict(zip(names, row, strict=True)) for row in rows]


def honest_of(db: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Counts over honest accounts (those under attack left out; their owners' looks apart)."""
    sql = f"""select count(distinct (account, day)), count(distinct (account, day)) filter (decision in {STOPPED}),
                     count(distinct account) filter (decision in {STOPPED}),
                     count(*), count(*) filter (decision in ('mask', 'ask_reason')), count(*) filter (decision in {STOPPED}),
                     count(*) filter (first and shown), count(*) filter (first and shown and explained)
              from looks where not wrongful and not attacked"""
    names = (
        "days",
        "days_stopped",
        "people_stopped",
        "looks",
        "looks_asked",
        "looks_stopped",
        "first",
        "first_explained",
    )
    out = dict(zip(names, db.execute(sql).fetchone() or (), strict=True))
    owners = f"select count(*), count(*) filter (decision in {STOPPED}) from looks where not wrongful and attacked"
    out["owner_looks"], out["owner_stopped"] = db.execute(owners).fetchone() or (0, 0)
    chance = (
        "select count(*) filter (wrongful and shown), count(*) filter (wrongful and shown and explained) from looks"
    )
    out["wrongful"], out["wrongful_explained"] = db.execute(chance).fetchone() or (0, 0)
    return {name: int(value) for name, value in out.items()}


def wilson(hits: int, n: int) -> str:
    """A share in per cent with its 95 % interval."""
    if n == 0:
        return "-"
    p, z = hits / n, 1.96
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return f"{100 * p:.3f} % ({100 * max(0.0, middle - half):.3f}-{100 * (middle + half):.3f})"


def spread(values: list[int]) -> str:
    """Median and 90 % of attacks, with the bootstrap interval of the median."""
    if not values:
        return "-"
    rng, numbers = np.random.default_rng(1), np.array(values)
    again = np.median(rng.choice(numbers, (2000, numbers.shape[0])), axis=1)
    low, high = np.quantile(again, [0.025, 0.975])
    return f"{np.median(numbers):.0f} ({low:.0f}-{high:.0f}) / {np.quantile(numbers, 0.9):.0f}"


def report(worlds: list[dict[str, Any]], what: str) -> None:
    """Both tables."""
    attacks = [attack for one_ in worlds for attack in one_["attacks"]]
    rows = []
    for kind, limit in LIMITS.items():
        mine = [attack for attack in attacks if attack["attack"].rsplit("-", 1)[0] == kind]
        if not mine:
            continue
        stopped = f"{sum(a['accounts_stopped'] for a in mine)} of {sum(a['accounts'] for a in mine)}"
        within = sum(a["before_stop"] <= limit and a["accounts_stopped"] == a["accounts"] for a in mine)
        columns = [
            spread([attack[name] for attack in mine]) for name in ("before_any", "before_stop", "in_all", "shown")
        ]
        rows.append([kind, len(mine), stopped, *columns, limit, f"{within} of {len(mine)}"])
    head = [
        "attack",
        "staged",
        "accounts stopped",
        "before any answer but allow",
        "before stop",
        "got in all",
        "unwatched",
        "limit",
        "within",
    ]
    say(f"Records got, median (95 %) / 90 % of attacks; {what}", head, rows)
    sums = {name: sum(one_["honest"][name] for one_ in worlds) for name in worlds[0]["honest"]}
    daily = sums["days_stopped"] / max(1, sums["days"])
    rows = [
        ["honest account-days with step_up or worse", wilson(sums["days_stopped"], sums["days"]), "0.200 %",
         f"{daily * CARRIER_ACCOUNTS:,.0f} people a day; {sums['people_stopped']} people in {sums['days']:,} account-days"],
        ["honest looks masked or asked for a reason", wilson(sums["looks_asked"], sums["looks"]), "1 %", f"{sums['looks']:,} looks"],
        ["honest looks stopped", wilson(sums["looks_stopped"], sums["looks"]), "", ""],
        ["honest first unmasked looks explained", wilson(sums["first_explained"], sums["first"]), "at least 97 %", f"{sums['first']:,} looks"],
        ["looks of attacked accounts' owners stopped", wilson(sums["owner_stopped"], sums["owner_looks"]), "", f"{sums['owner_looks']:,} looks"],
        ["wrongful looks explained", wilson(sums["wrongful_explained"], sums["wrongful"]), "", "by chance, and own outlet's parcels"],
    ]  # fmt: skip
    say(f"Honest people; {what}", ["", "measured (95 %)", "limit", f"at {CARRIER_ACCOUNTS:,} accounts"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="2001-2010")
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--outlets", type=int, default=30)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--keep-worlds", action="store_true")
    parser.add_argument("--inner", type=Path)
    given = parser.parse_args()
    if given.inner:
        print(json.dumps(one(given.inner)))
        return
    first, _, last = given.seeds.partition("-")
    worlds, records = [], 0
    for seed in judged(range(int(first), int(last or first) + 1)):
        place = world(seed=seed, days=given.days, outlets=given.outlets, form="parquet", scale=given.scale)
        records += total(place)
        worlds.append(child(__file__, "--inner", str(place)))
        if not given.keep_worlds:
            shutil.rmtree(place)
    what = (
        f"seeds {given.seeds}, {given.outlets} outlets, {given.days} days, scale {given.scale:g}, {records:,} records"
    )
    report(worlds, what)


if __name__ == "__main__":
    main()
