"""What detectors of habit share: small tables of what an account does, likelihoods of it against its peers, the running odds of another operator.

An account's profile is a block of cells (key, decayed count): a few dozen for the product, any power of two. What it does
next is as likely as the profile says, smoothed by what everybody else does (order 1 backs off to order 0, order 0 to the
crowd, the crowd to a uniform). The crowd is a table made anew once a day of everybody's profiles, read until the next.
A block of events is judged by the profile as it stood before the block, and taught to it only when the block passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.core.kernel import Row, kernel
from watchbill.detectors.base import DetectorBase, Surroundings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

CELL: Final = np.dtype([("key", np.uint32), ("count", np.float32)], align=True)
"""One thing done: its key (0 = empty) and how often, decayed."""
CROWD: Final = np.dtype([("key", np.uint32), ("count", np.float32), ("users", np.float32)], align=True)
"""One thing done by anybody: how often, and by how many accounts."""

SCRATCH: Final = np.dtype([("key", np.uint32), ("count", np.float32), ("nats", np.float32)], align=True)
"""One thing done in the running block, how often, and what a pair says for another operator."""

PROBES: Final = 12
"""A full neighbourhood loses its rarest cell, so a stranger's made-up words push out each other, not what is usual."""
WORDS: Final = 1_000.0
"""Things that one may do, for the uniform under everything; its order of magnitude is all that matters."""
SHY: Final = 1.0
"""Weight of the crowd under an account's own order 0, in events."""
BACK_OFF: Final = 2.0
"""Weight of order 0 under order 1, in events."""
UNIFORM: Final = 50.0
"""Weight of the uniform under the crowd, in events."""
CLIP_NATS: Final = 3.0
"""No single event speaks louder: an honest new program used thirty times is one surprise, not thirty."""
CROWD_MIN: Final = 3.0
"""Fewer peers than this are no crowd: the account is then judged by its own past alone."""
SAMPLE_MAX: Final = 20_000
"""Accounts of which the crowd is made (every k-th), so that making it anew costs the same at any size."""
ODDS_MAX: Final = 30.0
_DAY_MS: Final = 86_400_000

SUMS: Final = 5
"""What `chain` sums over a block: clipped order-1 surprise; first uses; those that are rare among peers (for: unknown to the
account, against: known to it); surprise of first pairs; first uses of what the account never did."""

ROW: Final = np.dtype(
    [
        ("last", np.int64),  # epoch ms of the latest event
        ("before", np.uint32),  # what was done before the running block
        ("held", np.int32),  # things that wait for the block to be full
        ("count", np.float32),  # events in the block last judged
        ("learned", np.float32),  # events in the profile, decayed
        ("odds", np.float32),  # log odds of another operator before the running block
        ("said", np.float32),  # log odds after the block last judged
        ("blocks", np.int32),  # blocks taught
        ("refused", np.int32),  # blocks since then that were not
        ("sums", np.float32, (SUMS,)),
    ],
    align=True,
)


@kernel
def key_of(before: np.uint32 | int, what: np.uint32 | int) -> np.uint32:
    """Key of the pair (before, what), never 0."""
    mixed = np.uint64(before) << np.uint64(32) | np.uint64(what)
    mixed = (mixed ^ mixed >> np.uint64(31)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ mixed >> np.uint64(29)) * np.uint64(0xBF58476D1CE4E5B9)
    return np.uint32(max((mixed ^ mixed >> np.uint64(32)) & np.uint64(0xFFFFFFFF), np.uint64(1)))


@kernel
def cell_at(cells: NDArray[np.void], key: np.uint32, put: bool) -> int:
    """The cell of `key`, or -1; with `put` it is made there, in place of the rarest of its neighbours when all are taken."""
    mask = np.uint64(cells.shape[0] - 1)
    at = (np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20) & mask
    rarest = at
    for _ in range(PROBES):
        if cells[at].key == key:
            return int(np.int64(at))
        if cells[at].key == 0:
            rarest = at
            break
        if cells[at].count < cells[rarest].count:
            rarest = at
        at = (at + np.uint64(1)) & mask
    if not put:
        return -1
    cells[rarest].key, cells[rarest].count = key, 0
    return int(np.int64(rarest))


@kernel
def count_of(cells: NDArray[np.void], key: np.uint32) -> float:
    """How often `key` was done, decayed."""
    at = cell_at(cells, key, False)
    return float(cells[at].count) if at >= 0 else 0.0


