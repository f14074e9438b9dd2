"""The simulator's own form of a record: one structured NumPy row of codes, turned into the contract only when written.

Times are milliseconds since the world's first local midnight. Codes index the tuples below or the pools of `Names`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from watchbill.records.schema import KINDS, STATUSES, TICKET_TYPES

Rows = npt.NDArray[np.void]
"""Rows of `ROW`, one per record."""

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
ABSENT: Final = -1
NO_TIME: Final = -(2**62)

ROW: Final = np.dtype(
    [
        ("time", "i8"), ("received", "i8"), ("waybill", "i8"), ("subs", "i8", (4,)), ("session", "i8"), ("ticket", "i8"),
        ("until", "i8"), ("trace", "i8"), ("account", "i4"), ("device", "i4"), ("ip", "i4"), ("outlet", "i4"), ("next_outlet", "i4"),
        ("assignee", "i4"), ("results", "i4"), ("attack", "i2"), ("page", "i2"), ("kind", "i1"), ("app", "i1"),
        ("fieldset", "i1"), ("masked", "i1"), ("reason", "i1"), ("outcome", "i1"), ("status", "i1"), ("state", "i1"),
        ("type", "i1"), ("channel", "i1"), ("confuser", "i1"), ("first", "i1"), ("operator", "i1"),
    ]
)  # fmt: skip
"""-1 (0 for subs, masked, confuser, first and operator) is absent. `first` marks an honest first look that may be a slip; `trace` is
the time of the work behind a look; `operator` indexes `OPERATORS`. None of these is written as a record."""

PARCEL: Final = np.dtype(
    [("waybill", "i8"), ("sender", "i8"), ("recipient", "i8"), ("ordered", "i8"), ("done", "i8"), ("picked", "i8"),
     ("arrived", "i8"), ("origin", "i4"), ("dest", "i4"), ("courier", "i4"), ("pickup", "i4")]
)  # fmt: skip
"""What the pool remembers of a parcel: `done` is the time that it was signed or given up, `picked` and `arrived` those of the pick-up
and of the arrival at the destination (`NO_TIME`: never), `courier` and `pickup` the accounts that deliver and fetch it (-1: nobody)."""

APPS: Final = ("handset", "counter", "station", "hub", "hotline", "claims", "admin", "label", "notice")
CHANNELS: Final = ("hotline", "app", "police")
STATES: Final = ("open", "closed")
OUTCOMES: Final = ("success", "failure", "denied")
REASONS: Final = ("客户来电", "催派", "核对地址", "理赔核实", "问题件处理", "司法协助")
CONFUSERS: Final = (
    "", "surge", "cover", "cover_unticketed", "merger", "new_hire", "new_handset", "night_shift", "batch_clearing",
    "repeat", "late_scan", "feed_down", "ticket_unnamed", "forgot_ticket", "misread", "roster_gap", "shared_number",
    "leaver", "temp", "travel", "vpn", "overtime", "clock_skew", "app_reinstall", "mass_return", "tickets_lost", "no_feed", "long_leave",
)  # fmt: skip
OPERATORS: Final = ("owner", "other", "program")
"""Who sat behind a look: the account's own person (or robot, or scanner), somebody else, or malware on a terminal."""
OWNER, OTHER, PROGRAM = range(3)
_R: Final = ("recipient.name", "recipient.phone", "recipient.address")
_S: Final = ("sender.name", "sender.phone", "sender.address")
FIELDSETS: Final[tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = (
    (_R, ()),
    (("recipient.phone",), ()),
    (("recipient.name", "recipient.phone"), ()),
    (("recipient.address",), ()),
    ((), _S),
    (_R, _S),
    (("recipient.name", "recipient.phone"), ("sender.name", "sender.phone")),
    (("recipient.name",), ()),
)
"""(fields of the recipient, fields of the sender); with both, subjects are [recipient, sender] and `shown` narrows."""
F_FULL, F_PHONE, F_CONTACT, F_ADDRESS, F_SENDER, F_BOTH, F_BOTH_CONTACT, F_NAME = range(8)


def kind(name: str) -> int:
    """Code of a record kind."""
    return KINDS.index(name)


def status(name: str) -> int:
    """Code of a scan's status."""
    return STATUSES.index(name)


def ticket_type(name: str) -> int:
    """Code of a ticket's type."""
    return TICKET_TYPES.index(name)


def confuser(name: str) -> int:
    """Code of an honest confuser."""
    return CONFUSERS.index(name)


def app(name: str) -> int:
    """Code of an internal system."""
    return APPS.index(name)


def _template() -> Rows:
    row = np.zeros(1, dtype=ROW)
    zero = {"subs", "masked", "confuser", "first", "operator"}
    for name in ROW.names or ():
        if name not in zero:
            row[name] = ABSENT
    return row


_TEMPLATE: Final = _template()


def new_rows(n: int, **columns: Any) -> Rows:  # noqa: ANN401  scalars and arrays alike
    """`n` rows with everything absent but the columns given (scalars or arrays of n)."""
    rows = np.repeat(_TEMPLATE, n)
    for name, value in columns.items():
        rows[name] = value
    return rows


def look_rows(n: int, what: str, parcels: Rows, **columns: Any) -> Rows:  # noqa: ANN401
    """Looks at one parcel each: waybill, subjects and a recipient's name, phone and address unless told otherwise."""
    rows = new_rows(n, kind=kind(what), outcome=0, fieldset=F_FULL, waybill=parcels["waybill"])
    for name, value in columns.items():
        rows[name] = value
    fill_subjects(rows, parcels)
    return rows


def fill_subjects(rows: Rows, parcels: Rows) -> None:
    """Set `subs` from the parcels (same length) by the field set: recipient, sender or both."""
    sets = rows["fieldset"]
    has_sender = np.array([bool(s) for _, s in FIELDSETS])[sets]
    has_recipient = np.array([bool(r) for r, _ in FIELDSETS])[sets]
    rows["subs"] = 0
    rows["subs"][:, 0] = np.where(has_recipient, parcels["recipient"], parcels["sender"])
    rows["subs"][:, 1] = np.where(has_recipient & has_sender, parcels["sender"], 0)


def pile(chunks: list[Rows]) -> Rows:
    """All chunks as one array (empty when there are none)."""
    return np.concatenate(chunks) if chunks else new_rows(0)
