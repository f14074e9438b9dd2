"""Sleepers and newcomers. Catches: an account silent for weeks, or brand new, that harvests in its first days.

Misses: owners who rent out a number that they also use, harvesters who do the job's work beside it (then their peers look
the same), and roles whose people leave no work in the logs, as far as their looks have reasons.

An account is watched for its first WATCH_DAYS active days after it was new (tenure) or silent for SILENT_DAYS. Cold start by
peers: how often do people of its role look at 20 (60) customers in a day before any work of their own? The bet is on
doing so, at the share that peers show (published; never under one in the account-days seen). Temporary staff work as their
peers do, however many come in one week. A return on a device that is neither the old one nor registered is a bet of its
own. Looks without a reason (`core.evidence`) multiply both: half the capital is bet on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOOK, RETRACT, WORK
from watchbill.core.evidence import look_ratio, next_day
from watchbill.core.kernel import Row, kernel
from watchbill.detectors.base import DetectorBase, Example, Surroundings
from watchbill.detectors.kernels import NATS_MAX, STAKE, daily_stake, example_looks, is_frozen, rare_event

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

ROW: Final = np.dtype(
    [
        ("device", np.uint64),  # of its newest look outside the watch
        ("log_m", np.float32),  # of the bets on days
        ("past", np.float32),  # nats of the looks of earlier watched days
        ("n", np.float32),  # first unmasked looks today, and those without a reason
        ("k", np.float32),
        ("day", np.int32),  # local day of its newest act, 0 = never seen
        ("watch", np.int32),  # active days left under watch
        ("idle", np.int32),  # first looks today before any work
        ("worked", np.uint8),
        ("back", np.uint8),  # 1: the watch began after a silence
        ("said", np.uint8),  # bit 1: many, bit 2: very many, bit 3: strange device
    ],
    align=True,
)
WATCH_DAYS: Final = 5
SILENT_DAYS: Final = 14
NEW_DAYS: Final = 7
MANY: Final = (20, 60)
PEERS_MIN: Final = 200
"""Account-days of a role that must have been seen before peers are a measure."""
P_MAX: Final = 0.05
P_STRANGE: Final = 0.02
THIRD: Final = STAKE / 3


@kernel
def _new_day(row: Row, event: Row, counts: NDArray[np.float64], learn: bool) -> None:
    """The last day ends (peers are measured on unwatched days only), a new one begins, with a watch if there is cause."""
    if learn and row.day and row.watch == 0 and row.n >= MANY[0]:
        counts[event.role, 0, 0] += 1.0
        counts[event.role, 0, 1] += 1.0 if row.idle >= MANY[0] else 0.0
        if row.n >= MANY[1]:
            counts[event.role, 1, 0] += 1.0
            counts[event.role, 1, 1] += 1.0 if row.idle >= MANY[1] else 0.0
    if row.day and np.int64(event.day) - row.day > SILENT_DAYS:
        row.watch, row.back, row.log_m, row.past = WATCH_DAYS, 1, 0.0, 0.0
    elif row.watch > 0:
        row.past = next_day(row.past, row.n, row.k)
        row.watch -= 1
        row.log_m = daily_stake(row.log_m)
    elif row.day == 0 and 0 <= event.tenure_days <= NEW_DAYS:
        row.watch, row.back = WATCH_DAYS, 0
    if row.watch == 0:
        row.log_m, row.past = 0.0, 0.0
    row.day, row.n, row.k, row.idle, row.worked, row.said = event.day, 0.0, 0.0, 0, 0, 0


@kernel
def _bet(row: Row, event: Row, peers: NDArray[np.float64], own: bool) -> None:
    """A watched account's first look of some customer."""
    paid = 0.0
    for j in range(2):
        if row.said & (1 << j):
            paid += THIRD / peers[event.role, j]
    if row.said & 4:
        paid += THIRD / P_STRANGE
    for j in range(2):
        p = peers[event.role, j]
        if row.idle == MANY[j] and p <= P_MAX:
            row.log_m = min(rare_event(row.log_m, THIRD, p, paid), float(NATS_MAX))
            row.said |= 1 << j
            paid += THIRD / p
    if row.back and not own and not row.said & 4:
        row.log_m = min(rare_event(row.log_m, THIRD, P_STRANGE, paid), float(NATS_MAX))
        row.said |= 4


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], registered: NDArray[np.uint64], peers: NDArray[np.float64],
    counts: NDArray[np.float64], frozen: NDArray[np.uint8], out: NDArray[np.float32],
) -> None:  # fmt: skip
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0 or event.lone:
            continue
        row = rows[event.account]
        look = event.kind == LOOK and event.first and event.reveal
        if event.kind == RETRACT:
            row.k = max(row.k - np.float32(1), np.float32(0))
        elif look or event.kind == WORK:
            if event.day > row.day:
                _new_day(row, event, counts, not is_frozen(frozen, event.account, 3))
            if event.kind == WORK:
                row.worked = 1
            else:
                row.n = min(row.n + 1.0, 10_000.0)
                row.idle += 0 if row.worked else 1
                if event.reason == 0 and not event.gated:
                    row.k = min(row.k + 1.0, 10_000.0)
                if row.watch == 0:
                    row.device = event.device
                else:
                    own = event.device == 0 or event.device == row.device or row.device == 0
                    if not own:
                        at = np.searchsorted(registered, event.device)
                        own = at < registered.shape[0] and registered[at] == event.device
                    _bet(row, event, peers, own)
        if row.watch > 0:
            ratio = row.past + look_ratio(row.n, row.k) if row.k > 0 or row.past != 0 else 0.0
            looks = np.log(0.5 + 0.5 * np.exp(min(ratio, 40.0)))
            out[i] = min(max(row.log_m, np.float32(0)) + max(looks, 0.0), float(NATS_MAX))


