"""The containment ladder: from an account's guarantee number, its token bucket and its standing to a decision a look.

Pure: standing and one event in, standing and a decision out, row by row in order of seq. A step is taken when the
guarantee number passes its threshold, expires by itself, and is relaxed when evidence is taken back. Nobody is suspended
for longer than it takes a person to look: after that the account works on with masked values; and an ended session is
followed by proof of presence, not by a locked door. A step that a person confirmed stays until a person lifts it (`hold`,
`release`); no looks and no late reason relax it. A step that settings put in shadow is never taken: the next lower one is
(`lowered`). How many accounts may be newly stepped up in an hour is bounded (responses/budget.py). A proof of presence frees
the place that proved (responses/presence.py); the account's looks from anywhere else still have to prove it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from watchbill.context.events import LOOK, RETRACT
from watchbill.core.kernel import Row, kernel
from watchbill.responses.budget import affords, note_active
from watchbill.responses.presence import (
    ELSEWHERE,
    FREE,
    NO_PROOF,
    PROOF,
    TENFOLD,
    Presence,
    begin_step,
    freedom,
    proven_by,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import PolicySettings

STEPS: Final = ("none", "mask", "ask_reason", "step_up", "throttle", "end_session", "suspend")
NONE, MASK, ASK_REASON, STEP_UP, THROTTLE, END_SESSION, SUSPEND = range(7)
DECISIONS: Final = ("allow", "mask", "ask_reason", "step_up", "throttle", "deny")
ALLOW, DO_MASK, DO_ASK, DO_STEP_UP, DO_THROTTLE, DENY = range(6)

STANDING: Final = np.dtype(
    [
        ("until", np.int64),  # when the step expires (arrival)
        ("quiet_until", np.int64),  # after a shut-out that nobody looked at: no step up before this
        ("since", np.int64),  # time of the first unexplained record of the running evidence
        ("records", np.int32),  # unexplained unmasked first looks since then
        ("step", np.uint8),
        ("held", np.uint8),  # the step that a person confirmed, 0 = none
        (
            "whole",
            np.uint8,
        ),  # 1: the mask is for every look (after a suspension); 0: for unexplained ones over the bound
    ],
    align=True,
)
"""Standing of an account."""

CHANGE: Final = np.dtype(
    [
        ("event", np.int32), ("account", np.int32), ("until", np.int64), ("since", np.int64), ("records", np.int32),
        ("old", np.uint8), ("new", np.uint8), ("proof", np.uint8), ("resumed", np.uint8),
    ],
    align=True,
)  # fmt: skip
"""One step up or down, or (`proof`: responses.presence.HOWS) a proof of presence; `resumed` = the same step again, for a look
from a place that proved nothing; `event` is the index of the event that made it; `since`, `records`: the standing's, just then."""

CHANGES_MAX: Final = 5
"""Most changes that one event can make: a shut-out over and what followed it too, a step back again or taken, the bucket's mask,
and one to spare."""
FOREVER: Final = np.iinfo(np.int64).max
"""`until` of a step that a person confirmed."""
_HOUR_MS: Final = 3_600_000


def thresholds(settings: PolicySettings) -> NDArray[np.float64]:
    """float64[7]: log guarantee number at which each step is taken (infinite for none and mask), nats."""
    inf = np.inf
    numbers = [inf, inf, settings.ask_reason_at, settings.step_up_at, settings.throttle_at]
    out: NDArray[np.float64] = np.log(np.array([*numbers, settings.end_session_at, settings.suspend_at]))
    return out


@kernel
def wanted_step(guarantee: float, limits: NDArray[np.float64]) -> int:
    """The highest step whose threshold the log guarantee number reaches."""
    for step in range(SUSPEND, MASK, -1):
        if guarantee >= limits[step]:
            return step
    return NONE


def enforced_steps(settings: PolicySettings) -> NDArray[np.uint8]:
    """uint8[7]: 1 for steps that are really taken, 0 for those in shadow."""
    out = np.ones(len(STEPS), np.uint8)
    if settings.mode == "shadow":
        out[MASK:] = 0
    out[[STEPS.index(name) for name in settings.shadow_steps]] = 0
    return out


@kernel
def lowered(step: int, enforced: NDArray[np.uint8]) -> int:
    """The highest step up to `step` that is enforced; nothing falls to a mask, which is the bucket's own."""
    while step > MASK and not enforced[step]:
        step -= 1
        if step == MASK:
            return NONE
    return step if enforced[step] else NONE


