"""The streaming reason join: for each look, was there work that called for it, as far as was known when it arrived?

One pass in order of seq. Scans and tickets leave keys (who had work on which parcel); a look probes the keys of its
account's role; an unexplained look waits, and is taken back when its reason arrives late (RETRACT). Paths are declared in
settings (core/settings.py), never mined. Source of the method: shared/detection.md 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from watchbill.context.events import CONFIRM, LOGIN, LOOK, RETRACT, WORK
from watchbill.context.facts import COVERS
from watchbill.context.feeds import EVERYWHERE, TICK, feed_tick
from watchbill.context.lone import AT, HOMELESS
from watchbill.context.roster import ACTIVE, UNKNOWN, Roster, post_at
from watchbill.context.rules import ANYONE, CLASSES, CLASSES_MAX, CODE_AT, RULES_MAX, SIGNED, WINDOW, Rules
from watchbill.context.shifts import Shifts, shift_at
from watchbill.context.spans import holds, open_span, span_slot
from watchbill.context.store import explains, latest_of, remember, seen_lately
from watchbill.context.traces import (
    C_ANY,
    C_COVER,
    C_HELD,
    C_IN,
    C_LOOK,
    C_OUT,
    C_SCAN,
    C_TEAM,
    C_TICKET,
    CHAIN_MAX,
    DAY_MS,
    FOLLOW_MS,
    FRESH_MS,
    LAST_LOOK_KIND,
    LOGIN_KIND,
    N_EVENTS,
    N_ITEMS,
    N_POOL,
    N_SIGNED,
    N_WORK,
    NEVER,
    SCAN,
    SIGNED_STATUS,
    SUCCESS,
    T_ANY,
    T_ASSIGNED,
    T_DONE,
    T_EVERY,
    T_GIVEN,
    T_HELD,
    T_IN,
    T_LOOK,
    T_MINE,
    T_NAMED,
    T_OUT,
    T_PICKUP,
    T_SCAN,
    T_SHOWN,
    T_TEAM,
    T_UNASSIGNED,
    TICKET,
    Known,
    Pool,
    on_scan,
    on_ticket,
    stood_there,
)
from watchbill.core.hashing import combine, work_key
from watchbill.core.kernel import Row, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


@kernel
def _ticket_holds(
    known: Known, rule: NDArray[np.int64], who: np.uint64, item: np.uint64, ticket: np.uint64, time: int
) -> bool:
    window, early, nobody = rule[WINDOW], known.limits[5], np.uint64(0)
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
        event.subject, event.subject_last = 0, 0
        event.at, event.results, event.page, event.what, event.tenure_days = -1, 0, 0, 0, -1
        event.fields, event.assigned, event.fresh, event.own_scan, event.follows = 0, 0, 0, 0, 0
        event.persons, event.shift, event.lone, event.there = 1, 0, look.lone, 0


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
    event.item, event.weight, event.reason, event.subject, event.subject_last = 0, 0.0, 0, 0, 0
    event.first, event.reveal, event.gated, event.canary = 0, 0, 0, 0
    event.session, event.address, event.number, event.what = fact.session, fact.address, fact.number, fact.what
    event.at, event.results, event.page, event.fields = -1, fact.results, fact.page, fact.field_count
    event.assigned, event.fresh, event.own_scan, event.follows = 0, 0, 0, 0
    event.persons, event.tenure_days, event.lone, event.there = 1, -1, 0, 0
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
    event.kind = CONFIRM if fact.decided else LOOK
    item = fact.waybill
    if item == 0 and fact.subject_end > first:
        item = subjects[first]
    event.item = item
    if fact.subject_end > first:
        event.subject, event.subject_last = subjects[first], subjects[fact.subject_end - 1]
    account, time, after = fact.account_id, fact.time, known.limits[0]
    who = fact.account  # of a device that looks for itself, its own key
    latest = NEVER if fact.arrival - time > after else time + after
    event.reason = _reason_of(known, event.role, account, who, event.outlet, item, fact.ticket, time, latest)
    if fact.decided:
        return
    event.reveal = 1 if event.success and not fact.masked else 0
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
        work = (kind == SCAN or kind == TICKET) and fact.account_id >= 0
        if work:
            event = events[counters[N_EVENTS]]
            _begin(fact, i, event, roster, shifts, feed, clock, roles)
            if kind == SCAN:
                event.there = stood_there(fact, event.outlet, used, known)
        if kind == SCAN:
            counters[N_WORK] += on_scan(fact, used, cells, index, posts)
            if fact.status == SIGNED_STATUS:
                counters[N_SIGNED] += open_span(known.signed, fact.waybill, fact.time, fact.time + known.limits[4])
            if fact.outlet_id >= 0:
                feed[fact.outlet_id].now += 1
        elif kind == TICKET:
            on_ticket(fact, rules.type_classes, known, counters)
        if work:
            counters[N_EVENTS] += 1
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
