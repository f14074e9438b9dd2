"""By what a look may tie its account to others: an unregistered device, a home line or a data centre's address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from watchbill.context.events import LOOK
from watchbill.context.networks import KINDS

if TYPE_CHECKING:
    from watchbill.detectors.base import Surroundings
    from watchbill.records.columns import Columns

TYING: Final = (KINDS["broadband"], KINDS["datacentre"])
"""Kinds of networks whose one address is one household or one machine; offices, carrier NAT, VPN and what nobody knows tie nobody."""


def used(event: np.void, columns: Columns, around: Surroundings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(devices, lines) of the look behind an event, at most one each; nothing for another kind of event.

    A registered device, and the device of somebody who looks as a device, are nothing unusual.
    """
    if event["kind"] != LOOK:
        return (), ()
    row = int(event["row"])
    known = bool(np.isin(event["device"], around.registered)) or bool(event["lone"])
    device = columns.text("device", row) if int(event["device"]) and not known else ""
    place = int(event["place"])
    tied = place >= 0 and int(around.place_kind[place]) in TYING and not event["lone"]
    line = columns.text("ip", row) if tied and int(event["address"]) else ""
    return (device,) if device else (), (line,) if line else ()
