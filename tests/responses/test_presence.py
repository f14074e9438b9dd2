"""What a record proves by itself, and what proofs free: small scripts against the kernels' plain functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from watchbill.context.events import EVENT, LOGIN, LOOK, RETRACT, WORK
from watchbill.context.networks import KINDS
from watchbill.context.traces import AT_OUTLET, ON_LIST
from watchbill.core.settings import PolicySettings
from watchbill.detectors.base import Surroundings
from watchbill.responses.presence import (
    BY_DEVICE,
    BY_OFFICE,
    BY_SESSION,
    ELSEWHERE,
    FREE,
    FREES_DEVICE,
    FREES_OFFICE,
    FRESH_MS,
    NETWORK,
    NO_PROOF,
    PROOF,
    ROUND,
    SCAN,
    SLOTS,
    UNPROVEN,
    Presence,
    begin_step,
    freedom,
    proven_by,
    put_key,
    put_proof,
    span_of,
    whence_of,
)

HOUR = 3_600_000
PC, SCANNER, SERVER, MINE, OTHER = (np.uint64(n) for n in (11, 12, 13, 14, 15))
AROUND = Surroundings(
    registered=np.array([PC, SCANNER, SERVER, MINE, OTHER], np.uint64), device_outlet=np.array([0, 0, 0, 0, 1], np.int32),
    device_kind=np.array([1, 3, 4, 5, 2], np.uint8), lat=np.array([30.0, 31.0, 22.0]), lon=np.array([120.0, 120.0, 114.0]),
    place_kind=np.array([KINDS["office"], KINDS["broadband"], KINDS["broadband"]], np.uint8),
    outlet_lat=np.array([30.0, np.nan]), outlet_lon=np.array([120.0, np.nan]),
)  # fmt: skip
OFFICES = np.array([0, -1, -1], np.int32)


def event(**given: Any) -> np.ndarray[Any, np.dtype[np.void]]:
    """One event of an account of outlet 0; nothing else about it is known."""
    row = np.zeros(1, EVENT)
    row["place"], row["at"], row["success"], row["arrival"], row["time"] = -1, -1, 1, HOUR, HOUR
    for name, value in given.items():
        row[name] = value
    return row


def work(device: np.uint64, there: int, at: int = 0, **more: Any) -> np.ndarray[Any, np.dtype[np.void]]:
    """A scan."""
    return event(kind=WORK, device=device, there=there, at=at, **more)


DEVICE, BOTH = (SCAN, FREES_DEVICE), (SCAN, FREES_DEVICE | FREES_OFFICE)
NOTHING = (NO_PROOF, 0)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (work(PC, AT_OUTLET), BOTH),
        (work(SCANNER, AT_OUTLET | ON_LIST), BOTH),
        (work(MINE, AT_OUTLET), DEVICE),
        (work(MINE, AT_OUTLET, place=0), BOTH),
        (work(np.uint64(99), AT_OUTLET, place=0), (SCAN, FREES_OFFICE)),
        (work(np.uint64(99), AT_OUTLET), NOTHING),
        (work(np.uint64(99), ON_LIST, place=0), NOTHING),
        (work(np.uint64(0), AT_OUTLET), NOTHING),
        (work(SERVER, AT_OUTLET), NOTHING),
        (work(OTHER, AT_OUTLET), NOTHING),
        (work(PC, 0), NOTHING),
        (work(PC, AT_OUTLET, at=1), NOTHING),
        (work(PC, AT_OUTLET, at=1, outlet_id=-1), NOTHING),
        (work(PC, AT_OUTLET, at=-1, outlet_id=-1), NOTHING),
        (work(PC, ON_LIST, at=-1), (ROUND, FREES_DEVICE)),
        (work(PC, AT_OUTLET, arrival=HOUR + FRESH_MS), BOTH),
        (work(PC, AT_OUTLET, arrival=HOUR + FRESH_MS + 1), NOTHING),
        (event(kind=LOOK, place=0), (NETWORK, FREES_OFFICE)),
        (event(kind=LOGIN, place=0), (NETWORK, FREES_OFFICE)),
        (event(kind=LOGIN, place=0, success=0), NOTHING),
        (event(kind=LOOK, place=0, outlet_id=1), NOTHING),
        (event(kind=LOOK, place=1), NOTHING),
        (event(kind=LOOK, place=-1, outlet_id=-1), NOTHING),
        (event(kind=RETRACT, place=0), NOTHING),
    ],
)
def test_what_a_record_proves(row: np.ndarray[Any, np.dtype[np.void]], expected: tuple[int, int]) -> None:
    (made,) = whence_of(row, AROUND, OFFICES, PolicySettings())
    assert (int(made["how"]), int(made["frees"])) == expected


def test_without_registry_and_offices_nothing_is_proven() -> None:
    rows = np.concatenate([work(PC, AT_OUTLET | ON_LIST, place=0), event(kind=LOOK, place=0)])
    bare = Surroundings()
    assert whence_of(rows, bare, np.zeros(0, np.int32), PolicySettings())["how"].tolist() == [NO_PROOF, NO_PROOF]


def presence(row: np.ndarray[Any, np.dtype[np.void]], proofs: np.ndarray[Any, np.dtype[np.void]]) -> Presence:
    """All that the kernels ask."""
    return Presence(proofs, whence_of(row, AROUND, OFFICES, PolicySettings()), span_of(PolicySettings()))


def free(proofs: np.ndarray[Any, np.dtype[np.void]], guarantee: float = 0.0, **given: Any) -> int:
    """Whether a look is from a free place of account 0."""
    row = event(kind=LOOK, **given)
    all_of = presence(row, proofs)
    return int(freedom(proofs[0], all_of.whence[0], int(row[0]["arrival"]), guarantee))


def test_each_place_is_free_alone_and_until_its_hour() -> None:
    proofs = np.zeros(1, PROOF)
    assert free(proofs, device=PC) == UNPROVEN
    for by, key in ((BY_DEVICE, PC), (BY_OFFICE, np.uint64(1)), (BY_SESSION, np.uint64(7))):
        assert put_proof(proofs[0], by, key, HOUR, 2 * HOUR) == 1
        assert (
            put_proof(proofs[0], by, key, HOUR, 3 * HOUR) == 0
        )  # a place that is free gets no longer by proving again
    assert free(proofs, device=PC) == FREE
    assert free(proofs, place=0) == FREE
    assert free(proofs, session=7) == FREE
    assert free(proofs, session=PC, device=7) == ELSEWHERE
    assert free(proofs, device=PC, arrival=2 * HOUR - 1) == FREE
    assert free(proofs, device=PC, arrival=2 * HOUR) == UNPROVEN


@pytest.mark.parametrize(
    ("place", "own", "expected"), [(1, 0, FREE), (2, 0, ELSEWHERE), (2, 1, FREE), (2, -1, FREE), (-1, 0, FREE)]
)
def test_a_name_is_believed_near_its_outlet_only(place: int, own: int, expected: int) -> None:
    for by, name in ((BY_SESSION, "session"), (BY_DEVICE, "device")):
        proofs = np.zeros(1, PROOF)
        put_proof(proofs[0], by, np.uint64(7), HOUR, 2 * HOUR)
        assert free(proofs, **{name: 7}, place=place, outlet_id=own) == expected


def test_tenfold_evidence_ends_all_proofs() -> None:
    proofs = np.zeros(1, PROOF)
    put_proof(proofs[0], BY_DEVICE, PC, HOUR, 2 * HOUR)
    proofs["level"] = 10.0
    assert free(proofs, 12.29, device=PC) == FREE
    assert free(proofs, 12.31, device=PC) == UNPROVEN
    assert proofs["spent"][0] == 1  # the place itself made it grow
    assert free(proofs, 0.0, device=PC) == UNPROVEN


def test_of_more_places_than_slots_the_one_that_ends_first_gives_way() -> None:
    proofs = np.zeros(1, PROOF)
    for number in range(SLOTS + 1):
        put_proof(proofs[0], BY_DEVICE, np.uint64(100 + number), HOUR, 2 * HOUR + number)
    assert [free(proofs, device=100 + number) for number in range(SLOTS + 1)] == [ELSEWHERE] + [FREE] * SLOTS


def test_a_proof_is_younger_than_the_step_and_from_elsewhere_than_its_looks() -> None:
    proofs = np.zeros(1, PROOF)
    row = event(kind=LOOK, place=0)
    all_of = presence(row, proofs)

    def taken() -> int:
        return int(proven_by(proofs[0], all_of.whence[0], row[0], all_of, 11.0))

    proofs["inside"] = 1
    assert taken() == NO_PROOF
    proofs["inside"], proofs["stepped"] = 0, HOUR + 1
    assert taken() == NO_PROOF
    proofs["stepped"] = HOUR
    assert taken() == NETWORK
    assert proofs["level"][0] == 11.0
    assert proofs["until"][0].max() == HOUR + 8 * HOUR
    assert taken() == NO_PROOF  # nothing new


def test_a_higher_step_ends_all_proofs_and_one_of_presence_does_not() -> None:
    proofs = np.zeros(1, PROOF)
    put_proof(proofs[0], BY_DEVICE, PC, HOUR, 2 * HOUR)
    begin_step(proofs[0], event(time=5)[0], False)
    assert free(proofs, device=PC) == FREE
    assert proofs["stepped"][0] == 5
    begin_step(proofs[0], event(time=HOUR + 9, arrival=HOUR)[0], False)
    assert proofs["stepped"][0] == HOUR
    begin_step(proofs[0], event(time=6)[0], True)
    assert free(proofs, device=PC) == UNPROVEN


def test_a_key_answers_the_evidence_that_there_is() -> None:
    proofs = np.zeros(2, PROOF)
    proofs["seen"] = 9.0
    assert put_key(proofs, 1, BY_SESSION, 7, HOUR, 2 * HOUR, 11.5)
    assert not put_key(proofs, 1, BY_SESSION, 7, HOUR, 3 * HOUR, 11.5)
    assert proofs["level"].tolist() == [0.0, 11.5]
    assert free(proofs[1:], session=7) == FREE
    assert not proofs["until"][0].any()
