"""Mix. Catches: another person at the account who does other things in another order (kinds of record, apps, field sets).

Misses: whoever does the owner's own kind of work in the owner's own way, and the first dozens of events of anybody.

A block of events is scored by how much better others' habits foretell it than the account's own (see habit_kernels): the
clipped log ratio of order-1 likelihoods, the same over first uses alone, first uses that are rare among peers, and how many
different things were done. The weights are a logistic regression on training blocks with strangers' blocks put in
(benchmarks/real.py, `--fit`); the odds go from block to block as an operator does who stays. Weak by nature: at the best
published 1.7 % false blocks it would accuse thousands of honest people a day, so it moves the order of the queue alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from watchbill.context.events import LOOK, WORK
from watchbill.core.kernel import kernel
from watchbill.detectors.base import CONFIRMED, SUSPECTED, Example
from watchbill.detectors.habit_kernels import HabitBase, judge_block
from watchbill.detectors.kernels import example_looks, is_frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], own: NDArray[np.void], waiting: NDArray[np.uint32],
    scratch: NDArray[np.void], crowd: NDArray[np.void], head: NDArray[np.float64], plan: NDArray[np.float64], alone: NDArray[np.float64],
    among: NDArray[np.float64], frozen: NDArray[np.uint8], out: NDArray[np.float64],
) -> None:  # fmt: skip
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0 or event.what == 0 or (event.kind != LOOK and event.kind != WORK):
            continue
        a = event.account
        row = rows[a]
        waiting[a, row.held] = event.what
        row.held += 1
        if row.held >= plan[0]:
            part = 1.0 if a % int(head[2]) == 0 else 0.0
            still = is_frozen(frozen, a, SUSPECTED | CONFIRMED)
            judge_block(row, own[a], waiting[a], scratch, crowd, head, part, plan, alone, among, still)
        out[i] = row.said


class Detector(HabitBase):
    """What an account does, block by block of a hundred things done, against its own past and its peers."""

    alone: ClassVar[tuple[float, ...]] = (1.497, 1.598, 5.075, -0.954, 0.481, 21.057)
    among: ClassVar[tuple[float, ...]] = (0.089, 2.257, 8.848, 43.070, 2.032, -43.764)
    text_en = "does other things, in another order, than this account used to"
    text_zh = "操作内容与顺序同该账号以往习惯不符"

    def walk(
        self, events: NDArray[np.void], alone: NDArray[np.float64], among: NDArray[np.float64],
        frozen: NDArray[np.uint8], out: NDArray[np.float64],
    ) -> None:  # fmt: skip
        """See the base class."""
        _observe(
            events, self.rows, self.own, self.waiting, self.scratch, self.crowd, self.head, self.plan, alone, among, frozen, out
        )  # fmt: skip

    @classmethod
    def examples(cls) -> list[Example]:
        """Somebody with other habits, and the owner on."""
        own = np.concatenate([example_looks(100, start_day=20_000 + day) for day in range(12)])
        own["what"] = np.resize(np.array([11, 12, 12, 13, 11, 14], np.uint32), len(own))
        other = own.copy()
        other["what"][1_000:] = np.resize(np.array([21, 22, 23, 23, 24, 12, 25], np.uint32), 200)
        return [
            Example("another's ways from the eleventh day on", other, found=True, nats_min=3.0),
            Example("the same ways throughout", own, found=False, nats_min=3.0),
        ]
