"""What work leaves for the reason join: the keys of scans and tickets, their codes, and the tables that looks are asked against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from watchbill.context.facts import COVERS
from watchbill.context.lone import device_key
from watchbill.context.roster import post_at
from watchbill.context.rules import CLASSES_MAX
from watchbill.context.spans import close_ticket, holds, open_ticket, span_slot
from watchbill.context.store import remember, seen_lately
from watchbill.core.hashing import work_key
from watchbill.core.kernel import Row, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCAN: Final = 6
LOGIN_KIND: Final = 1
TICKET: Final = 7
LAST_LOOK_KIND: Final = 5
SUCCESS: Final = 1
PICKED_UP: Final = 2
OPEN: Final = 1
OUT_FOR_DELIVERY: Final = 5
DELIVERED: Final = 6
HELD: Final = 7
SIGNED_STATUS: Final = 8
PROBLEM: Final = 9
REFUSED: Final = 12
COVER: Final = 8

T_OUT: Final = 1
T_IN: Final = 2
T_HELD: Final = 3
T_ASSIGNED: Final = 4
T_SCAN: Final = 5
T_ANY: Final = 6
T_TEAM: Final = 7
T_LOOK: Final = 8
T_STATE: Final = 9
T_SHOWN: Final = 10
T_GIVEN: Final = 11
T_PICKUP: Final = 12
T_DONE: Final = 13
T_EVERY: Final = 64
T_UNASSIGNED: Final = 128
T_MINE: Final = 192
T_NAMED: Final = 256

AT_OUTLET: Final = 1
"""Bit of EVENT.there: others announced or scanned the parcel at the account's own outlet, and it is not signed for."""
ON_LIST: Final = 2
"""Bit of EVENT.there: the parcel is on the account's own delivery list, and others brought it to its outlet."""

C_ASSIGNED, C_OUT, C_COVER, C_IN, C_HELD, C_SCAN, C_ANY, C_TICKET, C_TEAM, C_LOOK = range(1, 11)
CHAIN_MAX: Final = 256
FRESH_MS: Final = 2 * 3_600_000
FOLLOW_MS: Final = 24 * 3_600_000
DAY_MS: Final = 86_400_000
NEVER: Final = np.iinfo(np.int64).max


class Known(NamedTuple):
    """What a look is asked against.

    Attributes:
        rules: int64[role, RULES_MAX, 5] of context.rules. cells, words, filters: context.store.
        tickets, signed, parcels: context.spans. desk: DESK[accounts].
        limits: int64 [after_ms, grace_ms, waiting_an_account, ticket_ms, signed_keep_ms, ticket_after_ms].
    """

    rules: NDArray[np.int64]
    cells: NDArray[np.void]
    words: NDArray[np.uint32]
    filters: NDArray[np.int64]
    tickets: NDArray[np.void]
    signed: NDArray[np.void]
    parcels: NDArray[np.void]
    desk: NDArray[np.void]
    limits: NDArray[np.int64]


class Pool(NamedTuple):
    """Looks that wait for a reason: `looks` WAITING[capacity]; `heads` SPAN cells: item -> newest look (in `since`)."""

    looks: NDArray[np.void]
    heads: NDArray[np.void]


N_EVENTS, N_WORK, N_ITEMS, N_POOL, N_TICKETS, N_SIGNED = range(6)


@kernel
def on_scan(
    fact: Row, used: NDArray[np.int64], cells: NDArray[np.void], index: NDArray[np.int32], posts: NDArray[np.void],
) -> int:  # fmt: skip
    """Leave the keys of a scan; how many were new. Few arrays come in: each one costs at every call."""
    waybill, time = fact.waybill, fact.time
    added = 0
    if (used[C_OUT] or used[C_COVER]) and fact.outlet:
        added += remember(cells, work_key(fact.outlet, waybill, T_OUT), time, 1)
    if (used[C_IN] or used[C_COVER]) and fact.next_outlet:
        added += remember(cells, work_key(fact.next_outlet, waybill, T_IN), time, 1)
    if used[C_HELD] and fact.status == HELD and fact.outlet:
        added += remember(cells, work_key(fact.outlet, waybill, T_HELD), time, 1)
    if used[C_ANY]:
        added += remember(cells, work_key(np.uint64(0), waybill, T_ANY), time, 1)
    if used[C_SCAN] and fact.account:
        added += remember(cells, work_key(fact.account, waybill, T_SCAN), time, 1)
    if used[C_SCAN] and fact.device:
        added += remember(cells, work_key(device_key(fact.device), waybill, T_SCAN), time, 1)
    if fact.status == PICKED_UP:
        added += remember(cells, work_key(np.uint64(0), waybill, T_PICKUP), time, 1)
    who, who_id = fact.assignee, fact.assignee_id
    if who == 0 and fact.status == OUT_FOR_DELIVERY:
        who, who_id = fact.account, fact.account_id
    if who:
        added += remember(cells, work_key(np.uint64(0), waybill, T_GIVEN), time, 1)
    if used[C_ASSIGNED] and who:
        added += remember(cells, work_key(who, waybill, T_ASSIGNED), time, 1)
        post, _ = post_at(index, posts, who_id, time)
        if used[C_TEAM] and post >= 0 and posts[post].supervisor:
            added += remember(cells, work_key(posts[post].supervisor, waybill, T_TEAM), time, 1)
    return added