@kernel
def _change(
    standing: Row, event: int, account: int, step: int, until: int, changes: NDArray[np.void], count: int
) -> int:
    until = until if step else 0
    row = changes[count]
    row.event, row.account, row.until, row.old, row.new = event, account, until, standing.step, step
    row.since, row.records, row.proof, row.resumed = standing.since, standing.records, NO_PROOF, 0
    standing.step, standing.until = step, until
    return count + 1


@kernel
def _decision(standing: Row, free: bool, reveal: bool, unexplained: bool, short: bool) -> int:
    step = NONE if free and standing.step == STEP_UP else standing.step
    if step >= END_SESSION:
        return DENY
    if not reveal:
        return ALLOW
    if step == THROTTLE:
        return DO_THROTTLE
    if step == STEP_UP:
        return DO_STEP_UP
    if step == MASK and standing.whole:
        return DO_MASK
    if unexplained and short:
        return DO_MASK  # no typed text lifts the bound
    return DO_ASK if unexplained and step == ASK_REASON else ALLOW


@kernel
def _lapse(
    standing: Row, event: int, account: int, spans_ms: NDArray[np.int64], enforced: NDArray[np.uint8],
    changes: NDArray[np.void], count: int,
) -> int:  # fmt: skip
    """A step is over: what was confirmed stands again, a shut-out gives way to something milder, the rest to nothing.

    All of it follows from when the step ended, so that it is over without a further record of the account.
    """
    if standing.held:
        step = lowered(standing.held, enforced)
        return int(_change(standing, event, account, step, FOREVER, changes, count))
    milder = standing.until + spans_ms[0]
    if standing.step == SUSPEND:
        # nobody looked in time: the firm's failure, not the person's
        standing.whole, standing.quiet_until = enforced[MASK], milder
        return int(_change(standing, event, account, lowered(MASK, enforced), milder, changes, count))
    if standing.step == END_SESSION:
        # the session is over; whoever comes back proves presence, and is not shut out for longer than that
        standing.quiet_until = milder
        return int(_change(standing, event, account, lowered(STEP_UP, enforced), milder, changes, count))
    standing.whole = 0
    return int(_change(standing, event, account, NONE, 0, changes, count))


@kernel
def _settle(
    standing: Row, event: int, account: int, now: int, spans_ms: NDArray[np.int64], enforced: NDArray[np.uint8],
    changes: NDArray[np.void], count: int,
) -> int:  # fmt: skip
    """What is left of a standing at `now`: steps that are over lapse, and what settings put in shadow meanwhile falls."""
    while standing.step and now >= standing.until:
        count = _lapse(standing, event, account, spans_ms, enforced, changes, count)
    floor = lowered(standing.held, enforced)
    step = max(lowered(standing.step, enforced), floor)
    if step != standing.step:
        until = FOREVER if standing.held and step == floor else standing.until
        count = _change(standing, event, account, step, until, changes, count)
    return count


@kernel
def _prove(
    standing: Row, proof: Row, i: int, event: Row, free: bool, level: float, presence: Presence,
    enforced: NDArray[np.uint8], changes: NDArray[np.void], count: int,
) -> int:  # fmt: skip
    """Presence: a record that proves it frees its place and takes the step down; a look from elsewhere brings it back."""
    now = event.arrival
    if proof.rest_until <= now or not enforced[STEP_UP]:  # a step that settings put in shadow comes back to nobody
        proof.rest_until = 0
    if standing.step == STEP_UP and not standing.held:
        how = proven_by(proof, presence.whence[i], event, presence, level)
        if how == NO_PROOF:
            return count
        step, until = STEP_UP, standing.until
        if not proof.elsewhere:  # once looks came from elsewhere the account's step stands, and only the place is free
            proof.rest_until = standing.until
            step, until = NONE, 0
        count = _change(standing, i, event.account, step, until, changes, count)
        changes[count - 1].proof = how
    elif now < proof.rest_until and standing.step < STEP_UP and event.kind == LOOK and event.reveal and not free:
        until, proof.rest_until, proof.elsewhere = proof.rest_until, 0, 1
        standing.whole = 0
        count = _change(standing, i, event.account, STEP_UP, until, changes, count)
        changes[count - 1].resumed = 1
    return count


