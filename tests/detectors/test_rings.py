from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.rings import Detector, blocks, components, densest

HOUR = 3_600_000


def around(registered: int = 1) -> Surroundings:
    return Surroundings(
        accounts=40, outlets=40, present=frozenset({"accounts"}), place_kind=np.array([3, 1, 2], np.uint8),
        registered=np.array([registered], np.uint64),
    )  # fmt: skip


def ring(accounts: range, looks: int, **fields: object) -> NDArray[np.void]:
    events = np.concatenate([example_looks(looks) for _ in accounts])
    events["account"] = np.repeat(np.array(accounts), looks)
    events["outlet_id"] = events["account"]
    for name, value in fields.items():
        events[name] = value
    return events


def after(detector: Detector, events: NDArray[np.void], where: Surroundings) -> NDArray[np.float32]:
    """Each account's nats at one more look, after a tick."""
    detector.observe(events, where)
    more = events[np.unique(events["account"], return_index=True)[1]].copy()
    more["time"], more["arrival"] = more["time"] + HOUR, more["arrival"] + HOUR
    more["device"], more["address"] = 5_000, 0
    detector.publish(int(more["arrival"][0]), where)
    return detector.observe(more, where)


def test_a_chain_over_two_devices_and_a_line_is_one_ring() -> None:
    events = ring(range(1, 6), 6, device=0)
    events["device"] = 80 + events["account"] % 2
    events["place"] = np.where(events["account"] <= 2, 0, -1)
    events["address"] = 7
    assert (after(Detector(Settings()), events, around()) > 14.5).all()


def test_honest_sharing_ties_nobody() -> None:
    registered, colleagues = ring(range(1, 6), 6, device=80), ring(range(1, 6), 6, device=80, outlet_id=3)
    explained = ring(range(1, 6), 6, device=80, reason=1)
    office, nat = (ring(range(1, 6), 6, device=0, place=place, address=7) for place in (1, 2))
    assert after(Detector(Settings()), registered, around(registered=80)).max() == 0
    for events in (colleagues, explained, office, nat):
        assert after(Detector(Settings()), events, around()).max() == 0


def test_a_member_whose_own_looks_have_reasons_is_left_alone() -> None:
    events = ring(range(1, 7), 8, device=80)
    events["reason"] = events["account"] == 6
    out = after(Detector(Settings()), events, around())
    assert (out[:5] > 14.5).all()
    assert out[5] == 0


def test_walks_that_adjoin_tie_numbers_that_share_nothing() -> None:
    events = ring(range(1, 6), 40, device=0)
    events["number"] = 10_000 + np.arange(len(events))
    events["item"] = events["number"]
    assert (after(Detector(Settings()), events, around()) > 14.5).sum() >= 4
    apart = events.copy()
    apart["number"] += apart["account"].astype(np.int64) * 100_000
    assert after(Detector(Settings()), apart, around()).max() == 0
    scattered = events.copy()
    scattered["number"] = np.random.default_rng(3).integers(10_000, 10_000_000, len(events))
    assert after(Detector(Settings()), scattered, around()).max() == 0


def test_peeling_takes_a_stranger_on_a_busy_line_away() -> None:
    ties = [(a, b, 0.5) for a in range(5) for b in range(a)] + [(4, 9, 0.1), (9, 10, 0.1)]
    (near,) = components(ties)
    assert densest(near) == [0, 1, 2, 3, 4]
    two = [*ties, *((a, b, 0.5) for a in range(20, 24) for b in range(20, a)), (10, 20, 0.1)]
    (both,) = components(two)
    assert blocks(both) == [[0, 1, 2, 3, 4], [20, 21, 22, 23]]


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15), st.floats(0.1, 1)), max_size=40))
def test_components_part_the_accounts_whatever_the_ties(ties: list[tuple[int, int, float]]) -> None:
    ties = [tie for tie in ties if tie[0] != tie[1]]
    found = components(ties)
    accounts = [one for near in found for one in near]
    assert sorted(accounts) == sorted({one for a, b, _ in ties for one in (a, b)})
    for near in found:
        assert set(densest(near)) <= set(near)
        assert all(near[other][one] == weight for one, others in near.items() for other, weight in others.items())
