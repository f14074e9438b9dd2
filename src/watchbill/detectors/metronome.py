"""Metronome. Catches: scripts and macros, whose pauses repeat each other far more exactly than a hand's ever do.

Misses: scripts that draw their pauses at random, and pauses too short for the clock of the log to tell apart.

A bet at each look: that its pause equals the one before to within a fiftieth. A hand's pauses are spread out: their logarithm
has a density of at most 0.8 (a normal one with deviation 0.5), so that the chance of a repeat is at most
0.8 * (2 / 50 + r / pause), r = what the clock resolves (a second where both stamps end in 000, else a millisecond); and never
less than twice what the account itself and its role (published) have shown. With that bound p the factor of a bet is
1 - s + s / p at a repeat and 1 - s otherwise: its mean is at most 1, whatever came before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOOK
from watchbill.core.kernel import Row, kernel
from watchbill.detectors.base import CONFIRMED, SUSPECTED, DetectorBase, Example, Surroundings
from watchbill.detectors.kernels import NATS_MAX, example_looks, is_frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

STAKE: Final = 0.2
DENSITY: Final = 0.8
WITHIN: Final = 0.02
PAUSE_MIN_MS: Final = 300
"""Shorter pauses are one act (a page that loads several records)."""
PAUSE_MAX_MS: Final = 30 * 60_000
P_MAX: Final = 0.5
"""Where a repeat is likelier than this there is no bet."""
TIMES: Final = 2.0
PRIOR_BETS: Final = 50.0
OFFER_MIN: Final = 500.0
"""Bets of a role before its own rate of repeats is believed."""
LEARN_UNDER_NATS: Final = 2.0
CAP_NATS: Final = np.float32(11.5)
"""As volume's: may ask for a reason, never stop anybody by itself."""
FLOOR: Final = np.float32(-3)
"""Capital is topped up to e^-3 only: false alarms come e^3 times more rarely than from 1, a script is found some looks later."""
FADE: Final = 0.999

ROW: Final = np.dtype(
    [
        ("last", np.int64),  # epoch ms of the latest look
        ("pause", np.int64),  # ms before it, 0 = none
        ("log_m", np.float32),
        ("bets", np.float32),  # decayed
        ("repeats", np.float32),  # decayed
    ],
    align=True,
)


@kernel
def repeat_chance(pause: int, clock_ms: int) -> float:
    """Bound on the chance that a hand's next pause equals this one (ms) to within WITHIN, by a clock of `clock_ms`."""
    return float(DENSITY * (2 * WITHIN + clock_ms / pause))


@kernel
def _bet(row: Row, pause: int, clock_ms: int, rate: float, learn: bool) -> int:
    """Settle the bet on `pause`: 1 at a repeat, 0 at none, -1 where there was no bet."""
    own = (row.repeats + PRIOR_BETS * 0.02) / (row.bets + PRIOR_BETS)
    p = max(repeat_chance(row.pause, clock_ms), TIMES * own, TIMES * rate)
    repeat = 1 if abs(pause - row.pause) <= WITHIN * row.pause else 0
    if p <= P_MAX:
        factor = 1.0 - STAKE + repeat * STAKE / p
        row.log_m = min(max(row.log_m, FLOOR) + np.log(factor), NATS_MAX)
    if learn and row.log_m < LEARN_UNDER_NATS:
        row.bets, row.repeats = row.bets * FADE + 1, row.repeats * FADE + repeat
    return repeat if p <= P_MAX else -1


@kernel
def _look(row: Row, time: int, role: int, rates: NDArray[np.float64], tally: NDArray[np.float64], learn: bool) -> None:
    """One look at `time` (epoch ms)."""
    pause = time - row.last
    if 0 <= pause < PAUSE_MIN_MS:
        return
    clock = 1_000 if time % 1_000 == 0 and row.last % 1_000 == 0 else 1
    row.last = time
    if pause < 0 or pause >= PAUSE_MAX_MS:
        row.pause = 0
        return
    came = _bet(row, pause, clock, rates[role], learn) if row.pause > 0 else -1
    if came >= 0 and learn:
        tally[role, 0] += came
        tally[role, 1] += 1
    row.pause = pause


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], rates: NDArray[np.float64], tally: NDArray[np.float64],
    frozen: NDArray[np.uint8], out: NDArray[np.float32],
) -> None:  # fmt: skip
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0:
            continue
        row = rows[event.account]
        if event.kind == LOOK:
            learn = not is_frozen(frozen, event.account, SUSPECTED | CONFIRMED)
            _look(row, event.time, event.role, rates, tally, learn)
        out[i] = min(max(row.log_m, np.float32(0)), CAP_NATS)


class Detector(DetectorBase):
    """Pauses between looks that repeat each other."""

    family = "habit"
    row: ClassVar[np.dtype[Any]] = ROW
    tables = ("rates", "tally")
    kept = ("last", "pause", "bets", "repeats")
    text_en = "looks in the even beat of a script"
    text_zh = "查询间隔高度均匀，疑似脚本或宏"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.rates = np.zeros(0)
        self.tally = np.zeros((0, 2))

    def _prepare(self, around: Surroundings) -> None:
        self.grow(around.accounts)
        if self.rates.shape[0] != len(around.roles):
            self.rates, self.tally = np.zeros(len(around.roles)), np.zeros((len(around.roles), 2))

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class."""
        self._prepare(around)
        out = np.zeros(events.shape[0], np.float32)
        _observe(events, self.rows, self.rates, self.tally, around.frozen, out)
        return out

    def publish(self, arrival: int, around: Surroundings) -> None:
        """Renew the roles' rates of repeats."""
        del arrival
        self._prepare(around)
        enough = self.tally[:, 1] >= OFFER_MIN
        self.rates = np.where(enough, self.tally[:, 0] / np.maximum(self.tally[:, 1], 1.0), self.rates)
        self.tally = np.where(enough[:, None], 0.0, self.tally)

    @classmethod
    def examples(cls) -> list[Example]:
        """A script every seven seconds, and a hand."""
        script = example_looks(120, gap_ms=7_000)
        script["time"] += np.resize(np.array([3, 41, 12, 77]), 120)
        hand = example_looks(120)
        pauses = np.resize(np.array([20_000, 65_000, 31_000, 140_000, 9_000, 47_000, 80_000]), 120)
        hand["time"] = hand["arrival"] = hand["time"][0] + pauses.cumsum()
        return [
            Example("a look every seven seconds", script, found=True),
            Example("pauses of a hand", hand, found=False),
        ]