@kernel
def surprise(own: float, total: float, others: float, of: float) -> tuple[float, float]:
    """Shares of a thing in an account's own doing and in the others', order 0.

    Args:
        own: its count in the profile of `total` events. others: its count in the others' `of` events.
    """
    theirs = (others + UNIFORM / WORDS) / (of + UNIFORM)
    return (own + SHY * theirs) / (total + SHY), theirs


@kernel
def pair_nats(
    row: Row, own: NDArray[np.void], crowd: NDArray[np.void], head: NDArray[np.float64], part: float, what: np.uint32,
    pair: np.uint32, first: bool,
) -> float:  # fmt: skip
    """Nats for another operator that `what` was done after `row.before`: others' likelihood over own, order 1.

    Args:
        head: float64[2 or more], events and accounts in the crowd. part: 1.0 when this account is in it (it is then taken
            out). first: the first use of `what` in the block; its rarity is summed.
    """
    mine, mine_pair, mine_before = count_of(own, what), count_of(own, pair), count_of(own, row.before)
    theirs = theirs_pair = theirs_before = users = of = 0.0
    if head[1] >= CROWD_MIN:
        at = cell_at(crowd, what, False)
        if at >= 0:
            theirs, users = max(crowd[at].count - part * mine, 0.0), crowd[at].users
        theirs_pair = max(count_of(crowd, pair) - part * mine_pair, 0.0)
        theirs_before = max(count_of(crowd, row.before) - part * mine_before, 0.0)
        of = max(head[0] - part * row.learned, 0.0)
    self_0, other_0 = surprise(mine, row.learned, theirs, of)
    self_1 = (mine_pair + BACK_OFF * self_0) / (max(mine_before, mine_pair) + BACK_OFF)
    other_1 = (theirs_pair + BACK_OFF * other_0) / (max(theirs_before, theirs_pair) + BACK_OFF)
    if first:
        rare = 1.0 - (users - (part if mine > 0 else 0.0)) / max(head[1], 1.0)
        row.sums[1] += 1
        row.sums[2] += rare if mine == 0 else -rare
        row.sums[4] += 1 if mine == 0 else 0
    return float(np.log(other_1 / self_1))


@kernel
def chain(
    row: Row, own: NDArray[np.void], scratch: NDArray[np.void], crowd: NDArray[np.void], head: NDArray[np.float64],
    part: float, what: np.uint32,
) -> None:  # fmt: skip
    """Add to the block's sums (see `SUMS`) that `what` was done after `row.before`, and count it in the block's scratch.

    The profile stands still while a block is summed, so what a pair says is worked out at its first use alone. Only first
    uses count for all sums but one: what is done once is often done again at once.
    """
    pair = key_of(row.before, what)
    thing = scratch[cell_at(scratch, what, True)]
    thing.count += 1
    first = thing.count == 1
    cell = scratch[cell_at(scratch, pair, True)]
    cell.count += 1
    if cell.count == 1:
        cell.nats = pair_nats(row, own, crowd, head, part, what, pair, first)
        row.sums[3] += cell.nats
    row.sums[0] += min(max(cell.nats, -CLIP_NATS), CLIP_NATS)
    row.count += 1
    row.before = what


@kernel
def block_nats(row: Row, length: float, weights: NDArray[np.float64]) -> float:
    """Calibrated nats of the block just summed for another operator; one that is not full speaks in proportion."""
    if row.count == 0:
        return 0.0
    nats = weights[0]
    for k in range(SUMS):
        nats += weights[k + 1] * row.sums[k] / row.count
    return float(nats * min(1.0, row.count / length))


@kernel
def next_odds(odds: float, start: float, stay: float) -> float:
    """Log odds of another operator before the next block: who sits there stays with probability `stay`, comes with `start`."""
    p = 1.0 / (1.0 + np.exp(-min(max(odds, -ODDS_MAX), ODDS_MAX)))
    p = p * stay + (1.0 - p) * start
    return float(np.log(p / (1.0 - p)))


@kernel
def teach(own: NDArray[np.void], block: NDArray[np.void], fade: float) -> None:
    """Teach a block to a profile whose older events fade; the block is empty afterwards."""
    if fade < 1.0:
        for k in range(own.shape[0]):
            own[k].count *= fade
    for k in range(block.shape[0]):
        if block[k].key != 0:
            own[cell_at(own, block[k].key, True)].count += block[k].count
    forget(block)


