from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchbill.context.interning import Interner
from watchbill.context.networks import KINDS, Networks, networks_of
from watchbill.core.errors import SettingsError

Tables = Callable[[str, list[dict[str, Any]]], pa.Table]
BASE = int(ipaddress.IPv4Address("10.0.0.0"))
FOUR = st.builds(
    lambda ip, bits: f"{ipaddress.IPv4Address(BASE + ip)}/{bits}", st.integers(0, 600), st.integers(20, 32)
)
SIX_BASE = int(ipaddress.IPv6Address("2001:db8::"))
SIX = st.builds(
    lambda ip, bits: f"{ipaddress.IPv6Address(SIX_BASE + ip)}/{bits}", st.integers(0, 600), st.integers(116, 128)
)
ADDRESS = st.builds(lambda ip: str(ipaddress.IPv4Address(BASE + ip)), st.integers(-5, 700)) | st.builds(
    lambda ip: str(ipaddress.IPv6Address(SIX_BASE + ip)), st.integers(0, 700)
)


def places(networks: Networks, names: Interner, ips: list[str | None]) -> list[str]:
    found = networks.place_of(pa.chunked_array([pa.array(ips, type=pa.string())]))
    return [names.names[place].split("|")[0] if place >= 0 else "" for place in found]


def brute(rows: list[dict[str, Any]], text: str) -> str:
    address = ipaddress.ip_address(text)
    inside = [
        (network.prefixlen, at) for at, row in enumerate(rows)
        if (network := ipaddress.ip_network(row["network"], strict=False)).version == address.version and address in network
    ]  # fmt: skip
    return rows[max(inside)[1]]["place"] if inside else ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cidrs=st.lists(FOUR | SIX, min_size=1, max_size=14), ips=st.lists(ADDRESS, min_size=1, max_size=20))
def test_the_longest_prefix_wins_and_of_equals_the_later_row(cidrs: list[str], ips: list[str], tables: Tables) -> None:
    rows = [{"network": cidr, "place": f"p{at}"} for at, cidr in enumerate(cidrs)]
    names = Interner("places", 1000)
    networks = networks_of(tables("networks", rows), names)
    assert places(networks, names, ips) == [brute(rows, ip) for ip in ips]
    mapped = [f"::ffff:{ip}" if "." in ip else ip for ip in ips]
    assert places(networks, names, mapped) == [brute(rows, ip) for ip in ips]


def test_ends_of_the_address_space_and_what_is_no_address(tables: Tables) -> None:
    names = Interner("places", 1000)
    rows = [
        {"network": "0.0.0.0/0", "place": "all"},
        {"network": "255.255.255.255", "place": "last"},
        {"network": "::ffff:10.0.0.0/104", "place": "ten"},
    ]
    networks = networks_of(tables("networks", rows), names)
    ips = [
        "0.0.0.0",  # noqa: S104
        "255.255.255.255",
        "255.255.255.254",
        "10.9.9.9",
        "::ffff:10.1.1.1",
        "::1",
        "nonsense",
        "999.1.1.1",
        "",
        None,
    ]
    assert places(networks, names, ips) == ["all", "last", "all", "ten", "ten", "", "", "", "", ""]
    assert places(Networks(), names, ips) == [""] * 10


def test_a_place_keeps_its_number_over_reloads_and_shrinking(tables: Tables) -> None:
    names = Interner("places", 1000)
    rows = [
        {"network": f"10.0.{i}.0/24", "place": f"p{i}", "lat": float(i), "lon": 1.0, "kind": "office"} for i in range(5)
    ]
    before = networks_of(tables("networks", rows), names)
    after = networks_of(tables("networks", [rows[3]]), names)
    ips = pa.chunked_array([["10.0.3.7"]])
    assert before.place_of(ips)[0] == after.place_of(ips)[0]
    assert after.lat.shape == before.lat.shape  # state may still name a place that is gone
    assert np.isnan(after.lat[[0, 1, 2, 4]]).all()
    assert after.lat[3] == 3
    gone = networks_of(None, names)
    assert gone.lat.shape == (5,)
    assert gone.place_of(ips).tolist() == [-1]


def test_one_place_may_have_many_networks_and_kinds(tables: Tables) -> None:
    names = Interner("places", 1000)
    rows = [
        {"network": "10.0.0.0/24", "place": "Hebei", "kind": "office"}, {"network": "10.0.1.0/24", "place": "Hebei", "kind": "office"},
        {"network": "10.0.2.0/24", "place": "Hebei", "kind": "mobile"}, {"network": "10.0.3.0/24"},
    ]  # fmt: skip
    networks = networks_of(tables("networks", rows), names)
    at = networks.place_of(pa.chunked_array([["10.0.0.1", "10.0.1.1", "10.0.2.1", "10.0.3.1"]]))
    assert at[0] == at[1] != at[2]
    assert networks.kind[at].tolist() == [KINDS["office"], KINDS["office"], KINDS["mobile"], 0]


def test_what_is_no_network_names_its_row(tables: Tables) -> None:
    rows = [{"network": "10.0.0.0/8"}, {"network": "10.0.0.0/99"}]
    with pytest.raises(SettingsError, match=r"row 2.*column network"):
        networks_of(tables("networks", rows), Interner("places", 10))
