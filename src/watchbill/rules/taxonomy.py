"""The taxonomy of rules: which records a log source means, which fields a rule may name, and what they hold.

`logsource: {product: watchbill, service: ...}`. Fields are the record contract's, plus what the engine knows of a record
(`KNOWN`), plus `extra.NAME` for a field that the contract does not know.
"""

from __future__ import annotations

from typing import Final

from watchbill.records.schema import LOOKS

PRODUCT: Final = "watchbill"
SERVICES: Final[dict[str, tuple[str, ...]]] = {
    "auth": ("login",),
    "lookup": ("view", "print"),
    "search": ("search",),
    "export": ("export",),
    "scan": ("scan",),
    "ticket": ("ticket", "complaint"),
}
"""Service -> kinds of records. A rule without a service is asked about records of every kind."""

TEXT, LIST, NUMBER, BOOL = "text", "list", "number", "bool"

CONTRACT: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            "source", "id", "kind", "account", "session", "device", "ip", "app", "waybill", "ticket", "reason", "decision",
            "outcome", "outlet", "next_outlet", "assignee", "status", "state", "type", "channel",
        ),
        TEXT,
    ),
    "subjects": LIST,
    "fields": LIST,
    **dict.fromkeys(("time", "received", "results", "page", "until"), NUMBER),
    "masked": BOOL,
}  # fmt: skip
"""Fields as records carry them. Times are epoch milliseconds."""

KNOWN: Final[dict[str, str]] = {
    "hour": NUMBER,
    "weekday": NUMBER,
    "customers": NUMBER,
    "role": TEXT,
    "home_outlet": TEXT,
    "roster": TEXT,
    "place": TEXT,
    "place_kind": TEXT,
    "explained": BOOL,
    "explained_by": TEXT,
    "first": BOOL,
    "canary": BOOL,
}
"""What the engine knows: local hour 0-23 and weekday 1-7 (Monday first) of `time`; customers listed, for an export at
least its rows; the account's role, outlet and roster status at that moment; the network's place and kind; and of looks
whether work explains it, by which reason, whether it is the account's first look at the item, and whether the item is a
canary."""
OF_LOOKS: Final = ("explained", "explained_by", "first", "canary")
EXTRA: Final = "extra."
DEFAULTS: Final = {"outcome": "success"}
"""The contract's defaults for looks and logins."""
WITH_OUTCOME: Final = (*LOOKS, "login")


def type_of(field: str) -> str | None:
    """What a field holds; None when there is no such field."""
    if field.startswith(EXTRA) and len(field) > len(EXTRA):
        return TEXT
    return CONTRACT.get(field) or KNOWN.get(field)


def nearest(field: str) -> str:
    """The known field that a wrong name most likely meant ("" when none is near)."""
    from difflib import get_close_matches

    found = get_close_matches(field.lower(), [*CONTRACT, *KNOWN], n=1, cutoff=0.6)
    return found[0] if found else ""
