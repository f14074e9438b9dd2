"""The call through the bridge: what templates are taken, and that nothing in a waybill gets out of its place."""

from __future__ import annotations

import pytest

from watchbill.core.bridge import bridge_url, fault_of_bridge
from watchbill.core.errors import SettingsError
from watchbill.core.settings import parse_settings

TEMPLATE = "https://bridge.example.com/call?w={waybill}&by={account}"


@pytest.mark.parametrize(
    ("template", "good"),
    [
        ("", True), (TEMPLATE, True), ("https://bridge.example.com/{waybill}", True), ("http://b.example.com/{waybill}", False),
        ("https://b.example.com/", False), ("https://b.example.com/{waybill}/{phone}", False), ("javascript:{waybill}", False),
        ("https://user@b.example.com/{waybill}", False), ("https://b.example.com/{waybill}{", False),
    ],
)  # fmt: skip
def test_templates(template: str, good: bool) -> None:
    assert (fault_of_bridge(template) == "") is good
    if good:
        assert parse_settings({"policy": {"bridge_url": template}}, "t").policy.bridge_url == template
    else:
        with pytest.raises(SettingsError, match="bridge_url"):
            parse_settings({"policy": {"bridge_url": template}}, "t")


def test_what_is_filled_in_stays_in_its_place() -> None:
    assert (
        bridge_url(TEMPLATE, "SF 1/2&x=#", "a?b") == "https://bridge.example.com/call?w=SF%201%2F2%26x%3D%23&by=a%3Fb"
    )
    assert bridge_url(TEMPLATE, "{account}", "a1").endswith("w=%7Baccount%7D&by=a1")
    assert bridge_url(TEMPLATE, "", "a1") == bridge_url("", "W1", "a1") == ""
