"""Bounded loss. Catches: any run of unexplained unmasked looks, whatever the other detectors think, at its token count.

Misses: explained looks (they cost nothing), and harvests slower than the refill.

A token bucket an account: capacity max(8, own 99.9 % hourly quantile), refill at the own 99 % hourly quantile, neither
above the role's ceiling; each unexplained unmasked first look costs its weight; a late reason refunds. Own quantiles are
those of a negative binomial with the decayed mean of the account's unexplained looks an hour, learned winsorised so that
a harvest does not teach the bucket to allow harvests. Where reasons explain too little to be used, all first looks count
against four usual days of the role. A silent feed freezes evidence, never the bucket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOOK, RETRACT
from watchbill.core.kernel import Row, kernel
from watchbill.detectors.base import CONFIRMED, SUSPECTED, DetectorBase, Example, Surroundings
from watchbill.detectors.kernels import LookNotes, example_looks, is_frozen, note_slot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

ROW: Final = np.dtype(
    [
        ("last", np.int64),  # arrival up to which refill is paid
        ("spent", np.float32),  # tokens missing from the full bucket
        ("wide", np.float32),  # the same of the bucket of all looks, where reasons may not be used
        ("mean", np.float32),  # decayed mean of unexplained looks an active hour
        ("count", np.float32),  # unexplained looks in the running hour
        ("hour", np.int32),
    ],
    align=True,
)
CAPACITY_MIN: Final = 8.0
UNBOUNDED: Final = 1e9
WIDE_DAYS: Final = 4.0
"""Where reasons are no ground: all first looks of so many usual days of the role (settings: looks_a_day), a day."""
MEAN_START: Final = 0.25
_HOUR_MS: Final = 3_600_000
_LEARN: Final = 0.05
_Z99: Final = 2.326
_Z999: Final = 3.09


@kernel
def hourly_quantile(mean: float, z: float) -> float:
    """Upper quantile of a negative binomial with dispersion 1 (variance mean + mean^2), by its normal approximation."""
    return float(mean + z * np.sqrt(mean + mean * mean))


@kernel
def _refill(row: Row, arrival: int, ceiling: float, a_day: float, learn: bool) -> None:
    hour = np.int32(arrival // _HOUR_MS)
    if row.hour != hour:
        if row.hour:
            # an hour past the own 99.9 % is a harvest or an outage: it teaches nothing
            if learn and row.count <= max(CAPACITY_MIN, hourly_quantile(row.mean, _Z999)):
                row.mean += _LEARN * (min(row.count, hourly_quantile(row.mean, _Z99)) - row.mean)
        else:
            row.mean = MEAN_START
        row.hour, row.count = hour, 0
    if row.last:
        rate = min(hourly_quantile(row.mean, _Z99), ceiling)
        row.spent = max(0.0, row.spent - rate * max(0, arrival - row.last) / _HOUR_MS)
        row.wide = max(0.0, row.wide - WIDE_DAYS * a_day * max(0, arrival - row.last) / (24 * _HOUR_MS))
    row.last = max(row.last, arrival)


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], ceilings: NDArray[np.float32], a_day: NDArray[np.float32],
    charges: NDArray[np.void], frozen: NDArray[np.uint8], out: NDArray[np.float32],
) -> int:  # fmt: skip
    added = 0
    for i in range(events.shape[0]):
        event = events[i]
        out[i] = CAPACITY_MIN
        if event.account < 0:
            continue
        row = rows[event.account]
        ceiling = ceilings[event.role]
        if event.kind == RETRACT:
            note = charges[note_slot(charges, event.seq + 1)]
            row.spent = max(0.0, row.spent - note.value)  # what was masked took nothing and gives nothing back
            note.value = 0
        if event.kind != LOOK:
            continue
        learn = not is_frozen(frozen, event.account, SUSPECTED | CONFIRMED)
        _refill(row, event.arrival, ceiling, a_day[event.role], learn)
        capacity = min(max(CAPACITY_MIN, hourly_quantile(row.mean, _Z999)), ceiling)
        left = max(0.0, capacity - row.spent)
        if event.gated & 2:
            # no step may rest on reasons where they explain too little: there every first look counts, in a bucket of
            # some working days, so that the loss is bounded all the same
            if event.first and event.reveal:
                cost = max(event.weight, np.float32(1))
                left = max(0.0, WIDE_DAYS * a_day[event.role] - row.wide)
                if left >= cost:
                    row.wide += cost
                    left -= cost
                else:
                    left = -1.0 - left
        elif event.weight > 0 and event.reveal:
            row.count += 1
            if left >= event.weight:
                row.spent += event.weight
                left -= event.weight
                note = charges[note_slot(charges, event.seq + 1)]
                note.key, note.arrival, note.value = event.seq + 1, event.arrival, event.weight
                added += 1
            else:
                left = -1.0 - left
        elif event.reveal and event.reason == 0 and left < 1:
            # the same again, over the bound: it may be what was masked before
            left = -1.0 - left
        out[i] = left
    return added


class Detector(DetectorBase):
    """The token bucket of an account. Its output is not evidence: tokens left, negative where the look is over the bound."""

    family = "bound"
    row: ClassVar[np.dtype[Any]] = ROW
    kept = ("last", "mean", "count", "hour")
    text_en = "used up its allowance of unexplained unmasked records"
    text_zh = "无业务理由的明文查询已超过限额"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.charges = LookNotes()
        self.keep_ms = int((settings.reasons.pending_hours + 24) * _HOUR_MS)

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """float32[n]: tokens left after the event; -1 - left where this look needed more."""
        self.grow(around.accounts)
        out = np.zeros(events.shape[0], np.float32)
        # without a roster nobody's role is known, and so no usual day
        known = "accounts" in around.present
        a_day = around.looks_a_day if known else np.full_like(around.looks_a_day, UNBOUNDED)
        self.charges.reserve(events.shape[0])
        self.charges.held += int(
            _observe(events, self.rows, around.tokens_max, a_day, self.charges.cells, around.frozen, out)
        )
        return out

    def publish(self, arrival: int, around: Surroundings) -> None:
        """Forget what was charged for looks that wait no longer."""
        del around
        self.charges.forget(arrival - self.keep_ms)

    def snapshot(self) -> dict[str, NDArray[np.generic]]:
        """Rows, and the charges of waiting looks."""
        return {"rows": self.rows.copy(), "charges": self.charges.snapshot()}

    def restore(self, saved: dict[str, NDArray[np.generic]]) -> None:
        """The inverse of `snapshot`."""
        self.rows = np.asarray(saved["rows"]).copy()
        self.charges.restore(np.asarray(saved["charges"]))

    @classmethod
    def examples(cls) -> list[Example]:
        """For the bucket "found" means: over the bound at the end."""
        honest = example_looks(60)
        honest["reason"], honest["weight"] = 1, 0
        return [
            Example("nine unexplained records in a minute", example_looks(9, gap_ms=6_000), found=True, nats_min=-1),
            Example("sixty explained records", honest, found=False, nats_min=-1),
        ]
