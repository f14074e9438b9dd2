"""Unexplained looks. Catches: accounts whose first looks stop having a declared reason, at 100 % within a handful.

Misses: harvests of parcels that the account's own work explains, and shares of unexplained looks that honest days also
reach (under about 30 %). Silent where feeds are down or where reasons explain too little.

An e-CUSUM (Shin, Ramdas, Rinaldo 2022): M = L * max(M, 1), alarm at M >= c has a mean time between false alarms of at
least c looks under the null. The null is a mixture over 16 rates truncated at 0.3, weighted by a Beta of the honest mean
and a day-to-day correlation of .05 and drawn half anew each local day, because honest rates differ between accounts and wander from day to day; the
alternative a mixture over rates that a renter shows. L is the ratio of the two predictive probabilities. A reason that
arrives late takes back the factor that its look applied, never more: M only falls, so the bound holds.
"""

from __future__ import annotations

from math import lgamma
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOOK, RETRACT
from watchbill.core.kernel import Row, kernel
from watchbill.detectors.base import DetectorBase, Example, Surroundings
from watchbill.detectors.kernels import NATS_MAX, LookNotes, example_looks, note_slot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

POINTS: Final = 16
WRONG: Final = np.array([0.4, 0.6, 0.8, 0.97], dtype=np.float32)
ROW: Final = np.dtype(
    [
        ("log_m", np.float32),
        ("day", np.int32),  # local day + 1, 0 = never seen
        ("since", np.int64),  # time of the look at which this run of evidence began
        ("null", np.float32, (POINTS,)),
        ("wrong", np.float32, (WRONG.shape[0],)),
    ],
    align=True,
)
HONEST_MEAN: Final = 0.03
CORRELATION: Final = 0.05
CARRY: Final = np.float32(0.5)
"""Share of yesterday's weights in today's: some honest accounts name no ticket on most days (fixed-share update)."""


def beta_grid(mean: float, correlation: float, top: float = 0.3) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(rates, weights) of a Beta(mean, correlation) truncated at `top`, on POINTS equal cells in square-root scale."""
    edges = np.linspace(0.0, top**0.5, POINTS + 1) ** 2
    rates = (edges[1:] + edges[:-1]) / 2
    a, b = mean * (1 - correlation) / correlation, (1 - mean) * (1 - correlation) / correlation
    log_density = (a - 1) * np.log(rates) + (b - 1) * np.log1p(-rates) - (lgamma(a) + lgamma(b) - lgamma(a + b))
    weights = np.exp(log_density) * np.diff(edges)
    return rates.astype(np.float32), (weights / weights.sum()).astype(np.float32)


@kernel
def _factor(row: Row, hit: bool, rates: NDArray[np.float32], wrong: NDArray[np.float32]) -> float:
    """The log of L for one look, then both mixtures learn from it."""
    under_null = under_wrong = 0.0
    for k in range(POINTS):
        row.null[k] *= rates[k] if hit else np.float32(1) - rates[k]
        under_null += row.null[k]
    for k in range(wrong.shape[0]):
        row.wrong[k] *= wrong[k] if hit else np.float32(1) - wrong[k]
        under_wrong += row.wrong[k]
    for k in range(POINTS):
        row.null[k] /= under_null
    for k in range(wrong.shape[0]):
        row.wrong[k] /= under_wrong
    return float(np.log(under_wrong / under_null))


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], rates: NDArray[np.float32], prior: NDArray[np.float32],
    wrong: NDArray[np.float32], factors: NDArray[np.void], out: NDArray[np.float32],
) -> int:  # fmt: skip
    added = 0
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0:
            continue
        row = rows[event.account]
        if event.kind == RETRACT:
            cell = factors[note_slot(factors, event.seq + 1)]
            if cell.key and cell.value > 0:
                row.log_m = max(row.log_m - cell.value, np.float32(0))
                cell.value = 0
        elif event.kind == LOOK and event.first and event.reveal and not event.gated:
            today = max(np.int64(event.day), np.int64(0)) + 1
            if row.day != today:
                keep = CARRY if row.day else np.float32(0)
                row.day = today
                for k in range(POINTS):
                    row.null[k] = keep * row.null[k] + (np.float32(1) - keep) * prior[k]
            if row.log_m <= 0:
                row.log_m, row.since = 0, event.time
                for k in range(wrong.shape[0]):
                    row.wrong[k] = np.float32(1) / wrong.shape[0]
            nats = _factor(row, event.reason == 0, rates, wrong)
            row.log_m = min(max(row.log_m, np.float32(0)) + nats, NATS_MAX)
            if event.reason == 0:
                cell = factors[note_slot(factors, event.seq + 1)]
                added += 1
                cell.key, cell.arrival, cell.value = event.seq + 1, event.arrival, nats
        out[i] = 0 if event.gated & 2 else max(row.log_m, np.float32(0))
    return added


class Detector(DetectorBase):
    """The e-CUSUM of unexplained first looks of an account."""

    family = "reason"
    row: ClassVar[np.dtype[Any]] = ROW
    kept = ("day", "null")
    text_en = "looked at customers that no work of this account explains"
    text_zh = "查看了与其工作无关的客户信息"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.rates, self.prior = beta_grid(HONEST_MEAN, CORRELATION)
        self.factors = LookNotes()
        # looks are let go at the end of a UTC day, so up to a day after `pending_hours`
        self.keep_ms = int((settings.reasons.pending_hours + 24) * 3_600_000)

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class."""
        self.grow(around.accounts)
        out = np.zeros(events.shape[0], np.float32)
        self.factors.reserve(events.shape[0])
        self.factors.held += int(_observe(events, self.rows, self.rates, self.prior, WRONG, self.factors.cells, out))
        return out

    def publish(self, arrival: int, around: Surroundings) -> None:
        """Forget the factors of looks that wait no longer."""
        del around
        self.factors.forget(arrival - self.keep_ms)

    def snapshot(self) -> dict[str, NDArray[np.generic]]:
        """Rows, and the factors of waiting looks."""
        return {"rows": self.rows.copy(), "factors": self.factors.snapshot()}

    def restore(self, saved: dict[str, NDArray[np.generic]]) -> None:
        """The inverse of `snapshot`."""
        self.rows = np.asarray(saved["rows"]).copy()
        self.factors.restore(np.asarray(saved["factors"]))

    @classmethod
    def examples(cls) -> list[Example]:
        """A renter, and two honest days."""
        renter = example_looks(60)
        renter["reason"][:40] = 1
        honest = example_looks(300)
        honest["reason"] = 1
        honest["reason"][::40] = 0
        careless = example_looks(300)
        careless["reason"] = 1
        careless["reason"][::6] = 0
        return [
            Example("forty explained looks, then twenty without a reason", renter, found=True),
            Example("an honest day: one look in forty without a reason", honest, found=False),
            Example("a careless day: one look in six without a reason", careless, found=False),
        ]
