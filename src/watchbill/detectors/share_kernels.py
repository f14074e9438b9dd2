"""What detectors of a *share* of an account's looks have in common: the honest share learned of the account and its role, and two tests.

`look by look`: an e-CUSUM (Shin, Ramdas, Rinaldo 2022) as in detectors/unexplained.py; the null is a mixture over rates of
a Beta about the account's own honest share with a day-to-day correlation, truncated at its far end, drawn half anew each
day; the alternative a mixture over rates beyond that. `day by day`: the ratio of the same mixtures for a whole day's counts,
for shares that honest batches drive within a day. Both ratios have mean at most 1 under the null, given what came before.

The honest share is the account's own (decayed, learned while nothing is suspected) shrunk to its role's and never under it;
a role whose accounts differ too much is silent, and one of which too few days are known leaves each account to its own past.
"""

from __future__ import annotations

from math import lgamma
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import numpy as np

from watchbill.context.events import LOOK, WORK
from watchbill.core.kernel import Row, kernel
from watchbill.detectors.base import SUSPECTED, DetectorBase, Surroundings
from watchbill.detectors.kernels import NATS_MAX, LookNotes, is_frozen, note_slot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

POINTS: Final = 8
WRONGS: Final = 3
LEVELS: Final = 32
BINS: Final = 24
PASS: Final = -1
"""Marks of events: PASS says nothing here, 0 an honest kind of look, 1 a hit; PAID: own work on an item, evidence goes back."""
PAID: Final = 2
VOID: Final = 3
"""The day says nothing: its scans were missing."""
LEARN_UNDER_NATS: Final = 3.0
CAUSE_NATS_MAX: Final = 7.0
DAY_LOOKS_MAX: Final = 200.0
_OWN_DECAY: Final = np.float32(0.95)
_PRIOR_LOOKS: Final = 100.0
_OWN_LOOKS_MIN: Final = 150.0
UNKNOWN: Final = -1.0
SILENT: Final = -2.0
"""Published in place of a role's honest share: too few days known; shares among which a harvest is nothing special."""
_VOTES_MIN: Final = 40.0
"""Account-days from which a role's honest share is known: from a dozen nobody could tell how far honest days lie apart."""
_VOTES_DECAY: Final = 0.998
_MASS_MIN: Final = 2e-9
_NOTE_MS: Final = 36 * 3_600_000
_WRONG_AT: Final = (0.25, 0.6, 0.95)

DAILY_ROW: Final = np.dtype(
    [
        ("log_m", np.float32),
        ("day", np.int32),  # local day + 1, 0 = never seen
        ("count", np.float32),  # looks of the day that say something, and hits among them
        ("hits", np.float32),
        ("own_count", np.float32),  # the same of earlier days, decayed
        ("own_hits", np.float32),
        ("role", np.uint8),
        ("level", np.uint8),
        ("speaks", np.uint8),  # 1: the honest share is known, of the role or of the account's own past
        ("void", np.uint8),  # 1: the running day says nothing (VOID)
    ],
    align=True,
)
LOOK_ROW: Final = np.dtype(
    [
        ("null", np.float32, (POINTS,)),
        ("wrong", np.float32, (WRONGS,)),
        ("gained", np.float32),  # nats of the running hour
        ("hour", np.int8),
        *((name, DAILY_ROW[name]) for name in DAILY_ROW.names or ()),
    ],
    align=True,
)
"""What the test by looks adds stands first: numba takes a row that only goes on further for one of the shorter kind."""


class Shares(NamedTuple):
    """Null and alternative at each level of the honest share.

    Attributes:
        level: float64[LEVELS], honest shares, rising. rates, weights: float64[LEVELS, POINTS] of the null's mixture.
        wrong: float64[LEVELS, WRONGS], rates of the alternative, of equal weight.
    """

    level: NDArray[np.float64]
    rates: NDArray[np.float64]
    weights: NDArray[np.float64]
    wrong: NDArray[np.float64]