@kernel
def forget(block: NDArray[np.void]) -> None:
    """Empty a block."""
    for k in range(block.shape[0]):
        block[k].key, block[k].count = 0, 0


@kernel
def sum_block(
    row: Row, own: NDArray[np.void], waiting: NDArray[np.uint32], scratch: NDArray[np.void], crowd: NDArray[np.void],
    head: NDArray[np.float64], part: float,
) -> None:  # fmt: skip
    """Sums of what waits, by the profile as it stands; 0 among them is a break after which nothing came before."""
    forget(scratch)
    row.count = 0
    for k in range(SUMS):
        row.sums[k] = 0
    for k in range(row.held):
        if waiting[k] == 0:
            row.before = 0
        else:
            chain(row, own, scratch, crowd, head, part, waiting[k])


@kernel
def judge_block(
    row: Row, own: NDArray[np.void], waiting: NDArray[np.uint32], scratch: NDArray[np.void], crowd: NDArray[np.void],
    head: NDArray[np.float64], part: float, plan: NDArray[np.float64], alone: NDArray[np.float64],
    among: NDArray[np.float64], frozen: bool,
) -> None:  # fmt: skip
    """A block is full: it is judged, then taught or refused, so it scores before it learns; `row.said` has the odds."""
    sum_block(row, own, waiting, scratch, crowd, head, part)
    row.held = 0
    peers = head[1] >= CROWD_MIN
    nats = block_nats(row, plan[0], among if peers else alone)
    odds = row.odds + nats
    if row.refused >= plan[6]:
        row.blocks = row.refused = 0
    green = row.blocks < plan[1]
    if not frozen and (green or odds < plan[5]):
        teach(own, scratch, plan[2])
        row.learned = row.learned * plan[2] + row.count
        row.blocks += 1
        row.refused = 0
    else:
        row.refused += 1
    base = np.log(plan[3] / (1.0 - plan[3]))
    row.said = base if green else odds
    row.odds = base if green else next_odds(odds, plan[3], plan[4])


@kernel
def gather_crowd(own: NDArray[np.void], learned: NDArray[np.float32], stride: int, crowd: NDArray[np.void]) -> int:
    """Fill the empty `crowd` from every `stride`-th profile; the number of accounts that had one."""
    users = 0
    for account in range(0, own.shape[0], stride):
        if learned[account] <= 0:
            continue
        users += 1
        for k in range(own.shape[1]):
            if own[account, k].key != 0:
                cell = crowd[cell_at(crowd, own[account, k].key, True)]
                if cell.count == 0:
                    cell.users = 0
                cell.count += own[account, k].count
                cell.users += 1
    return users


