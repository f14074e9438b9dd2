"""What is answered when nobody could be asked: masked, denied, or a few plain looks that are written down first.

Which of the three is a setting for each kind of look. `few` never applies to an account that was under a step when
Watchbill last spoke of it, and not where Watchbill is up and refuses to answer us: that is a wrong setting, no outage.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from watchbill.responses.asks import Ask, Decided, closed
from watchbill.responses.masks import DEFAULT_MATRIX, HIDDEN, levels

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchbill.client.allowance import Allowance
    from watchbill.client.settings import ClientSettings
    from watchbill.client.spool import Spool

FEW: Final = "few"
"""`Decided.why` of a look that was given without an answer: it stands in the spool, and the caller need not log it."""
UNAVAILABLE: Final = "unavailable"
NO_ANSWER: Final = (UNAVAILABLE, "late")
"""`Decided.why` of answers by which Watchbill says that it could not decide: it cannot write (a full disk), or was too slow."""
_NS_A_MS: Final = 1_000_000
_COPIED: Final = ("account", "device", "ip", "session", "app", "waybill", "ticket", "reason")


class Fallback:
    """Used from any thread."""

    def __init__(
        self, settings: ClientSettings, allowance: Allowance, spool: Spool | None,
        now_ns: Callable[[], int], new_id: Callable[[], str],
    ) -> None:  # fmt: skip
        self._settings, self._allowance, self._spool = settings, allowance, spool
        self._now_ns, self._new_id = now_ns, new_id
        self._under_step: OrderedDict[str, int] = OrderedDict()  # who -> until (epoch ms, 0 = not said)
        self._lock = threading.Lock()

    def heard(self, ask: Ask, decided: Decided) -> None:
        """Remember whether this account is under a step, for the time when nobody can be asked."""
        who = _who(ask)
        with self._lock:
            self._under_step.pop(who, None)
            if decided.step != "none":
                self._under_step[who] = decided.until
                if len(self._under_step) > self._settings.few_accounts_max:
                    self._under_step.popitem(last=False)

    def answer(self, ask: Ask, *, outage: bool) -> Decided:
        """The answer to a question that could not be asked.

        Args:
            outage: False where Watchbill is up, but refuses us or cannot be understood: then nothing plain is given.
        """
        mode = self._settings.mode(ask.kind)
        if mode == "deny":
            return Decided("", "deny", why=UNAVAILABLE)
        if mode == FEW and outage:
            given = self._few(ask)
            if given is not None:
                return given
        return closed(ask, "", UNAVAILABLE)

    def _few(self, ask: Ask) -> Decided | None:
        who, tokens = _who(ask), max(1, len(ask.subjects), ask.results or 0)
        shown = {
            field: level for field, level in levels(DEFAULT_MATRIX, "unknown", ask.fields).items() if level != HIDDEN
        }
        if self._spool is None or not shown or not who or self._steps(who) or not self._allowance.take(who, tokens):
            return None
        identity = f"few-{self._new_id()}"
        if not self._spool.write(self._record(ask, identity, tuple(shown))):
            self._allowance.give_back(who, tokens)
            return None
        return Decided(identity, "allow", {**dict.fromkeys(ask.fields, HIDDEN), **shown}, why=FEW)

    def _steps(self, who: str) -> bool:
        with self._lock:
            until = self._under_step.get(who)
        return until is not None and (until == 0 or self._now_ns() // _NS_A_MS < until)

    def _record(self, ask: Ask, identity: str, fields: tuple[str, ...]) -> dict[str, Any]:
        """The look as a record (docs/records.md), without `decision`: Watchbill gave none, so it counts in full."""
        record: dict[str, Any] = {"id": identity, "time": self._now_ns() // _NS_A_MS, "kind": ask.kind}
        record |= {name: value for name in _COPIED if (value := getattr(ask, name))}
        record |= {"subjects": list(ask.subjects), "fields": list(fields), "masked": False}
        record |= {name: value for name in ("results", "page") if (value := getattr(ask, name)) is not None}
        return record


def _who(ask: Ask) -> str:
    """Accounts and devices in one table, never mistaken for one another."""
    return f"a:{ask.account}" if ask.account else f"d:{ask.device}" if ask.device else ""
