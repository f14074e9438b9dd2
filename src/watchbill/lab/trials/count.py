"""From truth and outputs to counts: what each attack got, what each honest person met, what each alarm was worth.

Reads only files that the contract names (records, truth, verdicts, interventions, cases): the system under trial is a
black box here. A record is a look that showed somebody unmasked (an export: each row it returned); it was got when its
verdict was `allow`. Days are local; people's days count from the trial's first test day on.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np

from watchbill.responses.policy import STEPS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


ZONE_MS: Final = 28_800_000
DAY_MS: Final = 86_400_000
STOPPED: Final = ("step_up", "throttle", "deny")
ASKED: Final = ("mask", "ask_reason")
STEP_UP: Final = STEPS.index("step_up")
ROBOT: Final = "robot"
LEVELS: Final = ("ask_reason", "step_up", "throttle", "end_session", "suspend")
SIZES: Final = ((5, "up to 5 accounts"), (10, "6-10 accounts"), (10**9, "over 10 accounts"))
TENURES: Final = ((30, "under 30 days"), (365, "30 days to a year"), (10**9, "over a year"))
PERSON: Final = (
    "days", "days_stopped", "looks", "asked", "stopped", "first", "first_explained", "days_suspended", "days_ended", "cases",
    "cold_days", "cold_stopped",
)  # fmt: skip
"""Counts kept for each honest account."""


def truth_of(world: Path) -> list[dict[str, Any]]:
    """The attacks of a world."""
    attacks: list[dict[str, Any]] = json.loads((world / "truth" / "attacks.json").read_text(encoding="utf-8"))
    return attacks


def open_counts(
    world: Path, out: Path, test_from: int, start_ms: int, attacks: Sequence[Mapping[str, Any]]
) -> duckdb.DuckDBPyConnection:
    """A database with the tables looks (of accounts and of devices that look for themselves), people, steps and cases."""
    db = duckdb.connect()
    db.execute("set threads = 2")
    first_day = (start_ms + ZONE_MS) // DAY_MS
    records, truth = f"read_parquet('{world}/records/*.parquet')", f"'{world}/truth"
    db.execute(
        f"""create table people as
            select account, role, attack is not null as attacked, outlet_size as size, tenure_days + {test_from} as tenure
            from read_parquet({truth}/accounts.parquet')"""
    )
    db.execute(
        f"""create table looks as
            select v.seq, v.time, coalesce(v.account, 'device ' || r.device) as account, v.decision, v.explained, v.score,
                   t.wrongful, t.attack, t.first, t.operator, r.session, r.device, v.decision in {STOPPED} as halted,
                   v.decision in {ASKED} as asked, (v.time + {ZONE_MS}) // {DAY_MS} - {first_day} as day,
                   r.outcome is distinct from 'failure' and r.outcome is distinct from 'denied'
                     and not coalesce(r.masked, false) and len(r.subjects) > 0 as shown,
                   case when r.kind = 'export' then greatest(1, coalesce(r.results, 1)) else 1 end as records
            from read_parquet('{out}/verdicts.parquet') v
            join read_parquet({truth}/looks.parquet') t using (id)
            join (select id, outcome, masked, subjects, kind, results, session, device from {records}) r using (id)"""
    )
    _only_harvests(db, attacks)
    _load(db, "steps", _lines(out / "interventions.ndjson"), ("seq", "time", "account", "device", "step", "resumed"))
    _load(db, "cases", _lines(out / "cases.ndjson"), ("seq", "opened", "kind", "accounts", "devices"))
    db.execute(
        f"alter table steps add column day bigint default 0; update steps set day = (time + {ZONE_MS}) // {DAY_MS} - {first_day}"
    )
    db.execute(
        f"alter table cases add column day bigint default 0; update cases set day = (opened + {ZONE_MS}) // {DAY_MS} - {first_day}"
    )
    return db


def _only_harvests(db: duckdb.DuckDBPyConnection, attacks: Sequence[Mapping[str, Any]]) -> None:
    """What an attack looks at only to prepare its harvest is no record lost."""
    for attack in attacks:
        if attack.get("harvest_from"):
            db.execute(
                "update looks set records = 0 where wrongful and attack = ? and time < ?",
                [attack["id"], attack["harvest_from"]],
            )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


_TYPES: Final = {"seq": "bigint", "time": "bigint", "opened": "bigint", "accounts": "varchar[]", "devices": "varchar[]"}


