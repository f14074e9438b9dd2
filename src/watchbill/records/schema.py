"""The records contract as types: columns, kinds, statuses and what counts as a look.

Source: shared/contract/records.md, version 1. `SCHEMA` is the canonical Arrow form of a record once it is parsed and
validated: times are integer epoch milliseconds, `extra` holds unknown fields as one JSON object, absent is null.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

_S = pa.string()
_I = pa.int64()
_SHOWN: Final = pa.list_(pa.struct([pa.field("subject", _S), pa.field("fields", pa.list_(_S))]))

SCHEMA: Final = pa.schema(
    [
        pa.field("source", _S, nullable=False),
        pa.field("id", _S, nullable=False),
        pa.field("time", _I, nullable=False),
        pa.field("received", _I),
        pa.field("arrival", _I, nullable=False),
        pa.field("kind", _S, nullable=False),
        pa.field("account", _S),
        pa.field("session", _S),
        pa.field("device", _S),
        pa.field("ip", _S),
        pa.field("app", _S),
        pa.field("waybill", _S),
        pa.field("subjects", pa.list_(_S)),
        pa.field("fields", pa.list_(_S)),
        pa.field("shown", _SHOWN),
        pa.field("masked", pa.bool_()),
        pa.field("ticket", _S),
        pa.field("reason", _S),
        pa.field("decision", _S),
        pa.field("outcome", _S),
        pa.field("results", _I),
        pa.field("page", _I),
        pa.field("outlet", _S),
        pa.field("next_outlet", _S),
        pa.field("assignee", _S),
        pa.field("status", _S),
        pa.field("state", _S),
        pa.field("type", _S),
        pa.field("until", _I),
        pa.field("channel", _S),
        pa.field("extra", _S),
    ]
)
"""Columns of a canonical record, in order. `seq` is not among them: it is the frame's first seq plus the row."""

ASSIGNED_BY_US: Final = ("source", "arrival", "extra")
"""Columns that a sender does not send."""

LOOKS: Final = ("view", "search", "export", "print")
KINDS: Final = ("login", *LOOKS, "scan", "ticket", "complaint")
CONTROL_PREFIX: Final = "wb."
CONTROL_SOURCE: Final = "watchbill"
"""Source of the control records."""
DECIDE_SOURCE: Final = "wb.decide"
"""Source of looks that were asked about: records that the decision service writes (docs/decide.md). No source of a firm's own
may have a name that begins like this."""
OUTCOMES: Final = ("success", "failure", "denied")
STATUSES: Final = (
    "ordered", "picked_up", "departed", "arrived", "out_for_delivery", "delivered", "held_at_station", "signed",
    "problem", "returning", "rerouted", "refused", "cancelled",
)  # fmt: skip
STATES: Final = ("open", "closed")
TICKET_TYPES: Final = ("complaint", "claim", "return", "call", "incident", "change", "legal", "cover")
