"""Handover. Catches: another operator who came and stays: day by day other things done, other hours, other pauses, new customers, a new device.

Misses: an operator so like the former one that only the face differs, handovers before the account had ten active days, and
the first day of any.

A day is scored by how much better the peers' habits foretell it than the account's own: what was done, at which hours, with
which pauses (clipped log ratios an event), then how far the share of customers never looked at before, the day's volume and
the share of events on devices unknown to the profile stand from the account's own means. Weights are a logistic regression
on swapped staff in the first months of a real log (benchmarks/real.py, `--fit`); the device's is set by hand, that log has
none. What all peers' days show together (a peak day, an outage) is taken off. The odds go from day to day as an operator
does who stays. Days that do not pass are not learned; after thirty of them in a row the new ways are the account's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOGIN, LOOK, WORK
from watchbill.core.kernel import Row, kernel
from watchbill.detectors.base import CONFIRMED, SUSPECTED, Example, Surroundings
from watchbill.detectors.habit_kernels import (
    CELL,
    CLIP_NATS,
    CROWD_MIN,
    HabitBase,
    cell_at,
    count_of,
    forget,
    key_of,
    next_odds,
    surprise,
    teach,
)
from watchbill.detectors.kernels import example_looks, is_frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

PARTS: Final = 6
"""Parts of a day's score: what, hour, pause, known customers, volume, device."""
HOURS, PAUSES = 24, 24
SITTING_MS: Final = 12 * 3_600_000
OWN_DAYS: Final = 0.9
"""What remains of the means of volume, customers and devices at each day taught."""
SHY_DIAL: Final = 20.0
"""Weight of the crowd's hours and pauses under an account's own, in events."""
FULL_DAY: Final = 10.0
"""Events at which a day speaks at half its voice."""
DEVICE: Final = 0x5EED
SHIFT_MIN: Final = 5.0
"""Days of peers that must have ended for their common shift to be believed."""

ROW: Final = np.dtype(
    [
        ("last", np.int64),
        ("day", np.int32),
        ("blocks", np.int32),  # days taught
        ("refused", np.int32),
        ("count", np.float32),  # events of the running day, those with something to compare
        ("learned", np.float32),
        ("paused", np.float32),  # pauses in the profile, decayed
        ("odds", np.float32),
        ("sums", np.float32, (PARTS,)),  # nats of what, hour, pause; pauses; known customers; events on unknown devices
        ("means", np.float32, (3,)),  # own decayed sums over days: known share, log volume, unknown devices' share
        ("weight", np.float32),  # days in the means
    ],
    align=True,
)


@kernel
def _dial_nats(own: float, total: float, crowd: float, of: float, bins: int) -> float:
    """Clipped nats for another operator of one bin of hours or pauses."""
    theirs = (crowd + 1.0 / bins) / (of + 1.0)
    mine = (own + SHY_DIAL * theirs) / (total + SHY_DIAL)
    return float(min(max(np.log(theirs / mine), -CLIP_NATS), CLIP_NATS))


@kernel
def day_parts(row: Row, out: NDArray[np.float64]) -> None:
    """The day's parts so far, float64[PARTS], as the weights read them."""
    n = max(row.count, np.float32(1))
    days = max(row.weight, np.float32(1e-9))
    out[0], out[1] = row.sums[0] / n, row.sums[1] / n
    out[2] = row.sums[2] / max(row.sums[3], np.float32(1))
    out[3] = row.sums[4] / n - row.means[0] / days
    out[4] = abs(np.log(n) - row.means[1] / days)
    out[5] = row.sums[5] / n - row.means[2] / days


@kernel
def day_nats(row: Row, weights: NDArray[np.float64], shift: float, parts: NDArray[np.float64]) -> float:
    """Calibrated nats of the running day for another operator."""
    if row.count == 0:
        return 0.0
    day_parts(row, parts)
    nats = weights[0] - shift
    for k in range(PARTS):
        nats += weights[k + 1] * parts[k]
    return float(nats * row.count / (row.count + FULL_DAY) * (FULL_DAY + 50.0) / 50.0)


