"""What the ladder would do by cost alone: a report beside a case; no step is taken by it.

Source: shared/detection.md 8. A step is worth its cost when P / (1 - P) > cost / (rate x time to the next control x harm of a
record), P the calibrated posterior. Automatic steps rest on the guarantee number, which bounds false alarms whatever P is worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from watchbill.core.settings import PolicySettings

_HOUR_MS: Final = 3_600_000
_P_MAX: Final = 1 - 1e-9


def by_cost(posterior: float, records: int, span_ms: int, settings: PolicySettings) -> dict[str, Any]:
    """The costliest step that its cost is worth.

    Args:
        posterior: 0-1. records: wrongful records so far, within span_ms (an hour at least, so that a burst is no rate).

    Returns:
        {"step" ("none" when none is worth it), "odds", "loss_yuan" (expected until the next control, if it is misuse)}.
    """
    p = min(max(posterior, 0.0), _P_MAX)
    odds = p / (1 - p)
    rate = records / max(1.0, span_ms / _HOUR_MS)
    loss = rate * settings.control_hours * settings.record_yuan
    worth = [(cost, step) for step, cost in settings.cost_yuan.items() if odds * loss > cost]
    return {"step": max(worth)[1] if worth else "none", "odds": round(odds, 6), "loss_yuan": round(loss, 2)}
