"""Greedy fields. Catches: accounts that begin to ask for more fields, longer lists or deeper pages than they and their role do.

Who sells records wants them complete. Misses: harvests with the role's own screen and field set, roles whose screens show
everything, a few complete records a day among many, and, where the role is not known yet, an account's first five days.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from watchbill.context.events import LOOK
from watchbill.core.kernel import Row, kernel
from watchbill.detectors.base import Example, Surroundings
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.share_kernels import PASS, ShareDetector, Shares, day_mark, shares_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

CORRELATION: Final = 0.02
TIMES: Final = (5.0, 20.0, 80.0)
LOWEST: Final = 0.005
HIGHEST: Final = 0.006
SIZES: Final = 12
"""Sizes are counted up to here: fields as they are; results and pages by their logarithm, four steps a decade."""
KINDS: Final = 3
USUAL: Final = (0.95, 0.99, 0.99)
"""What is usual in a role covers these shares of its account-days, one vote each: nobody makes his habit everybody's."""
OFTEN: Final = 0.05
"""An account-day votes for the largest field count that makes this share of its looks, and for its longest list and page."""
_DAY_LOOKS_MIN: Final = 10
_COUNT_MAX: Final = 250
_VOTES_MIN: Final = 40.0
_DECAY: Final = 0.998
HABIT: Final = np.dtype(
    [
        ("day", np.int32),
        ("looks", np.int16),
        ("days", np.uint8),
        ("seen", np.uint8, (KINDS, SIZES)),
        ("most", np.uint8, (KINDS,)),  # largest sizes that are usual with it
        ("next", np.uint8, (KINDS,)),  # larger ones that may become so, and on how many days they were there
        ("times", np.uint8, (KINDS,)),
    ],
    align=True,
)
"""Of one account: today's looks by size (until there are _COUNT_MAX), and its own habit."""
LEARN_DAYS: Final = 5
"""A new account's first days are its habit; later a larger size becomes one after so many days."""


@kernel
def _size(count: int, kind: int) -> int:
    """Class of a count: itself for fields (kind 0), four steps a decade for results and pages."""
    if kind == 0 or count <= 0:
        return int(min(max(count, 0), SIZES - 1))
    return int(min(int(4.0 * np.log10(float(count))) + 1, SIZES - 1))


@kernel
def _learn(habit: Row, kind: int, top: int) -> None:
    """What was usual today becomes the account's habit: at once in its first days, else when it stays."""
    if top <= habit.most[kind]:
        return
    habit.times[kind] = habit.times[kind] + 1 if habit.next[kind] > 0 else 1
    habit.next[kind] = top if habit.times[kind] == 1 else min(habit.next[kind], top)
    if habit.days < LEARN_DAYS or habit.times[kind] >= LEARN_DAYS:
        habit.most[kind] = top if habit.days < LEARN_DAYS else habit.next[kind]
        habit.next[kind], habit.times[kind] = 0, 0


@kernel
def _is_over(habit: Row, sizes: tuple[int, int, int], usual: NDArray[np.int64]) -> bool:
    """Whether a size is over what is usual in the role (where that is known) and with the account.

    Lists that are a class longer than any are nothing yet, two classes (three times as long) are.
    """
    for kind in range(KINDS):
        known = usual[kind] >= 0 or kind == 0
        if known and sizes[kind] > max(usual[kind], np.int64(habit.most[kind])) + (1 if kind > 0 else 0):
            return True
    return False


@kernel
def _vote(habit: Row, role: int, tallies: NDArray[np.float64]) -> None:
    """The day that ends says what was usual in it."""
    for kind in range(KINDS):
        top = 0
        least = max(2.0, OFTEN * habit.looks) if kind == 0 else 1.0
        for size in range(SIZES):
            if habit.seen[kind, size] >= least:
                top = size
            habit.seen[kind, size] = 0
        if top > 0 and (habit.looks >= _DAY_LOOKS_MIN or kind > 0):
            tallies[role, kind, top] += 1.0
            _learn(habit, kind, top)
    if habit.looks >= _DAY_LOOKS_MIN:
        habit.days = min(habit.days + 1, 200)
    habit.looks = 0


