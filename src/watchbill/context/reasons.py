"""The streaming reason join: for each look, was there work that called for it, as far as was known when it arrived?

One pass in order of seq. Scans and tickets leave keys (who had work on which parcel); a look probes the keys of its
account's role; an unexplained look waits, and is taken back when its reason arrives late (RETRACT). Paths are declared in
settings (core/settings.py), never mined. Source of the method: shared/detection.md 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from watchbill.context.events import LOGIN, LOOK, RETRACT, WORK
from watchbill.context.facts import COVERS
from watchbill.context.feeds import EVERYWHERE, TICK, feed_tick
from watchbill.context.lone import AT, HOMELESS, device_key
from watchbill.context.roster import ACTIVE, UNKNOWN, Roster, post_at
from watchbill.context.rules import ANYONE, CLASSES, CLASSES_MAX, CODE_AT, RULES_MAX, SIGNED, WINDOW, Rules
from watchbill.context.shifts import Shifts, shift_at
from watchbill.context.spans import close_ticket, holds, open_span, open_ticket, span_slot
from watchbill.context.store import explains, latest_of, remember, seen_lately
from watchbill.core.hashing import combine, work_key
from watchbill.core.kernel import Row, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCAN: Final = 6
LOGIN_KIND: Final = 1
TICKET: Final = 7
FIRST_LOOK_KIND: Final = 2
LAST_LOOK_KIND: Final = 5
SUCCESS: Final = 1
PICKED_UP: Final = 2
OPEN: Final = 1
OUT_FOR_DELIVERY: Final = 5
HELD: Final = 7
SIGNED_STATUS: Final = 8
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
        limits: int64 [after_ms, grace_ms, waiting_an_account, ticket_ms, signed_keep_ms].
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
def _on_scan(
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
def _on_ticket(fact: Row, type_classes: NDArray[np.int64], known: Known, counters: NDArray[np.int64]) -> None:
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


@kernel
def _ticket_holds(
    known: Known, rule: NDArray[np.int64], who: np.uint64, item: np.uint64, ticket: np.uint64, time: int
) -> bool:
    window, early, nobody = rule[WINDOW], known.limits[0], np.uint64(0)
    for c in range(CLASSES_MAX):
        if not rule[CLASSES] >> c & 1:
            continue
        if item:
            if holds(known.tickets, work_key(who, item, T_MINE + c), time, early, window):
                return True
            tag = T_EVERY if rule[ANYONE] else T_UNASSIGNED
            if holds(known.tickets, work_key(nobody, item, tag + c), time, early, window):
                return True
        if ticket:
            if holds(known.tickets, work_key(who, ticket, T_NAMED + c), time, early, window):
                return True
            if holds(known.tickets, work_key(nobody, ticket, T_NAMED + c), time, early, window):
                return True
    return False


@kernel
def _work_holds(known: Known, key: np.uint64, time: int, window: int, latest: int) -> bool:
    if explains(known.cells, known.words, known.filters, key, time, window, latest):
        return True
    return known.parcels.shape[0] > 1 and holds(known.parcels, key, time, 0, NEVER)


@kernel
def _covered(known: Known, account: int, item: np.uint64, time: int, window: int, latest: int) -> bool:
    desk = known.desk[account]
    for k in range(COVERS):
        outlet = desk.cover_outlet[k]
        if outlet and desk.cover_since[k] - known.limits[0] <= time < desk.cover_until[k]:
            if _work_holds(known, work_key(outlet, item, T_OUT), time, window, latest):
                return True
            if _work_holds(known, work_key(outlet, item, T_IN), time, window, latest):
                return True
    return False


@kernel
def _path(code: int, who: np.uint64, outlet: np.uint64) -> tuple[np.uint64, int]:
    """(owner, tag) of the work key that a template asks for; owner 0 where the account has no outlet."""
    if code == C_OUT:
        return outlet, T_OUT
    if code == C_IN:
        return outlet, T_IN
    if code == C_HELD:
        return outlet, T_HELD
    if code == C_SCAN:
        return who, T_SCAN
    if code == C_TEAM:
        return who, T_TEAM
    return who, T_ASSIGNED


@kernel
def _rule_holds(
    known: Known, rule: NDArray[np.int64], account: int, who: np.uint64, outlet: np.uint64, item: np.uint64,
    ticket: np.uint64, time: int, latest: int,
) -> bool:  # fmt: skip
    code, window = rule[CODE_AT], rule[WINDOW]
    if code == C_TICKET:
        return _ticket_holds(known, rule, who, item, ticket, time)
    if item == 0:
        return False
    if rule[SIGNED] > 0:
        cell = known.signed[span_slot(known.signed, item)]
        if cell.key and time > cell.since + rule[SIGNED]:
            return False
    if code == C_COVER:
        return account >= 0 and _covered(known, account, item, time, window, latest)
    if code == C_ANY:
        return _work_holds(known, work_key(np.uint64(0), item, T_ANY), time, window, latest)
    if code == C_LOOK:
        return _work_holds(known, work_key(who, item, T_LOOK), time, window, latest)
    owner, tag = _path(code, who, outlet)
    return owner != 0 and _work_holds(known, work_key(owner, item, tag), time, window, latest)


@kernel
def _reason_of(
    known: Known, role: int, account: int, who: np.uint64, outlet: np.uint64, item: np.uint64, ticket: np.uint64,
    time: int, latest: int,
) -> int:  # fmt: skip
    for at in range(RULES_MAX):
        rule = known.rules[role, at]
        if rule[CODE_AT] == 0:
            return 0
        if _rule_holds(known, rule, account, who, outlet, item, ticket, time, latest):
            return role * RULES_MAX + at + 1
    return 0


@kernel
def _wait(event: Row, desk: Row, pool: Pool, most: int, counters: NDArray[np.int64]) -> None:
    while desk.waiting >= most:
        # the oldest gives way: an account keeps its last looks (those explained meanwhile do not count)
        oldest = pool.looks[desk.waiting_head]
        desk.waiting -= oldest.alive
        oldest.alive = 0
        desk.waiting_head = oldest.next_of_account
    at = counters[N_POOL]
    counters[N_POOL] += 1
    look = pool.looks[at]
    look.item, look.time, look.arrival, look.seq = event.item, event.time, event.arrival, event.seq
    look.account, look.weight, look.alive, look.next_of_account = event.account, event.weight, 1, -1
    look.role, look.lone = event.role, event.lone
    head_cell = pool.heads[span_slot(pool.heads, event.item)]
    look.next_of_item = -1
    if head_cell.key:
        look.next_of_item = head_cell.since
    else:
        counters[N_ITEMS] += 1
        head_cell.key = event.item
    head_cell.since = at
    if desk.waiting == 0:
        desk.waiting_head = at
    else:
        pool.looks[desk.waiting_tail].next_of_account = at
    desk.waiting_tail = at
    desk.waiting += 1


@kernel
def _settle(
    fact: Row, row: int, known: Known, index: NDArray[np.int32], posts: NDArray[np.void], pool: Pool,
    hashes: NDArray[np.uint64], events: NDArray[np.void], counters: NDArray[np.int64],
) -> None:  # fmt: skip
    """A record that may explain came in for a parcel: take back the waiting looks at it that it explains."""
    cell = pool.heads[span_slot(pool.heads, fact.waybill)]
    if cell.key == 0:
        return
    at, before, after, walked = cell.since, np.int64(-1), known.limits[0], 0
    while at >= 0 and walked < CHAIN_MAX:
        look = pool.looks[at]
        here, at = at, np.int64(look.next_of_item)
        if not look.alive:  # it leaves the chain, so that the walk does not depend on when the pool was compacted
            if before < 0:
                cell.since = at
            else:
                pool.looks[before].next_of_item = at
            continue
        before = here
        walked += 1
        if fact.time > look.time + after:
            continue  # work that began later than that explains nothing, however late the news of it
        # late news: later work may already stand under the same key
        latest = NEVER if fact.arrival - fact.time > after else look.time + after
        post, _ = post_at(index, posts, look.account, look.time)
        role = posts[post].role if post >= 0 else known.rules.shape[0] - 1
        outlet = posts[post].outlet if post >= 0 else np.uint64(0)
        if look.lone:
            role = np.int32(look.role)
        who = hashes[look.account]
        reason = _reason_of(known, role, look.account, who, outlet, fact.waybill, fact.ticket, look.time, latest)
        if reason == 0:
            continue
        look.alive = 0
        known.desk[look.account].waiting -= 1
        counters[N_WORK] += remember(known.cells, work_key(who, fact.waybill, T_LOOK), look.time, 1)
        event = events[counters[N_EVENTS]]
        counters[N_EVENTS] += 1
        event.kind, event.seq, event.account, event.row, event.time = RETRACT, look.seq, look.account, row, look.time
        event.arrival, event.item, event.role, event.weight = fact.arrival, fact.waybill, role, look.weight
        event.outlet, event.reason, event.day, event.hour = outlet, reason, fact.day, fact.hour
        event.outlet_id = posts[post].outlet_id if post >= 0 else -1
        event.first, event.reveal, event.gated, event.canary, event.success, event.roster = 0, 0, 0, 0, 1, 0
        event.device, event.place, event.session, event.address, event.number = 0, -1, 0, 0, 0
        event.at, event.results, event.page, event.what, event.tenure_days = -1, 0, 0, 0, -1
        event.fields, event.assigned, event.fresh, event.own_scan, event.follows = 0, 0, 0, 0, 0
        event.persons, event.shift, event.lone = 1, 0, look.lone


@kernel
def _is_canary(fact: Row, subjects: NDArray[np.uint64], first: int, canaries: NDArray[np.void]) -> bool:
    if canaries.shape[0] <= 1:
        return False
    if fact.waybill and holds(canaries, fact.waybill, fact.time, 0, NEVER):
        return True
    for j in range(first, fact.subject_end):  # noqa: SIM110 - numba compiles a plain loop
        if holds(canaries, subjects[j], fact.time, 0, NEVER):
            return True
    return False


@kernel
def _begin(
    fact: Row, row: int, event: Row, roster: Roster, shifts: Shifts, feed: NDArray[np.void], clock: NDArray[np.int64],
    roles: NDArray[np.int64],
) -> None:  # fmt: skip
    """Fill what looks, logins and work share. `roles`: codes of the roles of strangers and of devices."""
    index, posts, unknown_role = roster.first, roster.posts, roles[0]
    post, status = post_at(index, posts, fact.account_id, fact.time)
    event.seq, event.row, event.account, event.kind = fact.seq, row, fact.account_id, LOGIN
    event.time, event.arrival, event.device, event.place = fact.time, fact.arrival, fact.device, fact.place
    event.day, event.hour, event.roster = fact.day, fact.hour, status
    event.success = 1 if fact.outcome <= SUCCESS else 0
    event.role, event.outlet, event.outlet_id = unknown_role, 0, -1
    event.item, event.weight, event.reason = 0, 0.0, 0
    event.first, event.reveal, event.gated, event.canary = 0, 0, 0, 0
    event.session, event.address, event.number, event.what = fact.session, fact.address, fact.number, fact.what
    event.at, event.results, event.page, event.fields = -1, fact.results, fact.page, fact.field_count
    event.assigned, event.fresh, event.own_scan, event.follows = 0, 0, 0, 0
    event.persons, event.tenure_days, event.lone = 1, -1, 0
    if post >= 0:
        event.role, event.outlet, event.outlet_id = posts[post].role, posts[post].outlet, posts[post].outlet_id
        event.persons = min(posts[post].persons, 255)
        if posts[post].since > 0 and event.time >= posts[post].since:
            event.tenure_days = min((event.time - posts[post].since) // DAY_MS, 32_000)
    event.shift = shift_at(shifts, fact.account_id, fact.time)
    if fact.lone:
        event.role, event.outlet_id, event.outlet, event.lone = roles[1], max(fact.lone - AT, -1), fact.outlet, 1
        event.roster = ACTIVE if fact.lone >= HOMELESS else UNKNOWN
    event.gated = feed[event.outlet_id].gated if event.outlet_id >= 0 else clock[EVERYWHERE]


@kernel
def _shown_key(fact: Row, who: np.uint64, item: np.uint64, subjects: NDArray[np.uint64], first: int) -> np.uint64:
    """What this look shows, as one key: the item, the customers and the fields; the same again reveals nothing new."""
    shown = combine(item, fact.field_set, T_SHOWN)
    for j in range(first, fact.subject_end):
        shown = combine(shown, subjects[j], T_SHOWN)
    return work_key(who, shown, T_SHOWN)


@kernel
def _whose(event: Row, cells: NDArray[np.void], who: np.uint64, item: np.uint64, time: int) -> None:
    """Whose parcel it is to deliver, how fresh it is, and whether this account had it in hand (recent days only)."""
    nobody = np.uint64(0)
    if latest_of(cells, work_key(nobody, item, T_GIVEN)) <= time:
        event.assigned = 1 if seen_lately(cells, work_key(who, item, T_ASSIGNED)) else 2
    picked = latest_of(cells, work_key(nobody, item, T_PICKUP))
    event.fresh = 1 if picked <= time <= picked + FRESH_MS else 0
    event.own_scan = 1 if seen_lately(cells, work_key(who, item, T_SCAN)) else 0


@kernel
def _on_work(fact: Row, event: Row, cells: NDArray[np.void], counters: NDArray[np.int64]) -> None:
    event.kind, event.item, event.at = WORK, fact.waybill, fact.outlet_id
    if fact.waybill == 0:
        return
    looked = latest_of(cells, work_key(fact.account, fact.waybill, T_LOOK))
    if looked <= fact.time <= looked + FOLLOW_MS:
        key = work_key(fact.account, fact.waybill, T_DONE)
        event.follows = 0 if seen_lately(cells, key) else 1
        counters[N_WORK] += remember(cells, key, fact.time, 0)


@kernel
def _on_look(
    fact: Row, event: Row, subjects: NDArray[np.uint64], first: int, known: Known, pool: Pool,
    counters: NDArray[np.int64],
) -> None:  # fmt: skip
    event.kind = LOOK
    item = fact.waybill
    if item == 0 and fact.subject_end > first:
        item = subjects[first]
    event.item = item
    account, time, after = fact.account_id, fact.time, known.limits[0]
    who = fact.account  # of a device that looks for itself, its own key
    latest = NEVER if fact.arrival - time > after else time + after
    event.reason = _reason_of(known, event.role, account, who, event.outlet, item, fact.ticket, time, latest)
    event.reveal = 1 if event.success and not fact.masked and not fact.decided else 0
    if item:
        _whose(event, known.cells, who, item, time)
    if item == 0:
        event.first = event.reveal
    elif event.success:
        key = work_key(who, item, T_LOOK)
        event.first = 0 if seen_lately(known.cells, key) else 1
        if event.reason > 0 or event.reveal:  # a masked look without a reason does not make the unmasked one a repeat
            counters[N_WORK] += remember(known.cells, key, time, 1 if event.reason > 0 else 0)
    if not event.reveal or event.reason > 0:
        return
    # evidence counts items, tokens count what is shown: another customer or field of the same item costs again
    key = _shown_key(fact, who, item, subjects, first)
    if item == 0 or not seen_lately(known.cells, key):
        event.weight = fact.weight
        counters[N_WORK] += remember(known.cells, key, time, 0)
        if account >= 0 and item:
            _wait(event, known.desk[account], pool, known.limits[2], counters)


@kernel
def advance(
    facts: NDArray[np.void], subjects: NDArray[np.uint64], rules: Rules, known: Known, roster: Roster, pool: Pool,
    shifts: Shifts, roles: NDArray[np.int64], feed: NDArray[np.void], clock: NDArray[np.int64],
    feed_settings: NDArray[np.float64], canaries: NDArray[np.void], hashes: NDArray[np.uint64], events: NDArray[np.void],
    counters: NDArray[np.int64],
) -> int:  # fmt: skip
    """Run the reason join over a batch, in order; all state is changed in place.

    Args:
        facts: FACT[n]; it may not cross a UTC hour of arrival (the caller rolls the work store at days).
        subjects: uint64, flat. known, pool: every table has room for the batch (the caller reserves).
        feed, clock, feed_settings: context.feeds. canaries: SPAN cells (one cell = none).
        hashes: uint64[accounts]: the hash of each dense account.
        roles: int64 [role of strangers, role of devices that look for themselves].
        events: EVENT, room for every look, login, work and waiting look.
        counters: int64 [events, work keys added, waiting items added, pool used, ticket keys, signed keys].

    Returns:
        How many events were written.
    """
    index, posts, used, cells, heads = roster.first, roster.posts, rules.used, known.cells, pool.heads
    counters[N_EVENTS] = 0
    start = 0
    for i in range(facts.shape[0]):
        fact = facts[i]
        if fact.arrival >= clock[TICK]:
            feed_tick(feed, clock, fact.arrival, feed_settings)
        kind = fact.kind
        if kind == SCAN:
            counters[N_WORK] += _on_scan(fact, used, cells, index, posts)
            if fact.status == SIGNED_STATUS:
                counters[N_SIGNED] += open_span(known.signed, fact.waybill, fact.time, fact.time + known.limits[4])
            if fact.outlet_id >= 0:
                feed[fact.outlet_id].now += 1
        elif kind == TICKET:
            _on_ticket(fact, rules.type_classes, known, counters)
        if (kind == SCAN or kind == TICKET) and fact.account_id >= 0:
            event = events[counters[N_EVENTS]]
            counters[N_EVENTS] += 1
            _begin(fact, i, event, roster, shifts, feed, clock, roles)
            _on_work(fact, event, cells, counters)
        elif kind >= LOGIN_KIND and (fact.account_id >= 0 or kind != LOGIN_KIND) and kind <= LAST_LOOK_KIND:
            event = events[counters[N_EVENTS]]
            counters[N_EVENTS] += 1
            _begin(fact, i, event, roster, shifts, feed, clock, roles)
            if kind != LOGIN_KIND:
                _on_look(fact, event, subjects, start, known, pool, counters)
                event.canary = 1 if _is_canary(fact, subjects, start, canaries) else 0
        if (kind == SCAN or kind == TICKET) and fact.waybill and heads[span_slot(heads, fact.waybill)].key:
            _settle(fact, i, known, index, posts, pool, hashes, events, counters)
        start = int(np.int64(fact.subject_end))
    return int(counters[N_EVENTS])
