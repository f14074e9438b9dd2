"""Where an address is: the networks table as sorted, disjoint IPv4 ranges (longest prefix wins), IPv6 by exact search."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.core.errors import SettingsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS: Final = {"office": 1, "mobile": 2, "broadband": 3, "datacentre": 4, "vpn": 5}
ROAMING: Final = (2, 5)
"""Kinds whose place says nothing about the person: carrier NAT and VPN."""


@dataclass(slots=True)
class Networks:
    """Places by address. `place` is an index into `names`; -1 = unknown address; lat/lon are NaN when not given."""

    starts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    places: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    six: list[tuple[ipaddress.IPv6Network, int]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    lat: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    lon: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    kind: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(1, np.uint8))

    def place_of(self, ips: pa.ChunkedArray) -> NDArray[np.int32]:
        """int32[n]: the place of each address text (-1 unknown or absent). Cost grows with distinct addresses."""
        n = len(ips)
        out = np.full(n, -1, dtype=np.int32)
        if not self.names or ips.null_count == n:
            return out
        encoded = pc.dictionary_encode(ips)
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        per_text = np.array([self._one(text) for text in encoded.dictionary.to_pylist()] or [-1], dtype=np.int32)
        codes = np.asarray(pc.fill_null(encoded.indices, -1))
        return np.where(codes >= 0, per_text[codes], -1).astype(np.int32)

    def _one(self, text: str) -> int:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return -1
        if isinstance(address, ipaddress.IPv6Address):
            if address.ipv4_mapped is None:
                return next((place for network, place in self.six if address in network), -1)
            address = address.ipv4_mapped
        at = int(np.searchsorted(self.starts, int(address), side="right")) - 1
        return int(self.places[at]) if at >= 0 else -1


def networks_of(table: pa.Table | None) -> Networks:
    """Build `Networks` from the reference table.

    Raises:
        SettingsError: a network is not CIDR.
    """
    if table is None or table.num_rows == 0:
        return Networks()
    four: list[tuple[int, int, int]] = []
    six: list[tuple[ipaddress.IPv6Network, int]] = []
    for row, text in enumerate(table.column("network").to_pylist()):
        network = _cidr(text, row)
        if isinstance(network, ipaddress.IPv4Network):
            four.append((int(network.network_address), int(network.broadcast_address), row))
        else:
            six.append((network, row))
    starts, places = _flatten(four)
    six.sort(key=lambda item: -item[0].prefixlen)
    kinds = [KINDS.get(kind or "", 0) for kind in table.column("kind").to_pylist()]
    return Networks(
        starts=starts, places=places, six=six, names=[name or "" for name in table.column("place").to_pylist()],
        lat=np.asarray(table.column("lat").to_numpy(zero_copy_only=False), dtype=np.float64),
        lon=np.asarray(table.column("lon").to_numpy(zero_copy_only=False), dtype=np.float64),
        kind=np.array(kinds, dtype=np.uint8),
    )  # fmt: skip


def _cidr(text: object, row: int) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(str(text).strip(), strict=False)
    except ValueError as error:
        raise SettingsError("is not a network in CIDR form", where=f"networks row {row + 1}", todo="write 10.2.0.0/16") from error


def _flatten(ranges: list[tuple[int, int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Cut nested ranges into disjoint ones: wide ranges are laid first, narrow ones over them, by a stack sweep."""
    starts: list[int] = []
    places: list[int] = []
    stack: list[tuple[int, int]] = []  # (end, place) of the ranges that are open, widest first

    def lay(at: int, place: int) -> None:
        if starts and starts[-1] == at:
            places[-1] = place
        else:
            starts.append(at)
            places.append(place)

    for start, end, place in sorted(ranges, key=lambda item: (item[0], -item[1])):
        while stack and stack[-1][0] < start:
            closed = stack.pop()[0]
            lay(closed + 1, stack[-1][1] if stack else -1)
        lay(start, place)
        stack.append((end, place))
    while stack:
        closed = stack.pop()[0]
        lay(closed + 1, stack[-1][1] if stack else -1)
    return np.array(starts, dtype=np.int64), np.array(places, dtype=np.int32)
