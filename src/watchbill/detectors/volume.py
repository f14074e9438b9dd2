"""Volume. Catches: accounts that look far more often in an hour than they themselves and their peers ever do.

Misses: harvests inside normal volume, and machines that spread over many accounts.

Per account and hour the count of first looks is geometric under the null (a Poisson rate with a Gamma(1) of its own: as
overdispersed as honest hours are) with mean mu, and geometric with mean 6 mu under the alternative; each further look
multiplies M by the ratio of the hazards of "one more", each hour that ends by the ratio of "no more" (a likelihood ratio
of the censored count, so a martingale under the null). mu = own Gamma-Poisson rate over peers' profile by hour, times the
surge that the role as a whole shows in the hour before, times how far the role's honest bursts go beyond a geometric's
(both published). Learning is winsorised and stops under suspicion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOOK
from watchbill.core.kernel import Row, kernel
from watchbill.detectors.base import CONFIRMED, DetectorBase, Example, ForPerson, Surroundings
from watchbill.detectors.kernels import NATS_MAX, example_looks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

ROW: Final = np.dtype(
    [
        ("log_m", np.float32),
        ("count", np.float32),  # looks in the running hour
        ("mu", np.float32),  # honest mean of the running hour, 0 = never seen
        ("looks", np.float32),  # decayed looks (winsorised)
        ("expected", np.float32),  # decayed looks that the peers' profile expected in the same hours
        ("clock", np.int32),  # running hour: local day * 24 + hour
        ("bursts", np.float32),  # how far the role's bursts raised the running hour's mean
        ("role", np.uint8),
    ],
    align=True,
)
TIMES: Final = 6.0
PRIOR_LOOKS: Final = 30.0
SUSPICIOUS_NATS: Final = 3.0
CAP_NATS: Final = np.float32(11.5)
"""Volume may ask for a reason, never stop anybody by itself: 0.02 * e^11.5 = 2e3 (an e-value that is cut stays one)."""
_DECAY_A_DAY: Final = 0.95
_MU_MIN: Final = 2.0
_SURGE_MAX: Final = 4.0
_SHARE: Final = 0.02
BURST_BINS: Final = 64
BURST_STEP: Final = 0.5
_BURST_QUANTILE: Final = 0.99
_BURST_HOURS_MIN: Final = 200.0
_BURST_DECAY: Final = 0.998
_GEOMETRIC_99: Final = 4.6
"""The 99 % quantile of a geometric count in means. Where a role's honest hours go further (a station clears its shelves in one
evening hour), the mean is raised until it covers them."""
SURGE_SAID: Final = 1.25
"""From here on a role's surge is worth a word for its people."""


@kernel
def _hour_mean(row: Row, profile: float, surge: float) -> float:
    """Expected looks of an hour: Gamma-Poisson mean of the own multiple of the profile, shrunk to the peers' (1)."""
    own = (PRIOR_LOOKS + row.looks) / (PRIOR_LOOKS + row.expected)
    return float(max(_MU_MIN, own * profile * surge))


@kernel
def _close_hour(
    row: Row, profile: float, hours: int, totals: NDArray[np.float64], hours_of: NDArray[np.float64], bits: int
) -> None:
    """The running hour ends (and `hours` - 1 empty ones after it); `bits` as Surroundings.frozen.

    Who is suspected teaches neither himself nor the peers' profile; a surge is everybody's, so there he still counts.
    """
    row.log_m += np.log((1.0 + row.mu) / (1.0 + TIMES * row.mu))
    row.log_m = max(row.log_m, 0.0)
    if hours > 1:
        row.log_m = max(0.0, row.log_m - (hours - 1) * 1.0)
    top = row.mu * 5.0
    if not bits & CONFIRMED:
        totals[row.role, 24, 0] += min(row.count, top)
        totals[row.role, 24, 1] += profile
        totals[row.role, 25, 0] += 1.0
        times = row.count / (row.mu / max(row.bursts, np.float32(1)))
        hours_of[row.role, min(int(times / BURST_STEP), BURST_BINS - 1)] += 1.0
    if row.log_m < SUSPICIOUS_NATS and bits == 0:
        totals[row.role, row.clock % 24, 0] += min(row.count, top)
        totals[row.role, row.clock % 24, 1] += 1.0
        row.looks += min(row.count, top)
        row.expected += profile


