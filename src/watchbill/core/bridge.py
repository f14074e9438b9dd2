"""The call that is always possible: the address of the firm's masked bridge for a parcel, in which no number is shown."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

WAYBILL: Final = "{waybill}"
ACCOUNT: Final = "{account}"


def fault_of_bridge(template: str) -> str:
    """What is wrong with a template ("" = it can be used, or there is none).

    It is an https address with `{waybill}`, and may hold `{account}`; nothing else in braces, and no number.
    """
    if not template:
        return ""
    rest = template.replace(WAYBILL, "").replace(ACCOUNT, "")
    if not template.startswith("https://") or "@" in rest.partition("?")[0]:
        return "is an https address"
    if WAYBILL not in template:
        return "holds {waybill}"
    return "holds nothing else in braces" if "{" in rest or "}" in rest else ""


def bridge_url(template: str, waybill: str, account: str = "") -> str:
    """Where the recipient of a parcel can be called through the bridge; "" where the firm has none or no parcel is meant."""
    if not template or not waybill:
        return ""
    # in one pass, so that a waybill that looks like a placeholder stays one
    parts = template.split(WAYBILL)
    return quote(waybill, safe="").join(part.replace(ACCOUNT, quote(account, safe="")) for part in parts)