@kernel
def _close_day(
    row: Row, own: NDArray[np.void], block: NDArray[np.void], dials: NDArray[np.float32], today: NDArray[np.float32],
    nats: float, plan: NDArray[np.float64], frozen: bool, level: NDArray[np.float64],
) -> None:  # fmt: skip
    """The running day ends: taught or refused; the odds go on."""
    odds = row.odds + nats
    if row.refused >= plan[6]:
        row.blocks = row.refused = 0
    green = row.blocks < plan[1]
    if not green:
        level[0] += nats
        level[1] += 1
    if not frozen and (green or odds < plan[5]):
        teach(own, block, plan[2])
        n = row.count
        row.learned = row.learned * plan[2] + n
        row.paused = row.paused * plan[2] + row.sums[3]
        for k in range(dials.shape[0]):
            dials[k] = dials[k] * plan[2] + today[k]
        row.means[0] = row.means[0] * OWN_DAYS + row.sums[4] / n
        row.means[1] = row.means[1] * OWN_DAYS + np.log(n)
        row.means[2] = row.means[2] * OWN_DAYS + row.sums[5] / n
        row.weight = row.weight * OWN_DAYS + 1
        row.blocks += 1
        row.refused = 0
    else:
        forget(block)
        row.refused += 1
    row.odds = np.log(plan[3] / (1.0 - plan[3])) if green else next_odds(odds, plan[3], plan[4])
    today[:] = 0
    row.sums[:] = 0
    row.count = 0


@kernel
def _take(
    event: Row, row: Row, own: NDArray[np.void], block: NDArray[np.void], dials: NDArray[np.float32],
    today: NDArray[np.float32], crowd: NDArray[np.void], head: NDArray[np.float64], peers: NDArray[np.float64],
    part: float,
) -> None:  # fmt: skip
    """Add one event to the running day."""
    among = head[1] >= CROWD_MIN
    if event.what != 0:
        what = key_of(1, event.what)
        mine = count_of(own, what)
        theirs = max(count_of(crowd, what) - part * mine, 0.0) if among else 0.0
        of = max(head[0] - part * row.learned, 0.0) if among else 0.0
        self_share, other_share = surprise(mine, row.learned, theirs, of)
        row.sums[0] += min(max(np.log(other_share / self_share), -CLIP_NATS), CLIP_NATS)
        block[cell_at(block, what, True)].count += 1
    hour = min(max(int(event.hour), 0), HOURS - 1)
    row.sums[1] += _dial_nats(
        dials[hour],
        row.learned,
        max(peers[hour] - part * dials[hour], 0.0),
        max(peers[48] - part * row.learned, 0.0),
        HOURS,
    )
    today[hour] += 1
    pause = event.time - row.last
    if row.count > 0 and 0 <= pause < SITTING_MS:
        at, ms = HOURS, pause
        while ms > 1 and at < HOURS + PAUSES - 1:
            ms >>= 1
            at += 1
        row.sums[2] += _dial_nats(
            dials[at],
            row.paused,
            max(peers[at] - part * dials[at], 0.0),
            max(peers[49] - part * row.paused, 0.0),
            PAUSES,
        )
        row.sums[3] += 1
        today[at] += 1
    row.sums[4] += 1 - event.first
    if event.device != 0:
        key = key_of(DEVICE, np.uint32(event.device & np.uint64(0xFFFFFFFF)))
        row.sums[5] += 1 if count_of(own, key) == 0 else 0
        block[cell_at(block, key, True)].count += 1
    row.count += 1


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], own: NDArray[np.void], block: NDArray[np.void],
    dials: NDArray[np.float32], today: NDArray[np.float32], crowd: NDArray[np.void], head: NDArray[np.float64],
    peers: NDArray[np.float64], level: NDArray[np.float64], plan: NDArray[np.float64], weights: NDArray[np.float64],
    frozen: NDArray[np.uint8], out: NDArray[np.float64],
) -> None:  # fmt: skip
    parts = np.zeros(PARTS)
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0 or (event.kind != LOOK and event.kind != WORK and event.kind != LOGIN):
            continue
        a = event.account
        row = rows[a]
        if row.count == 0:
            row.day = max(row.day, event.day)
        if event.day > row.day:
            nats = day_nats(row, weights, level[2], parts)
            still = is_frozen(frozen, a, SUSPECTED | CONFIRMED)
            _close_day(row, own[a], block[a], dials[a], today[a], nats, plan, still, level)
            row.day = event.day
        if event.kind != LOGIN:
            part = 1.0 if a % int(head[2]) == 0 else 0.0
            _take(event, row, own[a], block[a], dials[a], today[a], crowd, head, peers, part)
            row.last = event.time
        if row.blocks >= plan[1]:
            out[i] = row.odds + day_nats(row, weights, level[2], parts)


