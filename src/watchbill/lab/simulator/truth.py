"""What really happened: which looks were wrongful, which honest ones only look guilty, and what each account is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from watchbill.lab.simulator.places import FAR, Places
from watchbill.lab.simulator.rows import CONFUSERS, Rows
from watchbill.lab.simulator.seeds import I64
from watchbill.lab.simulator.staff import ROLES, Staff

LOOK_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("account", pa.string()),
        pa.field("wrongful", pa.bool_(), nullable=False),
        pa.field("attack", pa.string()),
        pa.field("honest_confuser", pa.string()),
        pa.field("first", pa.bool_(), nullable=False),
    ]
)
"""`first`: an honest person's first look at that parcel (repeats, masked ones and robots' are not)."""


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
        ],
        schema=LOOK_SCHEMA,
    )


def write_accounts(path: Path, staff: Staff, places: Places, attacks: list[dict[str, Any]], ids: list[str]) -> None:
    """One row an account: role, outlet, what innocent thing applies to it, and the attack that it is in (or null)."""
    kind: dict[str, str] = {a: attack["kind"] for attack in attacks for a in attack["accounts"]}
    labels = []
    helpers = {c[0] for c in staff.covers}
    for i in range(len(staff.ids)):
        facts = (
            ("new_hire", staff.hired[i] >= 0), ("leaver", staff.left[i] < FAR), ("temp", staff.employment[i] == 2),
            ("night_shift", staff.night[i]), ("new_handset", staff.handset_day[i] < FAR // 10**8),
            ("shared_number", staff.shared[i]), ("cover", i in helpers), ("merger", places.merge_time[staff.outlet[i]] < FAR),
            ("roster_gap", not staff.rostered[i] or staff.roster_from[i] > staff.hired[i]),
        )  # fmt: skip
        labels.append([name for name, holds in facts if holds])
    table = pa.table(
        {
            "account": ids,
            "role": [ROLES[r] for r in staff.role],
            "outlet": [places.ids[o] for o in staff.outlet],
            "wrongful": pa.array([a in kind for a in ids]),
            "attack": pa.array([kind.get(a) for a in ids], pa.string()),
            "honest_confusers": pa.array(labels, pa.list_(pa.string())),
        }
    )
    pq.write_table(table, path)


def write_attacks(path: Path, attacks: list[dict[str, Any]]) -> None:
    """The attacks as JSON, in the order of their numbers."""
    path.write_text(json.dumps(attacks, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