@kernel
def _hear_presence(
    standing: Row, proof: Row, i: int, event: Row, step: int, guarantee: float, limits: NDArray[np.float64],
    presence: Presence, enforced: NDArray[np.uint8], changes: NDArray[np.void], count: int,
) -> tuple[int, bool, bool]:  # fmt: skip
    """What an event says of presence: (changes so far, its place is free, proofs have answered the step that is wanted)."""
    shown, whence = event.kind == LOOK and event.reveal == 1, presence.whence[i]
    if shown and standing.step < STEP_UP:
        proof.inside = whence.office
    free = freedom(proof, whence, event.arrival, guarantee) == FREE
    # a step that is taken anew, or a higher one, comes in place of the old one
    grown = step == STEP_UP and guarantee >= proof.level + TENFOLD
    anew = event.arrival >= standing.quiet_until and (step > STEP_UP or grown)
    level = max(guarantee, float(limits[STEP_UP]))
    count = _prove(standing, proof, i, event, free or anew, level, presence, enforced, changes, count)
    where = freedom(proof, whence, event.arrival, guarantee)
    proof.seen = guarantee
    if guarantee < limits[STEP_UP] - TENFOLD:
        proof.spent = 0  # that evidence is gone
    # what was answered is asked again only where something is shown elsewhere; what is above it is taken everywhere
    answered = step <= STEP_UP and not standing.held and (where == FREE or (where == ELSEWHERE and not shown))
    return count, where == FREE and not standing.held, answered


@kernel
def _settle_one(
    standings: NDArray[np.void], now: int, spans_ms: NDArray[np.int64], enforced: NDArray[np.uint8],
    changes: NDArray[np.void],
) -> None:  # fmt: skip
    for i in range(standings.shape[0]):
        _settle(standings[i], 0, i, now, spans_ms, enforced, changes, 0)


def standing_at(
    standings: NDArray[np.void], now: int, spans_ms: NDArray[np.int64], enforced: NDArray[np.uint8]
) -> NDArray[np.void]:
    """Standings as they are at `now` (epoch ms of arrival), also without a further record; the given ones stay."""
    out = standings.copy()
    _settle_one(out, now, spans_ms, enforced, np.zeros(4, CHANGE))
    return out


@kernel
def _afforded(
    step: int, certain: bool, event: int, budget: NDArray[np.void], kind: int, own: Row, alerts: NDArray[np.int32],
    enforced: NDArray[np.uint8],
) -> int:  # fmt: skip
    """The step that an hour's budget leaves of a new one at step_up or above."""
    return step if affords(budget, kind, own, event, alerts, certain) else int(lowered(ASK_REASON, enforced))


@kernel
def _count_record(standing: Row, event: Row, guarantee: float) -> None:
    """Count an unexplained unmasked first look of the running evidence, which may begin anew with it."""
    if event.kind == LOOK and event.first and event.reveal and event.reason == 0:
        if guarantee <= 0 or standing.records == 0:
            standing.since, standing.records = event.time, 0
        standing.records += 1


@kernel
def _take(
    standing: Row, proof: Row, i: int, event: Row, step: int, spans_ms: NDArray[np.int64], changes: NDArray[np.void],
    count: int,
) -> int:  # fmt: skip
    """A higher step than the one that stands is taken."""
    standing.whole = 0
    if step >= STEP_UP:
        begin_step(proof, event, step > STEP_UP)
    until = event.arrival + (spans_ms[1] if step >= END_SESSION else spans_ms[0])
    if standing.held and step < END_SESSION:
        until = FOREVER
    return int(_change(standing, i, event.account, step, until, changes, count))