def _cells(mean: float, correlation: float) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """(rates, weights, far end) of a Beta(mean, correlation) cut at its 99.9 % quantile, in POINTS cells of square-root scale."""
    a, b = mean * (1 / correlation - 1), (1 - mean) * (1 / correlation - 1)
    fine = (np.arange(20_000) + 0.5) / 20_000
    log_density = (a - 1) * np.log(fine) + (b - 1) * np.log1p(-fine) + lgamma(a + b) - lgamma(a) - lgamma(b)
    density = np.exp(log_density)
    density /= density.sum()
    far = float(fine[min(np.searchsorted(np.cumsum(density), 0.999), fine.shape[0] - 1)])
    near = float(fine[np.searchsorted(np.cumsum(density), 0.001)])
    edges = np.linspace(near**0.5, far**0.5, POINTS + 1) ** 2
    edges[0] = 0.0
    mass = np.histogram(fine, edges, weights=density)[0] + 1e-9
    middle = np.histogram(fine, edges, weights=density * fine)[0]
    rates = np.where(mass > _MASS_MIN, middle / mass, (edges[1:] + edges[:-1]) / 2)
    return np.clip(rates, 1e-5, 1 - 1e-5), mass / mass.sum(), far


def shares_of(
    lowest: float, highest: float, correlation: float, times: tuple[float, float, float] | None = None
) -> Shares:
    """Tables for honest shares from `lowest` to `highest` with a day-to-day correlation.

    The alternative lies beyond the null's far end, or, where a few hits among many looks are the thing, at `times` the share.
    """
    logit = np.linspace(np.log(lowest / (1 - lowest)), np.log(highest / (1 - highest)), LEVELS)
    level = 1 / (1 + np.exp(-logit))
    cells = [_cells(float(mean), correlation) for mean in level]
    wrong = np.array([[far + (1 - far) * at for at in _WRONG_AT] for _, _, far in cells])
    if times is not None:
        wrong = np.array([[min(mean * factor, 0.95) for factor in times] for mean in level])
    return Shares(
        level, np.array([c[0] for c in cells]), np.array([c[1] for c in cells]), np.clip(wrong, 0.0, 1 - 1e-4)
    )


@kernel
def day_mark(day: int) -> int:
    """A local day as rows keep it: from 1 on, so that 0 is "never seen"."""
    return int(min(max(np.int64(day), np.int64(0)), np.int64(2**31 - 2)) + 1)


