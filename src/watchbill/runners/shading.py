"""What would have been done: the whole ladder beside the enforced one, and what shadow detectors would have added.

Nothing here reaches a person: the enforced ladder (pipeline.py) reads none of it. Each row goes to shadow.ndjson, in the form of
interventions.ndjson with `by`: "steps" (settings put the step, or the whole ladder, in shadow) or "detectors" (with them the
guarantee number would have reached a higher step).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.cases.kinds import SPOKE_NATS
from watchbill.context.context import grown
from watchbill.context.events import RETRACT
from watchbill.core.kernel import kernel
from watchbill.detectors.base import FAMILIES
from watchbill.responses.budget import HOURS, budget_of, under
from watchbill.responses.policy import (
    CHANGE,
    CHANGES_MAX,
    STANDING,
    STEPS,
    apply_policy,
    enforced_steps,
    unproven,
    wanted_step,
)
from watchbill.responses.presence import PROOF, Presence, span_of
from watchbill.scoring.fuse import fuse, shared_weights

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from watchbill.core.settings import Settings
    from watchbill.detectors.base import DetectorBase

TOLD: Final = np.dtype([("until", np.int64), ("step", np.uint8)], align=True)
"""Of an account: the step that was told last for shadow detectors, and until when it is not told again."""


@kernel
def _would(
    events: NDArray[np.void], without: NDArray[np.float32], joined: NDArray[np.float32], limits: NDArray[np.float64],
    steps: NDArray[np.uint8], told: NDArray[np.void], span_ms: int, changes: NDArray[np.void],
) -> int:  # fmt: skip
    """Events at which shadow detectors would have reached a higher step; each step of an account once in a span."""
    count = 0
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0 or event.kind == RETRACT or not steps[event.role]:
            continue
        step, plain = wanted_step(joined[i], limits), wanted_step(without[i], limits)
        own = told[event.account]
        if step <= plain or (event.arrival < own.until and step <= own.step):
            continue
        row = changes[count]
        row.event, row.account, row.until = i, event.account, event.arrival + span_ms
        row.old, row.new, row.since = plain, step, event.time
        own.until, own.step = row.until, step
        count += 1
    return count


class Shade:
    """The state of what would have been done.

    Attributes:
        shadowed: uint8[7], 1 for steps in shadow. standing, proofs: STANDING and PROOF of the whole ladder, kept where any step is. heard:
            shadow detector -> events at which it spoke. rows: "steps" or "detectors" -> rows so far.
    """

    def __init__(self, settings: Settings, detectors: Iterable[DetectorBase]) -> None:
        self.settings = settings
        self.shadowed = 1 - enforced_steps(settings.policy)
        self.ladder = settings.policy.shadowing
        self.detectors = frozenset(settings.detectors_shadow)
        self.standing, self.proofs = np.zeros(0, STANDING), np.zeros(0, PROOF)
        self.budget, self.hours = budget_of(settings.policy), np.zeros(0, HOURS)
        self.told = np.zeros(0, TOLD)
        self.heard: dict[str, int] = dict.fromkeys(sorted(self.detectors), 0)
        self.rows: dict[str, int] = {"steps": 0, "detectors": 0}
        self.alerts = np.zeros(0, np.int32)
        self.said: dict[str, NDArray[np.float32]] = {}
        self._weights = shared_weights(settings.risk.weights, FAMILIES, [d.family for d in detectors])
        self._whole = np.ones(len(STEPS), np.uint8)

    def grow(self, accounts: int) -> None:
        """Room for `accounts`, of what is kept at all."""
        if self.ladder:
            self.standing, self.hours = grown(self.standing, accounts), grown(self.hours, accounts)
            self.proofs = grown(self.proofs, accounts)
        if self.detectors:
            self.told = grown(self.told, accounts)

    @property
    def bytes_an_account(self) -> int:
        """State kept of one account."""
        return (STANDING.itemsize + HOURS.itemsize + PROOF.itemsize) * self.ladder + TOLD.itemsize * bool(
            self.detectors
        )

    def joined(
        self, evidence: NDArray[np.float32], families: dict[str, str], guarantee: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The guarantee number (log) with what shadow detectors said; the given one where there are none.

        Args:
            evidence: float32[families, n] without them.
        """
        if not self.said:
            return guarantee
        whole, risk = evidence.copy(), self.settings.risk
        for name, nats in self.said.items():
            self.heard[name] += int(np.count_nonzero(nats > SPOKE_NATS))
            family = FAMILIES.index(families[name])
            np.maximum(whole[family], nats, out=whole[family])
        out, posterior = np.zeros_like(guarantee), np.zeros_like(guarantee)
        fuse(whole, self._weights, risk.prior_log_odds, risk.family_cap_nats, out, posterior)
        return out

    def hints(
        self, events: NDArray[np.void], guarantee: NDArray[np.float32], joined: NDArray[np.float32],
        limits: NDArray[np.float64], steps: NDArray[np.uint8], span_ms: int,
    ) -> NDArray[np.void]:  # fmt: skip
        """CHANGE rows of what shadow detectors would have added."""
        changes = np.zeros(events.shape[0] if self.said else 0, CHANGE)
        count = _would(events, guarantee, joined, limits, steps, self.told, span_ms, changes) if self.said else 0
        return changes[:count]

    def climb(
        self, events: NDArray[np.void], guarantee: NDArray[np.float32], left: NDArray[np.float32],
        sure: NDArray[np.float32], kinds: NDArray[np.uint8], steps: NDArray[np.uint8], limits: NDArray[np.float64],
        relax: float, spans: NDArray[np.int64], whence: NDArray[np.void],
    ) -> NDArray[np.void]:  # fmt: skip
        """CHANGE rows of the whole ladder, nothing of it in shadow; a proof answers its steps as it does those in force."""
        n = events.shape[0]
        changes, alerts = np.zeros(CHANGES_MAX * n, CHANGE), np.zeros(n, np.int32)
        presence = Presence(self.proofs, whence, span_of(self.settings.policy))
        count = apply_policy(
            events, guarantee, left, self.standing, limits, relax, spans, steps, np.zeros(n, np.uint8),
            np.zeros(n, np.int32), changes, self._whole, sure, kinds, self.budget, self.hours, alerts,
            presence,
        )  # fmt: skip
        self.alerts = alerts[: int(self.budget["alerts"][0])]
        return changes[:count]

    def tells(self, old: int, new: int) -> bool:
        """Whether a change of the whole ladder is one that was not made."""
        return bool(self.shadowed[old] or self.shadowed[new])

    def snapshot(self) -> dict[str, Any]:
        """Arrays and JSON-able parts."""
        own = {"standing": self.standing.copy(), "presence": self.proofs.copy()} if self.ladder else {}
        return own | {
            "budget": self.budget.copy(),
            "hours": self.hours.copy(),
            "told": self.told.copy(),
            "counts": {"heard": dict(self.heard), "rows": dict(self.rows)},
        }

    def restore(self, saved: dict[str, Any], standing: NDArray[np.void], proofs: NDArray[np.void]) -> None:
        """Take over a snapshot; where there is none yet, the whole ladder begins at what is in force (`standing`, `proofs`)."""
        if self.ladder:
            self.standing = np.asarray(saved.get("standing", standing)).copy()
            if "standing" in saved:
                proofs = saved.get("presence", unproven(self.standing, self.settings.policy))
            self.proofs = np.asarray(proofs).copy()
        if not saved:
            return
        self.hours = np.asarray(saved["hours"]).copy() if self.ladder else self.hours
        self.told = np.asarray(saved["told"]).copy()
        self.budget = under(np.asarray(saved["budget"]).copy(), self.settings.policy)
        self.rows |= saved["counts"]["rows"]
        self.heard |= {name: count for name, count in saved["counts"]["heard"].items() if name in self.detectors}