@kernel
def stood_there(fact: Row, outlet: np.uint64, used: NDArray[np.int64], known: Known) -> int:
    """What others had said of a parcel before this scan of it (bits of EVENT.there); ask before `on_scan` leaves its keys.

    `outlet` is the account's own. A number that only the account itself ever scanned is known to nobody, and so no proof.
    """
    waybill, who, cells = fact.waybill, fact.account, known.cells
    if waybill == 0 or outlet == 0:
        return 0
    signed = known.signed[span_slot(known.signed, waybill)]
    if signed.key and signed.since < fact.time:
        return 0
    table = known.parcels.shape[0] > 1
    announced = work_key(outlet, waybill, T_IN)
    brought = seen_lately(cells, announced) or (table and holds(known.parcels, announced, fact.time, 0, NEVER))
    assigned = work_key(who, waybill, T_ASSIGNED)
    mine = seen_lately(cells, assigned) or (table and holds(known.parcels, assigned, fact.time, 0, NEVER))
    out = 0
    # such a scan is made at the customer's door, whatever outlet it names; a clerk's customer signs at the counter
    status = fact.status
    door = status == DELIVERED or status == PROBLEM or status == REFUSED or (mine and status == SIGNED_STATUS)
    if fact.outlet == outlet and not door:
        # without the own scans' keys nobody could tell that the last scan there was another's
        others = used[C_SCAN] and not seen_lately(cells, work_key(who, waybill, T_SCAN))
        if brought or (others and seen_lately(cells, work_key(outlet, waybill, T_OUT))):
            out |= AT_OUTLET
    if brought and mine:
        out |= ON_LIST
    return out


@kernel
def _cover(fact: Row, who_id: int, known: Known) -> None:
    desk = known.desk[who_id]
    slot = 0
    for k in range(COVERS):
        if desk.cover_outlet[k] == fact.outlet:
            slot = k
            break
        if desk.cover_until[k] < desk.cover_until[slot]:
            slot = k
    until = fact.until if fact.until else fact.time + known.limits[3]
    if fact.state != OPEN:
        until = fact.time + known.limits[1]
    desk.cover_outlet[slot] = fact.outlet
    desk.cover_since[slot] = fact.time
    desk.cover_until[slot] = until


@kernel
def on_ticket(fact: Row, type_classes: NDArray[np.int64], known: Known, counters: NDArray[np.int64]) -> None:
    """Open, change or close what a ticket explains; a cover ticket makes its account a helper of an outlet."""
    if fact.type == COVER:
        # a cover ticket that assigns nobody is the account's own
        who_id = fact.assignee_id if fact.assignee_id >= 0 else fact.account_id
        if who_id >= 0 and fact.outlet:
            _cover(fact, who_id, known)
        return
    time, waybill, who, nobody = fact.time, fact.waybill, fact.assignee, np.uint64(0)
    opening = fact.state == OPEN
    until = fact.until if fact.until else time + known.limits[3]
    # what the ticket was opened as: a closing row need not say its type again, and closes no other ticket's span
    state = known.tickets[span_slot(known.tickets, work_key(nobody, fact.ticket, T_STATE))]
    added = 1 if state.key == 0 else 0
    was_open = state.key != 0 and state.open == 1
    classes = type_classes[fact.type] | (state.last if was_open else 0)
    state.key, state.since, state.last = work_key(nobody, fact.ticket, T_STATE), time, classes
    state.until, state.open = max(state.until, until), 1 if opening else 0
    if not opening:
        until = time + known.limits[1]
    for c in range(CLASSES_MAX):
        if not classes >> c & 1:
            continue
        if waybill:
            added += _hold(known.tickets, work_key(nobody, waybill, T_EVERY + c), time, until, opening, was_open)
            tag = T_MINE if who else T_UNASSIGNED
            added += _hold(known.tickets, work_key(who, waybill, tag + c), time, until, opening, was_open)
        else:
            added += _hold(known.tickets, work_key(who, fact.ticket, T_NAMED + c), time, until, opening, was_open)
    counters[N_TICKETS] += added


@kernel
def _hold(tickets: NDArray[np.void], key: np.uint64, time: int, until: int, opening: bool, was_open: bool) -> int:
    if opening:
        return open_ticket(tickets, key, time, until, not was_open)
    return close_ticket(tickets, key, time, until, was_open)
