from __future__ import annotations

import pytest

from watchbill.cases.tiers import Kind, share_of, tier_at, tier_of


def test_tiers_of_items() -> None:
    assert [tier_of(n) for n in (0, 2_499, 2_500, 24_999, 25_000)] == [
        "none", "none", "serious", "serious", "especially serious"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "duty", "tier"),
    [
        ({"tracks": 49}, False, "none"),
        ({"tracks": 50}, False, "serious"),
        ({"tracks": 25}, True, "serious"),
        ({"communications": 499}, False, "none"),
        ({"communications": 250}, True, "serious"),
        ({"other": 4_999}, False, "none"),
        ({"other": 50_000}, False, "especially serious"),
        ({"tracks": 25, "communications": 250}, False, "serious"),  # half and half: in proportion
        ({"tracks": 24, "communications": 250}, False, "none"),
    ],
)
def test_thresholds_halves_and_proportions(counts: dict[Kind, int], duty: bool, tier: str) -> None:
    assert tier_at(share_of(counts, duty=duty)) == tier