@kernel
def mixture_nats(count: float, hits: float, rates: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Log of the mixture's probability of `hits` of `count` in one order."""
    top = -np.inf
    for j in range(rates.shape[0]):
        top = max(top, hits * np.log(rates[j]) + (count - hits) * np.log1p(-rates[j]))
    total = 0.0
    for j in range(rates.shape[0]):
        total += weights[j] * np.exp(hits * np.log(rates[j]) + (count - hits) * np.log1p(-rates[j]) - top)
    return float(top + np.log(total))


_EVEN: Final = np.full(WRONGS, 1.0 / WRONGS)


@kernel
def day_nats(count: float, hits: float, level: int, shares: Shares) -> float:
    """Nats against honest work in a day of `count` looks with `hits` among them."""
    return mixture_nats(count, hits, shares.wrong[level], _EVEN) - mixture_nats(
        count, hits, shares.rates[level], shares.weights[level]
    )


@kernel
def share_bin(share: float) -> int:
    """Where an account-day of this share votes: BINS of square-root scale."""
    return int(min(int(np.sqrt(share) * BINS), BINS - 1))


@kernel
def _close_day(row: Row, votes: NDArray[np.float64], shares: Shares, learn: bool, most: float, least: float) -> None:
    """The counts of a day of `least` looks become evidence (day by day: at most `most` nats) and, unless suspected, habit."""
    if row.count >= least and row.void == 0:
        if most > 0:
            nats = min(day_nats(row.count, row.hits, row.level, shares), most)
            row.log_m = min(max(row.log_m, np.float32(0)) + nats, NATS_MAX)
        share = row.hits / row.count
        votes[row.role, share_bin(share)] += 1.0
        if learn and row.log_m < LEARN_UNDER_NATS:
            part = min(np.float32(1), np.float32(DAY_LOOKS_MAX) / row.count)
            row.own_count = row.own_count * _OWN_DECAY + part * row.count
            row.own_hits = row.own_hits * _OWN_DECAY + part * row.hits
    row.count, row.hits, row.void = 0, 0, 0


@kernel
def _begin_day(row: Row, today: int, role: int, honest: float, shares: Shares, honest_max: float) -> bool:
    """Take up a new day; True where the honest share is another than yesterday's.

    The share is the account's own past shrunk to its role's, never under the role's, rounded up to a level; without a
    verdict on the role the account's own past speaks alone, if there is enough of it.
    """
    row.day = today
    if row.role != role:  # other work has other habits
        row.own_count, row.own_hits, row.role = 0, 0, role
    own = row.own_hits / max(row.own_count, np.float32(1))
    if honest >= 0:
        row.speaks = 1
        share = max(honest, (_PRIOR_LOOKS * honest + row.own_hits) / (_PRIOR_LOOKS + row.own_count))
    else:
        row.speaks = 1 if honest == UNKNOWN and row.own_count >= _OWN_LOOKS_MIN and own <= honest_max else 0
        share = own
    level = min(int(np.searchsorted(shares.level, share)), shares.level.shape[0] - 1)
    moved = bool(level != row.level)
    row.level = level
    if row.speaks == 0:
        row.log_m = 0
    return moved


@kernel
def _look_nats(row: Row, hit: bool, shares: Shares) -> float:
    """The log of L for one look, then both mixtures learn from it."""
    under_null = under_wrong = 0.0
    for k in range(POINTS):
        rate = np.float32(shares.rates[row.level, k])
        row.null[k] *= rate if hit else np.float32(1) - rate
        under_null += row.null[k]
    for k in range(WRONGS):
        rate = np.float32(shares.wrong[row.level, k])
        row.wrong[k] *= rate if hit else np.float32(1) - rate
        under_wrong += row.wrong[k]
    for k in range(POINTS):
        row.null[k] = max(row.null[k] / under_null, np.float32(1e-20))
    for k in range(WRONGS):
        row.wrong[k] = max(row.wrong[k] / under_wrong, np.float32(1e-20))
    return float(np.log(under_wrong / under_null))


@kernel
def _note_key(account: int, item: np.uint64) -> int:
    mixed = (item ^ np.uint64(account) * np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xD6E8FEB86659FD93)
    return int(np.int64(mixed >> np.uint64(2))) + 1


@kernel
def _take_back(row: Row, notes: NDArray[np.void], account: int, item: np.uint64) -> None:
    """The account worked on the item after all: the factor that its look applied goes, so M only falls."""
    cell = notes[note_slot(notes, _note_key(account, item))]
    if cell.key and cell.value > 0:
        row.log_m = max(row.log_m - cell.value, np.float32(0))
        row.hits = max(row.hits - np.float32(1), np.float32(0))
        cell.value = 0


@kernel
def _one_look(
    row: Row,
    event: Row,
    today: int,
    hit: bool,
    honest: float,
    shares: Shares,
    bounds: tuple[float, float, float, float],
) -> float:
    """One look of the look-by-look test; its nats."""
    if today > row.day or row.hour != event.hour:
        row.hour, row.gained = event.hour, 0
    if today > row.day:
        moved = _begin_day(row, today, event.role, honest, shares, bounds[0])
        keep = np.float32(0) if moved or row.null[0] == 0 else np.float32(bounds[1])
        for k in range(POINTS):
            row.null[k] = keep * row.null[k] + (np.float32(1) - keep) * np.float32(shares.weights[row.level, k])
        if moved or row.wrong[0] == 0:
            for k in range(WRONGS):
                row.wrong[k] = np.float32(1) / WRONGS
    if row.log_m <= 0:
        row.log_m = 0
        for k in range(WRONGS):
            row.wrong[k] = np.float32(1) / WRONGS
    nats = _look_nats(row, hit, shares) if row.speaks else 0.0
    # an hour that has said its most is not judged on: what is decided before a look may be any factor of mean 1
    nats = min(nats, bounds[2] - row.gained) if row.gained < bounds[2] else 0.0
    row.gained = max(row.gained + nats, np.float32(0))  # what the hour speaks for the person is not saved up
    row.log_m = min(max(row.log_m, np.float32(0)) + nats, NATS_MAX)
    return float(nats)


@kernel
def observe_looks(
    events: NDArray[np.void], marks: NDArray[np.int8], rows: NDArray[np.void], shares: Shares, honest: NDArray[np.float64],
    bounds: tuple[float, float, float, float], votes: NDArray[np.float64], frozen: NDArray[np.uint8], notes: NDArray[np.void], out: NDArray[np.float32],
) -> int:  # fmt: skip
    """The look-by-look test over events in order; how many notes were made. `bounds`: `honest_max`, `carry`, `cause_nats_max`, `day_looks_min`."""
    added = 0
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0:
            continue
        row = rows[event.account]
        if marks[i] == PAID:
            _take_back(row, notes, event.account, event.item)
        elif marks[i] >= 0:
            today = day_mark(event.day)
            if today > row.day:
                _close_day(row, votes, shares, not is_frozen(frozen, event.account, SUSPECTED), 0.0, bounds[3])
            nats = _one_look(row, event, today, marks[i] == 1, honest[event.role], shares, bounds)
            row.count += 1
            row.hits += marks[i]
            if marks[i] == 1 and row.speaks and event.item != np.uint64(0):
                cell = notes[note_slot(notes, _note_key(event.account, event.item))]
                added += 1 if cell.key == 0 else 0
                cell.key, cell.arrival, cell.value = _note_key(event.account, event.item), event.arrival, nats
        out[i] = max(row.log_m, np.float32(0))
    return added


@kernel
def observe_days(
    events: NDArray[np.void], marks: NDArray[np.int8], rows: NDArray[np.void], shares: Shares, honest: NDArray[np.float64],
    bounds: tuple[float, float, float, float], votes: NDArray[np.float64], frozen: NDArray[np.uint8], rare: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:  # fmt: skip
    """The day-by-day test: a day's counts speak when the next one begins, by no more than how rare such days are (`rare`)."""
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0:
            continue
        row = rows[event.account]
        if marks[i] == PAID:
            row.hits = max(row.hits - np.float32(1), np.float32(0))
        elif marks[i] == VOID:
            row.void = 1
        elif marks[i] >= 0:
            today = day_mark(event.day)
            if today > row.day:
                learn = not is_frozen(frozen, event.account, SUSPECTED)
                most = min(bounds[2], rare[row.role, share_bin(row.hits / max(row.count, np.float32(1)))])
                _close_day(row, votes, shares, learn, most if row.speaks == 1 else 0.0, bounds[3])
                _begin_day(row, today, event.role, honest[event.role], shares, bounds[0])
            row.count += 1
            row.hits += marks[i]
        out[i] = max(row.log_m, np.float32(0))


class ShareDetector(DetectorBase):
    """Base of the detectors of a share.

    Class attributes:
        shares: tables for the honest shares that can be. daily: judge whole days. honest_max: a role whose `high_at`
            quantile of honest days' shares is over this is silent: among such shares a harvest is nothing special. honest_at: the
            quantile of a role's account-days, one vote each, that stands for its honest share. carry: share of yesterday's weights of the null in today's.
            cause_nats_max: the most that the looks of one hour, or of a day where whole days are judged, may add: they have one cause
            (a sitting, an odd day) that no null foresees, and a step wants three. An e-value that is cut stays one.
            day_looks_min: days with fewer looks that say something teach nothing.
    """

    row: ClassVar[np.dtype[Any]] = LOOK_ROW
    tables: ClassVar[tuple[str, ...]] = ("votes", "honest", "rare")
    kept: ClassVar[tuple[str, ...]] = ("own_count", "own_hits", "role", "level")
    shares: ClassVar[Shares]
    daily: ClassVar[bool] = False
    honest_max: ClassVar[float] = 0.5
    high_at: ClassVar[float] = 0.9
    honest_at: ClassVar[float] = 0.5
    carry: ClassVar[float] = 0.5
    cause_nats_max: ClassVar[float] = CAUSE_NATS_MAX
    day_looks_min: ClassVar[float] = 10.0

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.votes = np.zeros((0, BINS))
        self.honest = np.zeros(0)
        self.rare = np.zeros((0, BINS))  # how rare days of such a share or a larger one are in each role, in nats
        self.notes = LookNotes()

    def marks(self, events: NDArray[np.void]) -> NDArray[np.int8]:
        """int8[n]: PASS, 0, 1 or PAID for each event."""
        raise NotImplementedError

    def _prepare(self, around: Surroundings) -> None:
        self.grow(around.accounts)
        if self.votes.shape[0] != len(around.roles):
            self.votes, self.honest = np.zeros((len(around.roles), BINS)), np.full(len(around.roles), UNKNOWN)
            self.rare = np.full((len(around.roles), BINS), self.cause_nats_max)

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class."""
        self._prepare(around)
        out = np.zeros(events.shape[0], np.float32)
        marks, state = (
            self.marks(events),
            (
                self.rows,
                self.shares,
                self.honest,
                (self.honest_max, self.carry, self.cause_nats_max, self.day_looks_min),
                self.votes,
                around.frozen,
            ),
        )
        if self.daily:
            observe_days(events, marks, *state, self.rare, out)
            return out
        self.notes.reserve(events.shape[0])
        self.notes.held += int(observe_looks(events, marks, *state, self.notes.cells, out))
        return out

    def publish(self, arrival: int, around: Surroundings) -> None:
        """Renew the honest share of each role; forget old notes."""
        self._prepare(around)
        self.notes.forget(arrival - _NOTE_MS)
        total = self.votes.sum(axis=1, keepdims=True)
        rising = np.cumsum(self.votes, axis=1) / np.maximum(total, 1e-9)
        edge = ((np.arange(BINS) + 1.0) / BINS) ** 2
        usual, high = edge[(rising >= self.honest_at).argmax(axis=1)], edge[(rising >= self.high_at).argmax(axis=1)]
        judged = np.where(high <= self.honest_max, usual, SILENT)
        known = total[:, 0] >= _VOTES_MIN
        self.honest = np.where(known, judged, UNKNOWN)
        over = np.cumsum(self.votes[:, ::-1], axis=1)[:, ::-1]
        self.rare = np.where(known[:, None], np.log((total + 1.0) / (over + 1.0)), self.cause_nats_max)
        self.votes = self.votes * _VOTES_DECAY

    def snapshot(self) -> dict[str, NDArray[np.generic]]:
        """Rows, tables and notes."""
        return {**super().snapshot(), "notes": self.notes.snapshot()}

    def restore(self, saved: dict[str, NDArray[np.generic]]) -> None:
        """The inverse of `snapshot`."""
        super().restore(saved)
        self.notes.restore(np.asarray(saved["notes"]))


def first_looks(events: NDArray[np.void]) -> NDArray[np.bool_]:
    """Unmasked first looks while the outlet's scans are not silent."""
    looks: NDArray[np.bool_] = (events["kind"] == LOOK) & (events["first"] == 1) & (events["reveal"] == 1)
    wanted: NDArray[np.bool_] = looks & ((events["gated"] & 1) == 0)
    return wanted


def followed(events: NDArray[np.void]) -> NDArray[np.bool_]:
    """Own work on an item that the account looked at within the day before."""
    work: NDArray[np.bool_] = (events["kind"] == WORK) & (events["follows"] == 1)
    return work