@kernel
def _mark(
    events: NDArray[np.void], habits: NDArray[np.void], usual: NDArray[np.int64], tallies: NDArray[np.float64],
    out: NDArray[np.int8],
) -> None:  # fmt: skip
    for i in range(events.shape[0]):
        event = events[i]
        opened = event.first and event.reveal
        if event.account < 0 or event.kind != LOOK or not event.success or not (opened or event.results > 0):
            continue
        habit = habits[event.account]
        today = day_mark(event.day)
        if today > habit.day:
            _vote(habit, event.role, tallies)
            habit.day = today
        sizes = (_size(event.fields, 0) if opened else 0, _size(event.results, 1), _size(event.page, 2))
        if habit.looks < _COUNT_MAX:
            habit.looks += 1
            for kind in range(KINDS):
                habit.seen[kind, sizes[kind]] = min(habit.seen[kind, sizes[kind]] + 1, 255)
        if habit.days >= (1 if usual[event.role, 0] >= 0 else LEARN_DAYS):
            out[i] = 1 if _is_over(habit, sizes, usual[event.role]) else 0


class Detector(ShareDetector):
    """The share of looks that ask for more than is usual in the role."""

    family = "harvest"
    tables: ClassVar[tuple[str, ...]] = (*ShareDetector.tables, "habits", "usual", "tallies")
    beside = ("habits",)
    shares: ClassVar[Shares] = shares_of(LOWEST, HIGHEST, CORRELATION, TIMES)
    honest_max = 0.1
    carry = 0.0
    text_en = "asked for more fields, longer lists or deeper pages than its role does"
    text_zh = "索取的字段、列表或翻页明显多于同岗人员"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.habits: NDArray[np.void] = np.zeros(0, HABIT)
        self.usual = np.zeros((0, KINDS), np.int64)
        self.tallies = np.zeros((0, KINDS, SIZES))

    def grow(self, accounts: int) -> None:
        """See the base class; each row has its habit beside it."""
        super().grow(accounts)
        more = self.rows.shape[0] - self.habits.shape[0]
        if more > 0:
            self.habits = np.concatenate([self.habits, np.zeros(more, HABIT)])

    def _prepare(self, around: Surroundings) -> None:
        super()._prepare(around)
        if self.usual.shape[0] != len(around.roles):
            self.usual = np.full((len(around.roles), KINDS), -1)
            self.tallies = np.zeros((len(around.roles), KINDS, SIZES))

    def marks(self, events: NDArray[np.void]) -> NDArray[np.int8]:
        """First looks and lists; a hit asks for more than is usual in the role, or than the account ever did before."""
        out = np.full(events.shape[0], PASS, np.int8)
        _mark(events, self.habits, self.usual, self.tallies, out)
        return out

    def publish(self, arrival: int, around: Surroundings) -> None:
        """Renew what is usual in each role."""
        super().publish(arrival, around)
        total = self.tallies.sum(axis=2)
        rising = np.cumsum(self.tallies, axis=2) / np.maximum(total, 1e-9)[:, :, None]
        self.usual = np.where(
            total >= _VOTES_MIN, (rising >= np.array(USUAL)[None, :, None]).argmax(axis=2), -1
        ).astype(np.int64)
        self.tallies = self.tallies * _DECAY

    @classmethod
    def examples(cls) -> list[Example]:
        """Complete records from the third day on, a few a day; and the role's own fields."""
        days = np.concatenate([example_looks(80, start_day=20_000 + d) for d in range(10)])
        days["fields"] = np.where(np.arange(800) % 2, 1, 3)
        greedy = days[640:].copy()
        greedy["fields"][::10] = 6
        before = days[:640]
        return [
            Example(
                "phones and addresses, then complete records of both parties among them",
                greedy,
                found=True,
                before=before,
            ),
            Example("phones and addresses", days[640:], found=False, before=before),
        ]
