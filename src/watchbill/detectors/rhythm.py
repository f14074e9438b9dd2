"""Rhythm. Catches: another person at an account's keys, or remote control of it, by the pauses between what is done.

Misses: whoever waits as the owner does or works in sittings of under sixteen pauses, and machines whose beat nobody here
ever had: neither the owner nor the peers foretell it, so the ratio says nothing (`metronome` knows those).

Pauses fall into 24 bins by their binary logarithm in milliseconds; the bin after the bin before (a lag-1 dependence, which a
person has and a script has not, or the other way round) is compared with the account's own past and its peers' as `mix` does
with what is done. A pause of half an hour ends a sitting and is no pause. Weights are a logistic
regression on swapped staff in the first months of a real log (benchmarks/real.py, `--fit`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from watchbill.context.events import LOOK, WORK
from watchbill.core.kernel import kernel
from watchbill.detectors.base import CONFIRMED, SUSPECTED, Example
from watchbill.detectors.habit_kernels import HabitBase, judge_block
from watchbill.detectors.kernels import example_looks, is_frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS: Final = 24
SITTING_MS: Final = 30 * 60_000
SHORT: Final = 16
"""Pauses of a sitting that are judged by themselves, so that two people's sittings stand in one block only when one is short."""


@kernel
def pause_bin(ms: int) -> int:
    """Bin 1..24 of a pause: 1 + floor(log2(ms)); under 1 ms is 1."""
    at = 1
    while ms > 1 and at < BINS:
        ms >>= 1
        at += 1
    return at


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], own: NDArray[np.void], waiting: NDArray[np.uint32],
    scratch: NDArray[np.void], crowd: NDArray[np.void], head: NDArray[np.float64], plan: NDArray[np.float64], alone: NDArray[np.float64],
    among: NDArray[np.float64], frozen: NDArray[np.uint8], out: NDArray[np.float64],
) -> None:  # fmt: skip
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0 or (event.kind != LOOK and event.kind != WORK):
            continue
        a = event.account
        row = rows[a]
        pause = event.time - row.last
        row.last = event.time
        rest = pause < 0 or pause >= SITTING_MS
        if not rest:
            waiting[a, row.held] = pause_bin(pause)
            row.held += 1
        elif 0 < row.held < SHORT and waiting[a, row.held - 1] != 0:
            waiting[a, row.held] = 0  # too short to judge: the next sitting goes on in the same block
            row.held += 1
        if row.held >= plan[0] or (rest and row.held >= SHORT):
            part = 1.0 if a % int(head[2]) == 0 else 0.0
            still = is_frozen(frozen, a, SUSPECTED | CONFIRMED)
            judge_block(row, own[a], waiting[a], scratch, crowd, head, part, plan, alone, among, still)
            row.before = 0 if rest else row.before
        out[i] = row.said


class Detector(HabitBase):
    """Pauses of an account, sixty-four at a time, against its own past and its peers."""

    cells: ClassVar[int] = 128
    block_cells: ClassVar[int] = 64
    crowd_cells: ClassVar[int] = 1_024
    length: ClassVar[int] = 64
    nats_max: ClassVar[float] = 3.0
    voice: ClassVar[float] = 0.5
    hush: ClassVar[float] = 2.0
    alone: ClassVar[tuple[float, ...]] = (11.104, 3.536, 2.224, -1.531, 1.361, -21.083)
    among: ClassVar[tuple[float, ...]] = (-1.995, 2.809, 6.492, 86.729, 1.648, -38.346)
    text_en = "works in another rhythm than this account used to (remote control, another person)"
    text_zh = "操作节奏与该账号以往不同（远程控制或他人）"

    def walk(
        self, events: NDArray[np.void], alone: NDArray[np.float64], among: NDArray[np.float64],
        frozen: NDArray[np.uint8], out: NDArray[np.float64],
    ) -> None:  # fmt: skip
        """See the base class."""
        _observe(
            events,
            self.rows,
            self.own,
            self.waiting,
            self.scratch,
            self.crowd,
            self.head,
            self.plan,
            alone,
            among,
            frozen,
            out,
        )

    @classmethod
    def examples(cls) -> list[Example]:
        """A script that looks every second, and the owner on."""
        own = example_looks(1_200)
        pauses = np.resize(np.array([20_000, 65_000, 31_000, 140_000, 9_000, 47_000, 80_000]), len(own))
        pauses[1_000:] = np.where(pauses[1_000:] > 0, 1_000, 0)
        script = own.copy()
        for events, gaps in ((own, np.resize(pauses[:700], len(own))), (script, pauses)):
            events["time"] = events["arrival"] = own["time"][0] + gaps.cumsum()
            events["day"], events["hour"] = events["time"] // 86_400_000, events["time"] // 3_600_000 % 24
        return [
            Example("every second for the last two hundred looks", script, found=True, nats_min=3.0),
            Example("pauses as ever", own, found=False, nats_min=3.0),
        ]