class Detector(HabitBase):
    """Days of an account against its own past days and its peers."""

    row: ClassVar[np.dtype[Any]] = ROW
    tables: ClassVar[tuple[str, ...]] = ("own", "waiting", "block", "crowd", "head", "dials", "today", "peers", "level")
    beside: ClassVar[tuple[str, ...]] = ("own", "waiting", "block", "dials", "today")
    kept: ClassVar[tuple[str, ...]] = ("blocks", "learned", "paused", "means", "weight")
    cells: ClassVar[int] = 32
    block_cells: ClassVar[int] = 32
    crowd_cells: ClassVar[int] = 4_096
    green: ClassVar[int] = 10
    fade: ClassVar[float] = 0.95
    start: ClassVar[float] = 0.02
    stay: ClassVar[float] = 0.9
    refused_max: ClassVar[int] = 30
    among: ClassVar[tuple[float, ...]] = (-0.407, 1.997, 0.426, 1.670, -4.292, 0.094, 2.0)
    alone: ClassVar[tuple[float, ...]] = among
    text_en = "is worked by somebody else since some days: other things, hours, pauses or device"
    text_zh = "近日疑似换人操作：内容、时段、节奏或设备与以往不同"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.block = np.zeros((0, self.block_cells), CELL)
        self.waiting = np.zeros((0, 0), np.uint32)  # days do not wait: they are summed as they go
        self.dials = np.zeros((0, HOURS + PAUSES), np.float32)
        self.today = np.zeros((0, HOURS + PAUSES), np.float32)
        self.peers = np.zeros(HOURS + PAUSES + 2)  # everybody's hours and pauses, then how many of each
        self.level = np.zeros(5)  # of days ended since: nats, days; the shift taken off; usual nats, whether known

    def grow(self, accounts: int) -> None:
        """See the base class."""
        super().grow(accounts)
        more = self.rows.shape[0] - self.dials.shape[0]
        if more > 0:
            self.block = np.concatenate([self.block, np.zeros((more, self.block_cells), CELL)])
            self.dials = np.concatenate([self.dials, np.zeros((more, HOURS + PAUSES), np.float32)])
            self.today = np.concatenate([self.today, np.zeros((more, HOURS + PAUSES), np.float32)])

    def drop(self, accounts: NDArray[np.int64]) -> None:
        """See the base class."""
        self.rows["count"][accounts] = 0
        self.rows["sums"][accounts] = 0
        self.block[accounts] = np.zeros(1, CELL)
        self.today[accounts] = 0

    def gather(self, day: int = 0) -> None:
        """See the base class; hours, pauses and what peers' days showed together as well."""
        super().gather(day)
        stride = int(self.head[2])
        sums = self.dials[::stride].sum(axis=0, dtype=np.float64)
        self.peers = np.r_[sums, sums[:HOURS].sum(), sums[HOURS:].sum()]
        nats, days, _, usual, known = self.level
        if days < SHIFT_MIN:
            self.level[2] = 0.0
            return
        mean = nats / days
        usual = usual if known else mean
        self.level = np.array([0.0, 0.0, max(0.0, mean - usual), 0.95 * usual + 0.05 * mean, 1.0])

    def walk(
        self, events: NDArray[np.void], alone: NDArray[np.float64], among: NDArray[np.float64],
        frozen: NDArray[np.uint8], out: NDArray[np.float64],
    ) -> None:  # fmt: skip
        """See the base class."""
        weights = among if self.head[1] >= CROWD_MIN else alone
        _observe(
            events, self.rows, self.own, self.block, self.dials, self.today, self.crowd, self.head, self.peers,
            self.level, self.plan, weights, frozen, out,
        )  # fmt: skip

    def parts(self, around: Surroundings) -> NDArray[np.float64]:
        """float64[accounts, PARTS]: parts of each account's running day (what the weights are fitted on)."""
        out = np.zeros((around.accounts, PARTS))
        for account in range(min(around.accounts, self.rows.shape[0])):
            day_parts(self.rows[account], out[account])
        return out

    @classmethod
    def examples(cls) -> list[Example]:
        """Another person at another desk, and the owner on."""
        own = np.concatenate([example_looks(60, start_day=20_000 + day, gap_ms=90_000) for day in range(20)])
        own["what"] = np.resize(np.array([11, 12, 12, 13], np.uint32), len(own))
        own["device"] = 5
        other = own.copy()
        after = slice(15 * 60, None)
        other["what"][after] = np.resize(np.array([21, 12, 22], np.uint32), 5 * 60)
        other["device"][after], other["hour"][after] = 9, other["hour"][after] + 9
        other["time"][after] += 32_400_000 - np.arange(5 * 60) % 60 * 81_000
        return [
            Example("other things at other hours on another device for five days", other, found=True, nats_min=3.0),
            Example("the same days throughout", own, found=False, nats_min=3.0),
        ]