class Detector(DetectorBase):
    """Harvests by accounts that were silent or are new, against what their peers do."""

    family = "roster"
    needs = ("accounts",)
    row: ClassVar[np.dtype[Any]] = ROW
    kept = ("device", "day")
    tables = ("peers", "counts")
    text_en = "is new, or was silent for weeks, and looks at customers as its peers do not"
    text_zh = "新账号或久未使用的账号，其查询行为与同岗人员不符"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.peers = np.ones((0, 2))
        self.counts = np.zeros((0, 2, 2))

    def _prepare(self, around: Surroundings) -> None:
        self.grow(around.accounts)
        if self.peers.shape[0] != len(around.roles):
            self.peers, self.counts = np.ones((len(around.roles), 2)), np.zeros((len(around.roles), 2, 2))

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class."""
        self._prepare(around)
        out = np.zeros(events.shape[0], np.float32)
        if not self.silent(around):
            _observe(events, self.rows, around.registered, self.peers, self.counts, around.frozen, out)
        return out

    def publish(self, arrival: int, around: Surroundings) -> None:
        """Renew, by role, the share of account-days with so many looks in which they came before any work."""
        del arrival
        self._prepare(around)
        seen, idle = self.counts[:, :, 0], self.counts[:, :, 1]
        self.peers = np.where(seen >= PEERS_MIN, np.clip((idle + 1) / (seen + 2), 1e-4, 1.0), 1.0)

    @classmethod
    def examples(cls) -> list[Example]:
        """A number that slept for a month and resolves lists; somebody back from a month's leave."""
        past = np.concatenate([example_looks(2, start_day=20_000 + d) for d in range(3)])
        past["reason"], past["device"] = 1, 4
        back = example_looks(12, start_day=20_030)
        back["device"] = 9
        rested = example_looks(12, start_day=20_030)
        rested["reason"], rested["device"] = 1, 4
        return [
            Example(
                "back after a month, on a strange device, no look has a reason",
                np.concatenate([past, back]),
                found=True,
            ),
            Example("back after a month's leave, looks with reasons", np.concatenate([past, rested]), found=False),
        ]