class HabitBase(DetectorBase):
    """Base of detectors that keep a profile of cells an account and a crowd.

    Class attributes:
        cells, block_cells, crowd_cells: sizes, powers of two. length: events of a block. green: blocks that are only learned.
        fade: what remains of a profile's counts at each block taught. start, stay: chance that another operator comes at,
            and stays for, a block. pass_odds: log odds under which a block is taught. refused_max: after so many blocks
            refused in a row the account is green again: it gets to know the new ways (the case was opened long before).
        alone, among: weights of a block's sums an event (intercept first) without and with a crowd, in nats a full block.
        voice: factor on the weights (under 1 where honest days of the lab's tuned worlds are noisier than the fit's data). hush: nats
            that are not said: about one honest account-day in a hundred of a tuned world gets over them.
        nats_max: how loud it may get.
    """

    family = "habit"
    row: ClassVar[np.dtype[Any]] = ROW
    tables: ClassVar[tuple[str, ...]] = ("own", "waiting", "crowd", "head")
    beside: ClassVar[tuple[str, ...]] = ("own", "waiting")
    kept: ClassVar[tuple[str, ...]] = ("learned", "blocks")
    cells: ClassVar[int] = 64
    block_cells: ClassVar[int] = 64
    crowd_cells: ClassVar[int] = 8_192
    length: ClassVar[int] = 100
    green: ClassVar[int] = 5
    fade: ClassVar[float] = 0.98
    start: ClassVar[float] = 0.2
    stay: ClassVar[float] = 0.8
    pass_odds: ClassVar[float] = 0.0
    refused_max: ClassVar[int] = 100
    alone: ClassVar[tuple[float, ...]]
    among: ClassVar[tuple[float, ...]]
    voice: ClassVar[float] = 1.0
    hush: ClassVar[float] = 0.0
    nats_max: ClassVar[float] = 6.0

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.own = np.zeros((0, self.cells), CELL)
        self.waiting = np.zeros((0, self.length), np.uint32)
        self.scratch = np.zeros(self.block_cells, SCRATCH)
        self.crowd = np.zeros(self.crowd_cells, CROWD)
        self.head = np.zeros(4)  # events and accounts in the crowd, every how many-th account, day it was made (UTC)
        self.head[2] = 1

    @property
    def plan(self) -> NDArray[np.float64]:
        """length, green, fade, start, stay, pass_odds, refused_max as kernels read them."""
        return np.array(
            [self.length, self.green, self.fade, self.start, self.stay, self.pass_odds, self.refused_max], np.float64
        )

    @property
    def base_odds(self) -> float:
        """Log odds of another operator where nothing speaks for or against."""
        return float(np.log(self.start / (1.0 - self.start)))

    def grow(self, accounts: int) -> None:
        """See the base class; profiles grow with the rows."""
        super().grow(accounts)
        more = self.rows.shape[0] - self.own.shape[0]
        if more > 0:
            self.own = np.concatenate([self.own, np.zeros((more, self.cells), CELL)])
            self.waiting = np.concatenate([self.waiting, np.zeros((more, self.waiting.shape[1]), np.uint32)])

    def blank(self, count: int) -> NDArray[np.void]:
        """See the base class."""
        rows = super().blank(count)
        for name in {"odds", "said"} & set(rows.dtype.names or ()):
            rows[name] = self.base_odds
        return rows

    def forgive(self, account: int) -> None:
        """See the base class; the running block is forgotten too, the profile stays."""
        super().forgive(account)
        self.drop(np.array([account]))

    def publish(self, arrival: int, around: Surroundings) -> None:
        """Make the crowd anew at the first tick of a day (UTC)."""
        self.grow(around.accounts)
        day = arrival // _DAY_MS
        if day != self.head[3]:
            self.gather(day)

    def gather(self, day: int = 0) -> None:
        """Make the crowd of the profiles as they stand."""
        stride = 1 + self.own.shape[0] // SAMPLE_MAX
        self.crowd = np.zeros(self.crowd_cells, CROWD)
        learned = self.rows["learned"].copy()
        users = gather_crowd(self.own, learned, stride, self.crowd)
        self.head = np.array([learned[::stride].sum(dtype=np.float64), users, stride, day])

    def score(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float64]:
        """float64[n]: log odds of another operator after each event (`base_odds` where it has no opinion)."""
        self.grow(around.accounts)
        out = np.full(events.shape[0], self.base_odds)
        alone, among = self.voice * np.array(self.alone), self.voice * np.array(self.among)
        self.walk(events, alone, among, around.frozen, out)
        return out

    def drop(self, accounts: NDArray[np.int64]) -> None:
        """Forget what waits of these accounts: somebody knows that it was not the owner's."""
        self.rows["held"][accounts] = 0

    def settle(self, account: int, *, learn: bool) -> NDArray[np.float64]:
        """Sum what waits of an account before its block is full, and empty it; with `learn` it is taught.

        Returns:
            float64[SUMS]: sums an event.
        """
        row = self.rows[account]
        part = 1.0 if account % int(self.head[2]) == 0 else 0.0
        sum_block(row, self.own[account], self.waiting[account], self.scratch, self.crowd, self.head, part)
        row["held"] = 0
        if learn:
            teach(self.own[account], self.scratch, self.fade)
            row["learned"] = row["learned"] * self.fade + row["count"]
        return np.asarray(row["sums"], np.float64) / max(float(row["count"]), 1.0)

    def walk(
        self, events: NDArray[np.void], alone: NDArray[np.float64], among: NDArray[np.float64],
        frozen: NDArray[np.uint8], out: NDArray[np.float64],
    ) -> None:  # fmt: skip
        """Run the detector's kernel over events; `out` float64[n] gets the log odds."""
        raise NotImplementedError

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class: how far the odds stand above where they began, cut at `nats_max`."""
        odds = self.score(events, around)
        return np.clip(odds - self.base_odds - self.hush, 0.0, self.nats_max).astype(np.float32)
