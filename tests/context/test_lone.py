from __future__ import annotations

from typing import Any

import numpy as np

from watchbill.context.interning import Interner
from watchbill.context.lone import AT, DEVICE_MARK, HOMELESS, STRANGE, account_key, device_key, device_of, lone_looks
from watchbill.core.hashing import hash_text
from watchbill.core.tables import Table64
from watchbill.records.columns import columns_of
from watchbill.records.schema import SCHEMA


def columns(rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    full = [{"source": "t", "id": str(n), "time": 1, "arrival": 1, "kind": "view"} | row for n, row in enumerate(rows)]
    return columns_of(pa.Table.from_pylist(full, schema=SCHEMA), 0)


def test_names_and_keys_of_devices_never_meet_those_of_accounts() -> None:
    assert device_of(DEVICE_MARK + "HS1") == "HS1"
    assert device_of("HS1") == ""
    assert account_key("HS1") == hash_text("HS1")
    assert account_key(DEVICE_MARK + "HS1") == int(device_key(np.uint64(hash_text("HS1"))))
    assert account_key(DEVICE_MARK + "HS1") != account_key("HS1")


def test_only_looks_without_an_account_are_the_devices_own() -> None:
    devices = Table64()
    known = np.array([hash_text("home"), hash_text("loose")], np.uint64)
    devices.put(known, np.array([4 * 16 + 6, -1 * 16 + 6], np.int64))
    c = columns(
        [
            {"device": "home"}, {"device": "loose"}, {"device": "new"}, {"device": "home", "account": "a"},
            {"device": "home", "kind": "scan", "waybill": "w"}, {"account": "a"},
        ]
    )  # fmt: skip
    accounts = Interner("accounts", 99, account_key)
    keys, codes, new = lone_looks(c, accounts, devices, 9, registry=True)
    assert codes.tolist() == [4 + AT, HOMELESS, STRANGE, 0, 0, 0]
    assert new == 3
    assert keys[3:].tolist() == [hash_text("a"), 0, hash_text("a")]
    assert keys[0] == account_key(DEVICE_MARK + "home")
    assert lone_looks(c, accounts, devices, 9, registry=False)[1].tolist()[2] == HOMELESS


def test_past_the_limit_devices_are_left_out_and_counted_and_known_ones_stay() -> None:
    accounts = Interner("accounts", 99, account_key)
    accounts.add(DEVICE_MARK + "old")
    keys, _, new = lone_looks(
        columns([{"device": name} for name in ("x", "old", "y", "x", "z", "y")]), accounts, Table64(), 1, registry=True
    )
    assert new == 1
    assert (keys != 0).tolist() == [True, True, False, True, False, False]
    assert accounts.left_out == 3
