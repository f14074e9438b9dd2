"""Whether an address lies in a network, for texts that may be no address at all."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=65_536)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def within_any(text: str | None, network: Any) -> bool:
    """Whether `text` is an address in `network`; an IPv4 address written as IPv6 counts as itself."""
    address = _address(text) if text else None
    return address is not None and address.version == network.version and address in network