def _load(db: duckdb.DuckDBPyConnection, name: str, rows: list[dict[str, Any]], columns: Sequence[str]) -> None:
    fields = ", ".join(f"{column} {_TYPES.get(column, 'varchar')}" for column in columns)
    db.execute(f"create table {name} ({fields})")
    if rows:
        marks = ", ".join("?" for _ in columns)
        db.executemany(f"insert into {name} values ({marks})", [[row.get(c) for c in columns] for row in rows])


def count_world(db: duckdb.DuckDBPyConnection, test_from: int, attacks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All counts of one world but the curve's and the calibration's (they need the trace)."""
    owners = """select count(*), count(*) filter (halted) from looks join people using (account)
                where not wrongful and attacked and shown"""
    return {
        "attacks": attacks_of(db, attacks), "people": people_of(db, test_from),
        "owners": _one(db, owners, ("looks", "stopped")), "alarms": alarms_of(db),
        "machines": _one(db, _MACHINES.format(day=test_from), ("cases", "steps")),
    }  # fmt: skip


_MACHINES: Final = f"""
with folk as (select account from people where role != '{ROBOT}')
select (select count(*) from cases where day >= {{day}} and (accounts[1] is null or accounts[1] not in (from folk))),
       (select count(*) from steps where day >= {{day}} and step in {STEPS[STEP_UP:]}
          and (account is null or account not in (from folk)))
"""
"""Cases, and steps of step_up or worse, on robots and on devices that look for themselves."""


def _one(db: duckdb.DuckDBPyConnection, sql: str, names: Sequence[str]) -> dict[str, int]:
    return {name: int(value or 0) for name, value in zip(names, db.execute(sql).fetchone() or (), strict=True)}


# --- attacks ----------------------------------------------------------------------------------------------------------

_GOT: Final = f"""
with stops as (
  select attack, account, min(seq) filter (decision != 'allow') as any_at, min(seq) filter (halted) as stop_at,
         min(seq) as begun
  from looks where wrongful group by all)
select l.attack,
       coalesce(sum(records) filter (shown and l.seq < coalesce(s.any_at, {2**62}) and decision = 'allow'), 0),
       coalesce(sum(records) filter (shown and l.seq < coalesce(s.stop_at, {2**62}) and decision = 'allow'), 0),
       coalesce(sum(records) filter (shown and decision = 'allow'), 0),
       coalesce(sum(records) filter (shown), 0),
       coalesce(sum(records) filter (shown and explained), 0),
       count(distinct l.account), count(distinct l.account) filter (s.stop_at is not null),
       count(distinct (l.account, day)), min(l.seq), min(time)
from looks l join stops s on s.attack = l.attack and s.account = l.account
where wrongful group by 1
"""
_GOT_NAMES: Final = (
    "before_any", "before_stop", "in_all", "shown", "explained", "accounts", "accounts_stopped", "account_days", "seq", "begun",
)  # fmt: skip


def attacks_of(db: duckdb.DuckDBPyConnection, truth: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row an attack (a ring of several accounts is one; each of its accounts is stopped for itself).

    An attack that made no look at all was not staged and has no row. A censored one (never stopped) counts all it got.
    """
    got = {row[0]: dict(zip(_GOT_NAMES, map(int, row[1:]), strict=True)) for row in db.execute(_GOT).fetchall()}
    rows = []
    for attack in truth:
        if attack["id"] not in got:
            continue
        row: dict[str, Any] = dict(got[attack["id"]])
        seq, begun = row.pop("seq"), row.pop("begun")
        first = list(attack["accounts"])[:1] or [""]
        who = db.execute("select role, size, tenure from people where account = ?", first).fetchone()
        found = found_by(db, attack, seq, begun)
        row |= {
            "id": attack["id"], "kind": attack["kind"], "found": bool(found), "found_by": found,
            "censored": row["accounts_stopped"] < row["accounts"], **_bands(who),
        }  # fmt: skip
        rows.append(row)
    return rows


def found_by(db: duckdb.DuckDBPyConnection, attack: Mapping[str, Any], seq: int, begun: int) -> list[str]:
    """How an attack came to light after its first record: a case on one of its accounts or devices, a step of step_up or worse.

    A device counts only where the case or the step is about devices, or the attack has no account: a shared PC in somebody
    else's case finds nobody.
    """
    accounts, devices = attack["accounts"], attack["devices"]
    case = db.execute(
        "select 1 from cases where opened >= ? and (list_has_any(accounts, ?) or "
        "((kind in ('device', 'ring') or len(coalesce(accounts, [])) = 0 or ?) and list_has_any(coalesce(devices, []), ?))) limit 1",
        [begun, accounts, not accounts, devices],
    ).fetchone()
    step = db.execute(
        f"select 1 from steps where seq >= ? and step in {STEPS[STEP_UP:]} and "
        "(list_contains(?, account) or list_contains(?, device)) limit 1",
        [seq, accounts, devices],
    ).fetchone()
    return [name for name, row in (("case", case), ("step", step)) if row]


def _bands(who: tuple[Any, ...] | None) -> dict[str, str]:
    """Role, outlet size and tenure, in words."""
    if who is None:
        return {"role": "device", "size": "", "tenure": ""}
    role, size, tenure = who
    return {"role": str(role), "size": band(SIZES, size), "tenure": band(TENURES, tenure)}


def band(bands: Sequence[tuple[int, str]], value: int) -> str:
    """The first band whose upper end the value does not pass."""
    return next(name for top, name in bands if value <= top)


# --- honest people ----------------------------------------------------------------------------------------------------


def people_of(db: duckdb.DuckDBPyConnection, test_from: int) -> dict[str, list[Any]]:
    """Columns: role, size, tenure and `PERSON`'s counts of each account that no attack touched, robots left out.

    A day is stopped when a look of it was, or when a step of step_up or worse was taken on it. Looks are those that
    showed somebody unmasked, or would have.
    """
    rows = db.execute(
        f"""with honest as (
              select * from people where not attacked and role != '{ROBOT}' and account in (select account from looks)
            ), days as (
              select account, day, count(*) filter (shown) as looks, count(*) filter (shown and asked) as asked,
                     count(*) filter (shown and halted) as stopped, bool_or(halted) as halted,
                     count(*) filter (first and shown) as firsts,
                     count(*) filter (first and shown and explained) as explained
              from looks where not wrongful group by all
            ), taken as (
              select account, day, bool_or(step in {STEPS[STEP_UP:]}) as up, bool_or(step = 'suspend') as suspend,
                     bool_or(step = 'end_session') as ended
              from steps where account is not null group by all
            ), both_ as (
              select account, day, looks, asked, stopped, firsts, explained, d.day is not null as seen,
                     coalesce(halted, false) or coalesce(up, false) as up, coalesce(suspend, false) as suspend,
                     coalesce(ended, false) as ended
              from days d full join taken t using (account, day)
            ), opened as (
              select account, count(*) as cases from (
                select unnest(accounts) as account from cases where day >= {test_from}
              ) group by 1
            )
            select role, size, tenure,
                   count(*) filter (day >= {test_from} and (seen or up)), count(*) filter (day >= {test_from} and up),
                   coalesce(sum(looks) filter (day >= {test_from}), 0), coalesce(sum(asked) filter (day >= {test_from}), 0),
                   coalesce(sum(stopped) filter (day >= {test_from}), 0),
                   coalesce(sum(firsts) filter (day >= {test_from}), 0),
                   coalesce(sum(explained) filter (day >= {test_from}), 0),
                   count(*) filter (day >= {test_from} and suspend), count(*) filter (day >= {test_from} and ended),
                   coalesce(any_value(cases), 0),
                   count(*) filter (day < {test_from} and (seen or up)), count(*) filter (day < {test_from} and up)
            from honest join both_ using (account) left join opened using (account)
            group by account, role, size, tenure order by account"""
    ).fetchall()
    out: dict[str, list[Any]] = {name: [] for name in ("role", "size", "tenure", *PERSON)}
    for row in rows:
        for name, value in (*_bands(row[:3]).items(), *zip(PERSON, map(int, row[3:]), strict=True)):
            out[name].append(value)
    return out


def alarms_of(db: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """False alarms by step (how often an honest account's standing rose to it or beyond), and the looks they came from.

    `looks` are honest first looks that showed somebody: those whose evidence the bound is about. All days count, since
    the bound knows no days of grace.
    """
    rows = db.execute(
        f"""select s.account, s.step, coalesce(s.resumed, 'false') = 'true' from steps s left join people p using (account)
            where s.account is not null and not coalesce(p.attacked, false) and coalesce(p.role, '') != '{ROBOT}'
            order by s.seq, s.rowid"""
    ).fetchall()
    before: dict[str, int] = {}
    out = dict.fromkeys(LEVELS, 0)
    for account, step, resumed in rows:
        new, old = STEPS.index(step), before.get(account, 0)
        for level in LEVELS:
            out[level] += old < STEPS.index(level) <= new and not resumed  # the old alarm again is no other one
        before[account] = new
    looks = f"""select count(*) from looks join people p using (account)
                where first and shown and not wrongful and not p.attacked and p.role != '{ROBOT}'"""
    return out | _one(db, looks, ("looks",))


def sums(people: dict[str, list[Any]], name: str) -> float:
    """Sum of one of `PERSON`'s counts."""
    return float(np.sum(people[name])) if people[name] else 0.0
