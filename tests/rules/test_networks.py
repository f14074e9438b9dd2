from __future__ import annotations

from ipaddress import ip_network

import pytest

from watchbill.rules.networks import within_any


@pytest.mark.parametrize(("text", "network", "inside"), [
    ("10.2.3.4", "10.0.0.0/8", True), (" 10.2.3.4 ", "10.0.0.0/8", True), ("11.2.3.4", "10.0.0.0/8", False),
    ("::ffff:10.2.3.4", "10.0.0.0/8", True), ("2001:db8::1", "2001:db8::/32", True), ("2001:db8::1", "10.0.0.0/8", False),
    ("10.2.3", "0.0.0.0/0", False), ("", "0.0.0.0/0", False), (None, "0.0.0.0/0", False), ("x" * 5000, "::/0", False),
])  # fmt: skip
def test_addresses_in_networks(text: str | None, network: str, inside: bool) -> None:
    assert within_any(text, ip_network(network)) is inside
