"""Proofs of presence: what frees one device, session or office of an account that must prove presence, and nothing else of it.

A proof speaks for the place where the looks come from (docs/decisions/0010-presence.md): a scan frees the device that made
it and, made at the own outlet, that outlet's office network; a look from the office network frees the network, unless the
step was taken on looks from there; a key frees one device or one session. Looks of the account from anywhere else still
have to prove presence, and the token bucket is never touched. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from watchbill.context.events import LOGIN, LOOK, WORK
from watchbill.context.networks import ROAMING
from watchbill.context.traces import AT_OUTLET, ON_LIST
from watchbill.core.kernel import Row, kernel
from watchbill.detectors.kernels import distance_km

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import PolicySettings
    from watchbill.detectors.base import Surroundings
    from watchbill.records.columns import Columns

NO_PROOF, SCAN, ROUND, NETWORK, KEY = range(5)
HOWS: Final = ("", "scan", "round", "network", "key")
"""How presence was proven, as interventions name it."""
BY_DEVICE, BY_SESSION, BY_OFFICE = 1, 2, 3
UNPROVEN, ELSEWHERE, FREE = range(3)
FREES_DEVICE, FREES_OFFICE = 1, 2
SLOTS: Final = 4
"""Places of one account that may be free at once; of more, the one that ends first gives way."""
FRESH_MS: Final = 15 * 60_000
"""A record that came later than this after it happened proves nothing about now."""
TENFOLD: Final = float(np.log(10.0))
_HERE: Final = np.uint64(1)
_SERVER, _PERSONAL = 4, 5
MOBILE, VPN = ROAMING
_HOUR_MS: Final = 3_600_000

PROOF: Final = np.dtype(
    [
        ("key", np.uint64, (SLOTS,)),  # hash of a device or session, 1 for the own office
        ("until", np.int64, (SLOTS,)),  # when that place is no longer free (arrival), 0 = the slot is empty
        ("stepped", np.int64),  # time of the record that took the step: a proof is younger
        ("rest_until", np.int64),  # all other places still have to prove presence until then; 0 = none of it left over
        ("level", np.float32),  # log guarantee number that the proofs answered; tenfold over it they end
        ("seen", np.float32),  # log guarantee number at the account's last event
        ("by", np.uint8, (SLOTS,)),
        ("inside", np.uint8),  # 1: the last look before the step came from the own office network
        ("spent", np.uint8),  # 1: a place that was free itself made the evidence tenfold; records prove nothing anew
        ("elsewhere", np.uint8),  # 1: a look from a place that is not free came after a proof
    ],
    align=True,
)
"""What an account has proven."""

WHENCE: Final = np.dtype(
    [
        ("device", np.uint64),
        ("session", np.uint64),
        ("office", np.uint8),  # 1: its own address is in the office network of the account's own outlet
        ("far", np.uint8),  # 1: its own address is in a known fixed place, farther from the own outlet than is believed
        ("how", np.uint8),  # which proof the record would be, NO_PROOF = none
        ("frees", np.uint8),  # bits FREES_DEVICE, FREES_OFFICE
    ],
    align=True,
)
"""Where an event comes from, and what it proves: as far as records and reference tables say, without the standing."""


class Presence(NamedTuple):
    """What the ladder asks about presence.

    Attributes:
        proofs: PROOF[accounts], changed in place. whence: WHENCE[n], one an event. span_ms: how long a proof lasts.
    """

    proofs: NDArray[np.void]
    whence: NDArray[np.void]
    span_ms: int


def span_of(settings: PolicySettings) -> int:
    """`presence_hours` in ms."""
    return int(settings.presence_hours * _HOUR_MS)


@kernel
def _is_own(event: Row, registered: NDArray[np.uint64], outlets: NDArray[np.int32], kinds: NDArray[np.uint8]) -> int:
    """The kind of a scan's device + 1 where it is registered at the account's own outlet, else 0: it could be anywhere."""
    at = np.searchsorted(registered, event.device)
    if event.device == 0 or at >= registered.shape[0] or registered[at] != event.device:
        return 0
    return int(kinds[at]) + 1 if outlets[at] == event.outlet_id and kinds[at] != _SERVER else 0


class _Map(NamedTuple):
    """Where places and outlets are, and how far apart is too far to be believed (km)."""

    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    kind: NDArray[np.uint8]
    outlet_lat: NDArray[np.float64]
    outlet_lon: NDArray[np.float64]
    office: NDArray[np.int32]
    km: float


@kernel
def _far(place: int, outlet: int, where: _Map) -> bool:
    if place >= where.lat.shape[0] or outlet >= where.outlet_lat.shape[0]:
        return False
    if where.kind[place] == MOBILE or where.kind[place] == VPN:
        return False
    if np.isnan(where.lat[place]) or np.isnan(where.outlet_lat[outlet]):
        return False
    apart = distance_km(where.lat[place], where.lon[place], where.outlet_lat[outlet], where.outlet_lon[outlet])
    return bool(apart > where.km)


@kernel
def _whence(
    events: NDArray[np.void], registered: NDArray[np.uint64], outlets: NDArray[np.int32], kinds: NDArray[np.uint8],
    where: _Map, out: NDArray[np.void],
) -> None:  # fmt: skip
    for i in range(events.shape[0]):
        event, row = events[i], out[i]
        row.device, row.session = event.device, event.session
        outlet, place = event.outlet_id, event.place
        if outlet < 0:
            continue
        inside = 0 <= place < where.office.shape[0] and where.office[place] == outlet
        row.office = 1 if inside else 0
        row.far = 1 if place >= 0 and not inside and _far(place, outlet, where) else 0
        if event.arrival - event.time > FRESH_MS:
            continue
        if inside and event.success and (event.kind == LOOK or event.kind == LOGIN):
            row.how, row.frees = NETWORK, FREES_OFFICE
        elif event.kind == WORK and event.there:
            own = _is_own(event, registered, outlets, kinds)
            if event.at == outlet and event.there & AT_OUTLET and (own or inside):
                office_too = inside or own != _PERSONAL + 1
                row.how = SCAN
                row.frees = (FREES_DEVICE if own else 0) | (FREES_OFFICE if office_too else 0)
            elif own and event.there & ON_LIST:
                row.how, row.frees = ROUND, FREES_DEVICE


def whence_of(
    events: NDArray[np.void], around: Surroundings, office: NDArray[np.int32], settings: PolicySettings
) -> NDArray[np.void]:
    """WHENCE[n] of EVENT[n]; `office` is context.offices.offices_of."""
    a, out = around, np.zeros(events.shape[0], WHENCE)
    where = _Map(a.lat, a.lon, a.place_kind, a.outlet_lat, a.outlet_lon, office, settings.presence_km)
    _whence(events, a.registered, a.device_outlet, a.device_kind, where, out)
    return out


@kernel
def freedom(proof: Row, whence: Row, now: int, guarantee: float) -> int:
    """UNPROVEN: nothing of the account is free; ELSEWHERE: some place is, this one not; FREE. Tenfold evidence ends all proofs."""
    out = UNPROVEN
    grown = guarantee >= proof.level + TENFOLD
    for k in range(SLOTS):
        if proof.until[k] <= now:
            continue
        by, key = proof.by[k], proof.key[k]
        named = (by == BY_DEVICE and key == whence.device) or (by == BY_SESSION and key == whence.session)
        # a name that turns up in another province is somebody else's copy of it
        here = (named and not whence.far) or (by == BY_OFFICE and whence.office == 1)
        if grown:
            proof.until[k] = 0
            if here:
                proof.spent = 1
        elif here:
            return FREE
        else:
            out = ELSEWHERE
    return out


@kernel
def put_proof(proof: Row, by: int, key: np.uint64, now: int, until: int) -> int:
    """Free a place until then: 1 when it was not free before."""
    slot = 0
    for k in range(SLOTS):
        if proof.until[k] > now and proof.by[k] == by and proof.key[k] == key:
            return 0
        if proof.until[k] < proof.until[slot]:
            slot = k
    proof.by[slot], proof.key[slot], proof.until[slot] = by, key, until
    return 1


def put_key(
    proofs: NDArray[np.void], account: int, by: int, key: int, now: int, until: int, level: float
) -> bool:  # fmt: skip
    """A key was used: free its device or session (a hash) until then; False when it was free already.

    `level` is the log guarantee number under which no step stands; what the account reached counts where it is higher.
    """
    row = proofs[account : account + 1]
    mine = (row["by"][0] == by) & (row["key"][0] == np.uint64(key))
    if np.any(mine & (row["until"][0] > now)):
        return False
    slot = int(np.argmin(row["until"][0]))
    row["by"][0, slot], row["key"][0, slot], row["until"][0, slot] = by, np.uint64(key), until
    row["level"] = max(float(row["seen"][0]), level)
    return True


@kernel
def proven_by(proof: Row, whence: Row, event: Row, presence: Presence, level: float) -> int:
    """Take a record as a proof of presence of an account that has to prove it: how, NO_PROOF when it is none or nothing new.

    `level` is the log guarantee number that it answers.
    """
    how = whence.how
    if how == NO_PROOF or proof.spent or event.time < proof.stepped or (how == NETWORK and proof.inside):
        return NO_PROOF
    now = event.arrival
    until, new = now + presence.span_ms, 0
    if whence.frees & FREES_DEVICE and whence.device:
        new += put_proof(proof, BY_DEVICE, whence.device, now, until)
    if whence.frees & FREES_OFFICE:
        new += put_proof(proof, BY_OFFICE, _HERE, now, until)
    if new == 0:
        return NO_PROOF
    proof.level = level
    return int(how)


@kernel
def begin_step(proof: Row, event: Row, higher: bool) -> None:
    """A step was taken that presence answers, or (`higher`) one above it, which ends all proofs."""
    # a clock ahead of ours must not make the owner wait for it
    proof.stepped, proof.elsewhere, proof.rest_until = min(event.time, event.arrival), 0, 0
    if higher:
        for k in range(SLOTS):
            proof.until[k] = 0


def is_proof(change: np.void) -> bool:
    """Whether a change of standing is a proof, or the same step back after one: neither says anything against anybody."""
    return bool(change["proof"] or change["resumed"])


def proof_of(
    change: np.void, events: NDArray[np.void], whence: NDArray[np.void], span_ms: int, columns: Columns
) -> dict[str, Any]:
    """What a row of interventions.ndjson adds for a change of standing, in most cases nothing.

    {"proof": {how, device, office, until}}: the device, the own outlet's office network, or both, are free until then.
    {"resumed": true}: the same step again, for a look from a place that proved nothing.
    """
    if change["resumed"]:
        return {"resumed": True}
    if not change["proof"]:
        return {}
    event, frees = events[int(change["event"])], int(whence[int(change["event"])]["frees"])
    freed: dict[str, Any] = {"device": columns.text("device", int(event["row"]))} if frees & FREES_DEVICE else {}
    freed |= {"office": True} if frees & FREES_OFFICE else {}
    return {"proof": {"how": HOWS[int(change["proof"])], **freed, "until": int(event["arrival"]) + span_ms}}
