"""Off hours. Catches: a number that is used hours away from all its owner's shifts of the day, by night or on days off.

Misses: misuse during the owner's own hours and within three hours of them (overtime is honest), and accounts of whom no
shifts are known.

Rare events of an honest day, and bets on them each active day (detectors.kernels): an unmasked first look off shift more than
three hours after the account was last seen on shift; more than thirty of them; such looks in more than two different hours.
An early start cannot be told from a night while it lasts: when a shift begins within three hours of the first such look, the
day's bets are taken back (evidence only falls). Role by role a published share of honest days with such looks raises the
probabilities that are bet on; learning leaves out who is suspected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOOK, WORK
from watchbill.core.kernel import Row, kernel
from watchbill.detectors.base import SUSPECTED, DetectorBase, Example, Surroundings
from watchbill.detectors.kernels import STAKE, daily_stake, example_looks, is_frozen, rare_event
from watchbill.detectors.share_kernels import day_mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

P_FAR: Final = 4e-3
P_MANY: Final = 1e-3
P_LONG: Final = 1e-3
"""Daily probabilities of any far look, of more than MANY of them, and of such looks in more than HOURS hours."""
THIRD: Final = STAKE / 3
MANY: Final = 30
HOURS: Final = 2
NEAR_MS: Final = 3 * 3_600_000
ON: Final = 1
OFF: Final = 2
SAID_FAR: Final = 1
SAID_MANY: Final = 2
SAID_LONG: Final = 4
LEARN_UNDER_NATS: Final = 2.0
_DAYS_PRIOR: Final = 500.0
_DECAY: Final = 0.9995
_KINDS: Final = 3

ROW: Final = np.dtype(
    [
        ("seen_on", np.int64),  # when the account was last seen on shift (epoch ms), 0 = never
        ("first_far", np.int64),  # time of today's first far look
        ("log_m", np.float32),
        ("before", np.float32),  # log_m before today's bets paid
        ("day", np.int32),  # local day + 1, 0 = never seen
        ("far", np.int32),  # today's far looks
        ("hours", np.uint32),  # bits of the hours of today with such looks
        ("said", np.uint8),  # bets that were paid today
        ("role", np.uint8),
    ],
    align=True,
)


@kernel
def _bits(hours: np.uint32) -> int:
    count = 0
    for k in range(24):
        count += int((hours >> np.uint32(k)) & np.uint32(1))
    return count


@kernel
def _begin_day(row: Row, today: int, role: int, days: NDArray[np.float64], learn: bool) -> None:
    """Yesterday votes for its role's honest days; today's stake is paid."""
    if row.day > 0 and learn and row.before < LEARN_UNDER_NATS:
        days[row.role, _KINDS] += 1.0
        for k in range(_KINDS):
            days[row.role, k] += 1.0 if row.said & (1 << k) else 0.0
    row.day, row.far, row.hours, row.said, row.role = today, 0, 0, 0, role
    row.log_m = row.before = daily_stake(row.log_m)


@kernel
def _bet(row: Row, chances: NDArray[np.float64]) -> None:
    """Pay what today's far looks have won so far."""
    paid = 0.0
    for k in range(_KINDS):
        paid += THIRD / chances[k] if row.said & (1 << k) else 0.0
    if not row.said & SAID_FAR:
        row.log_m = rare_event(row.log_m, THIRD, chances[0], paid)
        row.said, paid = row.said | SAID_FAR, paid + THIRD / chances[0]
    if row.far > MANY and not row.said & SAID_MANY:
        row.log_m = rare_event(row.log_m, THIRD, chances[1], paid)
        row.said, paid = row.said | SAID_MANY, paid + THIRD / chances[1]
    if _bits(row.hours) > HOURS and not row.said & SAID_LONG:
        row.log_m = rare_event(row.log_m, THIRD, chances[2], paid)
        row.said |= SAID_LONG


@kernel
def _on_shift(row: Row, time: int) -> None:
    """The account is seen on shift: far looks of the last hours were an early start."""
    row.seen_on = max(row.seen_on, time)
    if row.said and 0 <= time - row.first_far <= NEAR_MS:
        row.log_m, row.far, row.hours, row.said = min(row.log_m, row.before), 0, 0, 0


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], chances: NDArray[np.float64], days: NDArray[np.float64],
    frozen: NDArray[np.uint8], out: NDArray[np.float32],
) -> None:  # fmt: skip
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0:
            continue
        row = rows[event.account]
        if event.kind == LOOK or event.kind == WORK:
            today = day_mark(event.day)
            look = event.kind == LOOK and event.first and event.reveal
            if look and event.shift != 0 and today > row.day:
                _begin_day(row, today, event.role, days, not is_frozen(frozen, event.account, SUSPECTED))
            if event.shift == ON:
                _on_shift(row, event.time)
            elif look and event.shift == OFF and not 0 <= event.time - row.seen_on <= NEAR_MS:
                if row.far == 0:
                    row.first_far = event.time
                row.far += 1
                row.hours |= np.uint32(1) << np.uint32(event.hour)
                _bet(row, chances[event.role])
        out[i] = max(row.log_m, np.float32(0))


class Detector(DetectorBase):
    """Looks far from the shifts of the account's owner."""

    family = "login"
    row: ClassVar[np.dtype[Any]] = ROW
    kept: ClassVar[tuple[str, ...]] = ("seen_on", "role")
    tables: ClassVar[tuple[str, ...]] = ("chances", "days")
    needs = ("shifts",)
    text_en = "was used hours away from its owner's shifts"
    text_zh = "在本人班次以外数小时使用"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.chances, self.days = np.zeros((0, _KINDS)), np.zeros((0, _KINDS + 1))

    def _prepare(self, around: Surroundings) -> None:
        self.grow(around.accounts)
        if self.chances.shape[0] != len(around.roles):
            self.chances = np.tile(np.array([P_FAR, P_MANY, P_LONG]), (len(around.roles), 1))
            self.days = np.zeros((len(around.roles), _KINDS + 1))

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class."""
        self._prepare(around)
        out = np.zeros(events.shape[0], np.float32)
        if not self.silent(around):
            _observe(events, self.rows, self.chances, self.days, around.frozen, out)
        return out

    def publish(self, arrival: int, around: Surroundings) -> None:
        """Renew the roles' probabilities: what was assumed, or what honest days show where that is more."""
        del arrival
        self._prepare(around)
        first = np.array([P_FAR, P_MANY, P_LONG])
        seen = (self.days[:, :_KINDS] + _DAYS_PRIOR * first) / (self.days[:, _KINDS:] + _DAYS_PRIOR)
        self.chances = np.clip(2.0 * seen, first, 0.5)
        self.days = self.days * _DECAY

    @classmethod
    def examples(cls) -> list[Example]:
        """A night of searching, and overtime."""
        day = example_looks(60, gap_ms=300_000)
        day["shift"] = ON
        night = example_looks(60, gap_ms=300_000)
        night["time"] += 14 * 3_600_000
        night["arrival"], night["shift"] = night["time"], OFF
        night["day"] += 1
        night["hour"] = (23 + np.arange(60) * 5 // 60) % 24
        late = example_looks(20, gap_ms=300_000)
        late["time"] += 5 * 3_600_000 + 600_000
        late["arrival"], late["shift"] = late["time"], OFF
        return [
            Example("sixty looks in a night off", np.concatenate([day, night]), found=True, nats_min=4.0),
            Example("an hour and a half of overtime", np.concatenate([day, late]), found=False, nats_min=4.0),
        ]
