"""Where an address is: the networks table as sorted, disjoint IPv4 ranges (longest prefix wins), IPv6 by exact search."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.core.errors import SettingsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.context.interning import Interner

_MAPPED_BITS: Final = 96
KINDS: Final = {"office": 1, "mobile": 2, "broadband": 3, "datacentre": 4, "vpn": 5}
ROAMING: Final = (2, 5)
"""Kinds whose place says nothing about the person: carrier NAT and VPN."""


@dataclass(slots=True)
class Networks:
    """Places by address. A place is a name with a kind, numbered by the interner that the table was built with.

    Attributes:
        starts, places: sorted starts of IPv4 ranges and their places, -1 = unknown. six: IPv6, narrowest first.
        lat, lon: float64[places], NaN when not given. kind: uint8[places], see KINDS (0 = not said).
    """

    starts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    places: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    six: list[tuple[ipaddress.IPv6Network, int]] = field(default_factory=list)
    lat: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    lon: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    kind: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))

    def place_of(self, ips: pa.ChunkedArray) -> NDArray[np.int32]:
        """int32[n]: the place of each address text (-1 unknown or absent). Cost grows with distinct addresses."""
        n = len(ips)
        out = np.full(n, -1, dtype=np.int32)
        if not self.kind.shape[0] or ips.null_count == n:
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


def networks_of(table: pa.Table | None, names: Interner) -> Networks:
    """Build `Networks` from the reference table; `names` keeps the number of a place when the table is reloaded.

    Of two rows for the same network the later one counts.

    Raises:
        SettingsError: a network is not CIDR.
    """
    if table is None or table.num_rows == 0:
        return Networks(**_geography(np.zeros(0, np.int64), pa.table({"lat": [], "lon": [], "kind": []}), len(names)))
    number = _numbered(table, names)
    four: list[tuple[int, int, int]] = []
    six: list[tuple[ipaddress.IPv6Network, int]] = []
    for row, text in enumerate(table.column("network").to_pylist()):
        network = _cidr(text, row)
        if isinstance(network, ipaddress.IPv4Network):
            four.append((int(network.network_address), int(network.broadcast_address), int(number[row])))
        else:
            six.append((network, int(number[row])))
    starts, places = _flatten(four)
    six.reverse()
    six.sort(key=lambda item: -item[0].prefixlen)
    return Networks(starts=starts, places=places, six=six, **_geography(number, table, len(names)))


def _numbered(table: pa.Table, names: Interner) -> NDArray[np.int64]:
    """int64[rows]: the place of each row; one that has no name is named by its network."""
    columns = (table.column(name).to_pylist() for name in ("network", "place", "kind"))
    rows = zip(*columns, strict=True)
    return np.array([names.add(f"{place or network}|{kind or ''}") for network, place, kind in rows], np.int64)


def _geography(number: NDArray[np.int64], table: pa.Table, size: int) -> dict[str, Any]:
    """lat, lon and kind of `size` places; the last row of a place counts."""
    lat, lon, kind = np.full(size, np.nan), np.full(size, np.nan), np.zeros(size, np.uint8)
    lat[number] = table.column("lat").cast(pa.float64()).to_numpy(zero_copy_only=False)
    lon[number] = table.column("lon").cast(pa.float64()).to_numpy(zero_copy_only=False)
    kind[number] = [KINDS.get(name or "", 0) for name in table.column("kind").to_pylist()]
    return {"lat": lat, "lon": lon, "kind": kind}


def _cidr(text: object, row: int) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(str(text).strip(), strict=False)
    except ValueError as error:
        raise SettingsError(
            "column network is not a network in CIDR form", where=f"networks row {row + 1}", todo="write 10.2.0.0/16"
        ) from error
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= _MAPPED_BITS:
        return ipaddress.ip_network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


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