@kernel
def apply_policy(
    events: NDArray[np.void], guarantee: NDArray[np.float32], left: NDArray[np.float32], standings: NDArray[np.void],
    limits: NDArray[np.float64], relax: float, spans_ms: NDArray[np.int64], steps: NDArray[np.uint8],
    decisions: NDArray[np.uint8], records: NDArray[np.int32], changes: NDArray[np.void], enforced: NDArray[np.uint8],
    sure: NDArray[np.float32], kinds: NDArray[np.uint8], budget: NDArray[np.void], hours: NDArray[np.void],
    alerts: NDArray[np.int32], presence: Presence,
) -> int:  # fmt: skip
    """Run the ladder over events in order.

    Args:
        events: EVENT[n]. guarantee: float32[n], log. left: float32[n], tokens left, negative = over the bound.
        standings: STANDING[accounts], changed in place. limits: `thresholds`. relax: nats under a threshold at which a
            step is taken back. spans_ms: int64 [step, suspension, mask].
        steps: uint8[roles], 0 = settings take no steps for that role. decisions: uint8[n], filled for looks.
        records: int32[n], filled: the account's `records` after the event. changes: CHANGE[CHANGES_MAX n], filled.
        enforced: `enforced_steps`. sure: float32[n], log guarantee number of what no budget holds back (canaries).
        kinds: uint8[n], `budget.kinds_of`. budget: budget.BUDGET[KINDS], changed. hours: budget.HOURS per account, changed. alerts: int32[n], filled (budget.alerts of
            them): events at which an hour's budget turned out to be spent.
        presence: proofs (changed in place), and where each event comes from.

    Returns:
        How many changes were written.
    """
    count = 0
    budget[0].alerts = 0
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0:
            continue
        standing, proof = standings[event.account], presence.proofs[event.account]
        now = event.arrival
        if event.kind != RETRACT:
            note_active(budget, hours[event.account], now)
        if standing.step or standing.held:
            count = _settle(standing, i, event.account, now, spans_ms, enforced, changes, count)
        _count_record(standing, event, guarantee[i])
        records[i] = standing.records
        step = lowered(wanted_step(guarantee[i], limits), enforced) if steps[event.role] else NONE
        # a harvester of his own outlet's parcels must not talk himself free: above "ask" only evidence taken back relaxes
        # and being asked lasts an hour at least, so that it does not flicker
        asked_ms = now - (standing.until - spans_ms[0])
        may_relax = (standing.step == ASK_REASON and (asked_ms >= _HOUR_MS or event.kind == RETRACT)) or (
            standing.step > ASK_REASON and event.kind == RETRACT
        )
        if may_relax and not standing.held and guarantee[i] < limits[standing.step] - relax:
            until = now + spans_ms[0] if step else 0
            if step == END_SESSION:
                # what speaks for a person never shuts them out for longer
                until = min(standing.until, now + spans_ms[1])
            count = _change(standing, i, event.account, step, until, changes, count)
        if event.kind == RETRACT:
            if guarantee[i] < limits[STEP_UP] - relax:
                proof.rest_until = 0
            continue
        count, free, answered = _hear_presence(
            standing, proof, i, event, step, guarantee[i], limits, presence, enforced, changes, count
        )
        if step >= STEP_UP > standing.step and now >= standing.quiet_until and not answered:
            # a step that a proof let rest was taken and counted once; it comes back, or grows, whatever the hour's budget
            certain = standing.held > 0 or proof.rest_until > now or wanted_step(sure[i], limits) >= STEP_UP
            step = _afforded(step, certain, i, budget, kinds[i], hours[event.account], alerts, enforced)
        if step > standing.step and now >= standing.quiet_until and not answered:
            count = _take(standing, proof, i, event, step, spans_ms, changes, count)
        if event.kind == LOOK:
            short = left[i] < 0 and steps[event.role] == 1 and enforced[MASK] == 1
            if short and standing.step == NONE:
                count = _change(standing, i, event.account, MASK, now + spans_ms[2], changes, count)
            decisions[i] = _decision(standing, free, event.reveal == 1, event.reason == 0, short)
    return count


def hold(
    standings: NDArray[np.void], account: int, worst: int, enforced: NDArray[np.uint8] | None = None
) -> tuple[int, int]:
    """A person confirmed the misuse: the account is held at its case's worst step, at least proof of presence, without end.

    Where that step is in shadow (`enforced`) the next lower one stands.

    Returns:
        (old step, new step).
    """
    row = standings[account : account + 1]
    old = int(row["step"][0])
    held = max(old, worst, STEP_UP)
    new = held if enforced is None else int(lowered(held, enforced))
    row["held"], row["step"] = held, new
    row["until"], row["quiet_until"], row["whole"] = FOREVER if new else 0, 0, 0
    return old, new


def release(standings: NDArray[np.void], account: int) -> tuple[int, int]:
    """A person dismissed the suspicion, or lifted the step: the account stands as if nothing had been.

    Returns:
        (old step, NONE).
    """
    old = int(standings["step"][account])
    standings[account : account + 1] = np.zeros(1, STANDING)
    return old, NONE


def unproven(standings: NDArray[np.void], settings: PolicySettings) -> NDArray[np.void]:
    """PROOF[accounts] beside standings from before there were proofs: nothing is proven, how strong the evidence was is forgotten.

    A proof of who has to prove presence answers what is under the next step, which is taken whatever was proven.
    """
    out = np.zeros(standings.shape[0], PROOF)
    out["seen"][standings["step"] == STEP_UP] = np.log(settings.throttle_at)
    return out


def spans_ms(settings: PolicySettings) -> NDArray[np.int64]:
    """int64 [step, suspension, mask] in milliseconds."""
    return np.array([settings.step_hours * _HOUR_MS, settings.suspend_minutes * 60_000, _HOUR_MS], dtype=np.int64)