@kernel
def _next_hour(
    row: Row,
    clock: np.int32,
    role: int,
    profile: NDArray[np.float64],
    surge: NDArray[np.float64],
    totals: NDArray[np.float64],
    spread: tuple[NDArray[np.float64], NDArray[np.float64]],
    bits: int,
) -> None:
    """Close the running hour, if there is one, and begin the hour `clock`."""
    if row.mu > 0:
        _close_hour(row, profile[row.role, row.clock % 24], min(clock - row.clock, 48), totals, spread[0], bits)
        if clock // 24 != row.clock // 24:
            row.looks *= _DECAY_A_DAY
            row.expected *= _DECAY_A_DAY
    if row.role != role:
        # the account's own rate stays what it was: only what peers would expect of it is another
        row.expected *= profile[role].sum() / max(profile[row.role].sum(), 1e-9)
    row.clock, row.count, row.role = clock, 0, role
    row.bursts = np.float32(spread[1][role])
    row.mu = _hour_mean(row, profile[row.role, clock % 24], surge[row.role]) * row.bursts


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], profile: NDArray[np.float64], surge: NDArray[np.float64],
    totals: NDArray[np.float64], spread: tuple[NDArray[np.float64], NDArray[np.float64]], frozen: NDArray[np.uint8],
    out: NDArray[np.float32],
) -> None:  # fmt: skip
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0:
            continue
        row = rows[event.account]
        if event.kind == LOOK and event.first and event.reveal:
            clock = np.int32(event.day * 24 + event.hour)
            if clock > row.clock or row.mu == 0:
                bits = int(frozen[event.account]) if event.account < frozen.shape[0] else 0
                _next_hour(row, clock, event.role, profile, surge, totals, spread, bits)
            row.count += 1
            honest, wrong = row.mu / (1.0 + row.mu), TIMES * row.mu / (1.0 + TIMES * row.mu)
            row.log_m = min(max(row.log_m, np.float32(0)) + np.log(wrong / honest), NATS_MAX)
        # the first looks of an hour are nothing: what counts is more than the hour's honest mean
        out[i] = min(max(row.log_m, np.float32(0)), CAP_NATS) if row.count > 3.0 * row.mu else 0


class Detector(DetectorBase):
    """Looks an hour against the account's own rate and its peers'."""

    family = "volume"
    row: ClassVar[np.dtype[Any]] = ROW
    tables = ("profile", "surge", "totals", "hours", "bursts")
    kept = ("mu", "looks", "expected", "clock", "role")
    text_en = "looked at far more customers in an hour than it or its peers do"
    text_zh = "单位时间查询量远超本人及同岗水平"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.profile = np.zeros((0, 24))
        self.surge = np.zeros(0)
        # by local hour (0-23): looks and hours that teach the profile; 24: looks and expected of all; 25: hours of all
        self.totals = np.zeros((0, 26, 2))
        self.hours = np.zeros((0, BURST_BINS))  # hours by how many times the mean they held, decayed
        self.bursts = np.zeros(0)

    def _prepare(self, around: Surroundings) -> None:
        self.grow(around.accounts)
        if self.profile.shape[0] != len(around.roles):
            # a working day of ten hours holds the role's usual looks until peers have shown their own profile
            self.profile = np.repeat(around.looks_a_day[:, None].astype(np.float64) / 10.0, 24, axis=1)
            self.surge = np.ones(len(around.roles))
            self.totals = np.zeros((len(around.roles), 26, 2))
            self.hours, self.bursts = np.zeros((len(around.roles), BURST_BINS)), np.ones(len(around.roles))

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class."""
        self._prepare(around)
        out = np.zeros(events.shape[0], np.float32)
        spread = (self.hours, self.bursts)
        _observe(events, self.rows, self.profile, self.surge, self.totals, spread, around.frozen, out)
        return out

    def publish(self, arrival: int, around: Surroundings) -> None:
        """Renew peers' profile by hour (shrunk to the settings' rate), each role's surge and bursts; start counting anew."""
        del arrival
        self._prepare(around)
        total = self.totals
        hours = total[:, :24, 1]
        seen = total[:, :24, 0] / np.maximum(hours, 1.0)
        weight = np.minimum(1.0, hours * _SHARE)
        self.profile += weight * np.where(hours > 0, seen - self.profile, 0.0)
        expected = total[:, 24, 1]
        ratio = np.where(expected > 0, total[:, 24, 0] / np.maximum(expected, 1e-9), 1.0)
        enough = np.minimum(1.0, total[:, 25, 0] / 20.0)
        self.surge = np.clip(1.0 + enough * (ratio - 1.0), 1.0, _SURGE_MAX)
        self.totals = np.zeros_like(total)
        held = self.hours.sum(axis=1)
        far = ((np.cumsum(self.hours, axis=1) >= _BURST_QUANTILE * held[:, None]).argmax(axis=1) + 1) * BURST_STEP
        self.bursts = np.where(held >= _BURST_HOURS_MIN, np.maximum(1.0, far / _GEOMETRIC_99), 1.0)
        self.hours *= _BURST_DECAY

    def for_person(self, event: np.void, around: Surroundings) -> tuple[ForPerson, ...]:
        """A surge that the whole role shows explains an hour's volume: its own size, in nats."""
        del around
        role = int(event["role"])
        surge = float(self.surge[role]) if role < self.surge.shape[0] else 1.0
        if surge < SURGE_SAID:
            return ()
        return (
            ForPerson(
                -float(np.log(surge)),
                "everybody in this role looks up more at this hour",
                "同岗位人员此时查询量普遍上升",
            ),
        )

    @classmethod
    def examples(cls) -> list[Example]:
        """A downloader, and a busy hour."""
        return [
            Example("six hundred customers in an hour", example_looks(590, gap_ms=6_000), found=True),
            Example("twenty customers an hour", example_looks(160, gap_ms=180_000), found=False),
        ]
