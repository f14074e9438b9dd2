"""One look under its decision: what may be shown of each value, what to refuse, and the record to log afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from watchbill.client.fallback import FEW
from watchbill.client.refusals import Refusal, refusal_of
from watchbill.responses.masks import HIDDEN, MASKED, PLAIN, Level, shown

if TYPE_CHECKING:
    from watchbill.client.settings import GuardSettings
    from watchbill.responses.asks import Ask, Decided

_STRICT: Final = {PLAIN: 0, MASKED: 1, HIDDEN: 2}
_COPIED: Final = ("account", "device", "ip", "session", "app", "waybill", "ticket", "reason")


class Look:
    """What was asked and what was decided.

    `refusal` is what to answer instead of data (None: show, with `show`). A look for which a reason is asked may also be shown:
    every value is masked then.
    """

    def __init__(self, ask: Ask, decided: Decided, settings: GuardSettings | None = None) -> None:
        self.ask, self.decided = ask, decided
        url, status = (settings.challenge_url, settings.step_up_status) if settings else ("", 401)
        self.refusal: Refusal | None = refusal_of(decided, challenge_url=url, step_up_status=status)
        if self.asks_reason and settings is not None and settings.ask_reason == "mask":
            self.refusal = None

    @property
    def asks_reason(self) -> bool:
        """Whether the person should say why; until then everything is masked."""
        return self.decided.decision == "ask_reason"

    def level(self, field: str) -> Level:
        """What may be shown of a field. One that was not asked about is hidden."""
        if field not in self.ask.fields or self.decided.decision not in ("allow", "mask", "ask_reason"):
            return HIDDEN
        levels = self.decided.levels
        given: Level = levels.get(field, MASKED if levels else PLAIN)
        least: Level = PLAIN if self.decided.decision == "allow" else MASKED
        return given if _STRICT[given] >= _STRICT[least] else least

    def show(self, field: str, value: object) -> str:
        """A value as it may be seen: plain, masked, or nothing. For templates; the template escapes it."""
        return "" if value is None else shown(field, str(value), self.level(field))

    def record(self, now_ms: int, *, showed: bool | None = None) -> dict[str, Any] | None:
        """The look for your log, with its decision; None when it stands in the spool already.

        Args:
            now_ms: epoch milliseconds. showed: whether anything was shown; by default when there was no refusal.
        """
        if self.decided.why == FEW:
            return None
        ask = self.ask
        plain = [field for field in ask.fields if self.level(field) == PLAIN]
        record: dict[str, Any] = {"id": f"look-{ask.request}", "time": now_ms, "kind": ask.kind}
        record |= {name: value for name in _COPIED if (value := getattr(ask, name))}
        record |= {name: value for name in ("results", "page") if (value := getattr(ask, name)) is not None}
        record |= {"subjects": list(ask.subjects), "fields": plain or list(ask.fields), "masked": not plain}
        if self.decided.id:
            record["decision"] = self.decided.id
        if not (self.refusal is None if showed is None else showed):
            record["outcome"] = "denied"
        return record
