"""What ties accounts: an unregistered device, a home line; nothing that honest people share."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from watchbill.context.events import EVENT, LOGIN, LOOK
from watchbill.context.networks import KINDS
from watchbill.detectors.base import Surroundings
from watchbill.records.columns import Columns
from watchbill.runners.tied import used

AROUND = Surroundings()
AROUND.registered = np.array([7], np.uint64)
AROUND.place_kind = np.array([KINDS[name] for name in ("office", "mobile", "broadband", "datacentre", "vpn")], np.uint8)
TEXTS = cast("Columns", SimpleNamespace(text=lambda column, _row: {"device": "D1", "ip": "1.2.3.4"}[column]))


def event(**more: Any) -> np.void:
    row = np.zeros(1, EVENT)
    for name, value in ({"kind": LOOK, "device": 9, "address": 5, "place": 2} | more).items():
        row[name] = value
    return cast("np.void", row[0])


@pytest.mark.parametrize(
    ("more", "devices", "lines"),
    [
        ({}, ("D1",), ("1.2.3.4",)),
        ({"place": 3}, ("D1",), ("1.2.3.4",)),
        ({"place": 0}, ("D1",), ()),
        ({"place": 1}, ("D1",), ()),
        ({"place": 4}, ("D1",), ()),
        ({"place": -1}, ("D1",), ()),
        ({"device": 7}, (), ("1.2.3.4",)),
        ({"device": 0, "address": 0}, (), ()),
        ({"lone": 1}, (), ()),
        ({"kind": LOGIN}, (), ()),
    ],
)
def test_used(more: dict[str, Any], devices: tuple[str, ...], lines: tuple[str, ...]) -> None:
    assert used(event(**more), TEXTS, AROUND) == (devices, lines)
