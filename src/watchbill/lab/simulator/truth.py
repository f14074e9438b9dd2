"""What really happened: which looks were wrongful, which honest ones only look guilty, and what each account is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from watchbill.lab.simulator.places import FAR, Places
from watchbill.lab.simulator.rows import CONFUSERS, OPERATORS, Rows
from watchbill.lab.simulator.seeds import I64
from watchbill.lab.simulator.staff import EMPLOYMENT, ROLES, Staff

LOOK_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("account", pa.string()),
        pa.field("wrongful", pa.bool_(), nullable=False),
        pa.field("attack", pa.string()),
        pa.field("honest_confuser", pa.string()),
        pa.field("first", pa.bool_(), nullable=False),
        pa.field("operator", pa.string(), nullable=False),
    ]
)
"""`first`: an honest person's first look at that parcel (repeats, masked ones and robots' are not); `operator`: who sat there."""
SESSION_SCHEMA = pa.schema(
    [
        pa.field("session", pa.string(), nullable=False),
        pa.field("account", pa.string()),
        pa.field("operator", pa.string(), nullable=False),
        pa.field("attack", pa.string()),
        pa.field("looks", pa.int64(), nullable=False),
        pa.field("wrongful", pa.int64(), nullable=False),
        pa.field("from", pa.int64(), nullable=False),
        pa.field("until", pa.int64(), nullable=False),
    ]
)
"""One row a session with any look: who sat there, and how many of the looks were wrongful; [from, until) in epoch milliseconds."""


def look_truth(looks: Rows, ids: I64, accounts: list[str], attacks: list[str]) -> pa.Table:
    """Truth of the looks of one day (their rows and record numbers)."""
    attack = looks["attack"]
    confuser = np.where(attack >= 0, 0, looks["confuser"])
    record = pa.compute.binary_join_element_wise("e", pa.array(ids).cast(pa.string()), "")
    return pa.table(
        [
            record,
            pa.array(accounts, pa.string()).take(pa.array(looks["account"], mask=looks["account"] < 0)),
            pa.array(attack >= 0),
            pa.array(attacks or [""], pa.string()).take(pa.array(attack, mask=attack < 0)),
            pa.array(CONFUSERS, pa.string()).take(pa.array(confuser, mask=confuser == 0)),
            pa.array(looks["first"] > 0),
            pa.array(OPERATORS, pa.string()).take(pa.array(looks["operator"])),
        ],
        schema=LOOK_SCHEMA,
    )


def session_truth(looks: Rows, accounts: list[str], attacks: list[str], base: int) -> pa.Table:
    """Truth of the sessions of one day, from its looks; a session lies within a day."""
    looks = looks[looks["session"] >= 0]
    looks = looks[np.lexsort((looks["time"], looks["session"]))]
    start = np.flatnonzero(np.diff(looks["session"], prepend=-1))
    first, count = looks[start], np.diff(np.append(start, len(looks)))
    wrong = (looks["attack"] >= 0).astype(np.int64)
    attack = np.maximum.reduceat(looks["attack"], start) if len(start) else looks["attack"]
    last = looks["time"][start + count - 1] if len(start) else looks["time"]
    return pa.table(
        [
            pa.compute.binary_join_element_wise("s", pa.array(first["session"]).cast(pa.string()), ""),
            pa.array(accounts, pa.string()).take(pa.array(first["account"], mask=first["account"] < 0)),
            pa.array(OPERATORS, pa.string()).take(pa.array(first["operator"])),
            pa.array(attacks or [""], pa.string()).take(pa.array(attack, mask=attack < 0)),
            pa.array(count.astype(np.int64)),
            pa.array(np.add.reduceat(wrong, start) if len(start) else wrong),
            pa.array(first["time"] + base),
            pa.array(last + base + 1),
        ],
        schema=SESSION_SCHEMA,
    )


def write_accounts(path: Path, staff: Staff, places: Places, attacks: list[dict[str, Any]], ids: list[str]) -> None:
    """One row an account: what it is, what innocent thing applies to it, and the attack that it is in (or null).

    `outlet_size` counts the people of its place, `tenure_days` its age on the world's first day (negative: begins later);
    `unused` numbers have no owner at work.
    """
    kind: dict[str, str] = {a: attack["kind"] for attack in attacks for a in attack["accounts"]}
    labels = []
    helpers = {c[0] for c in staff.covers}
    for i in range(len(staff.ids)):
        facts = (
            ("new_hire", staff.hired[i] >= 0), ("leaver", staff.left[i] < FAR), ("temp", staff.employment[i] == 2),
            ("night_shift", staff.night[i]), ("new_handset", staff.handset_day[i] < FAR // 10**8 and not staff.reinstalled[i]),
            ("app_reinstall", staff.reinstalled[i]), ("travel", staff.travel_from[i] < FAR), ("vpn", staff.vpn[i]),
            ("shared_number", staff.shared[i]), ("cover", i in helpers), ("merger", places.merge_time[staff.outlet[i]] < FAR),
            ("long_leave", staff.away_from[i] < FAR),
            ("roster_gap", not staff.rostered[i] or staff.roster_from[i] > staff.hired[i]),
        )  # fmt: skip
        labels.append([name for name, holds in facts if holds])
    table = pa.table(
        {
            "account": ids,
            "role": [ROLES[r] for r in staff.role],
            "outlet": [places.ids[o] for o in staff.outlet],
            "outlet_size": staff.count.sum(axis=0)[staff.outlet],
            "tenure_days": -staff.hired,
            "employment": [EMPLOYMENT[e] for e in staff.employment],
            "unused": np.isin(np.arange(len(ids)), staff.spare),
            "wrongful": pa.array([a in kind for a in ids]),
            "attack": pa.array([kind.get(a) for a in ids], pa.string()),
            "honest_confusers": pa.array(labels, pa.list_(pa.string())),
        }
    )
    pq.write_table(table, path)


def write_attacks(path: Path, attacks: list[dict[str, Any]]) -> None:
    """The attacks as JSON, in the order of their numbers."""
    path.write_text(json.dumps(attacks, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
