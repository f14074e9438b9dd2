"""Decisions on the engine's side: what each ask got, which of them the journal does not hold as `wb.decision` yet.

An answer follows from the ask's look alone, so a crash between the look and its `wb.decision` loses nothing: whoever starts
again writes the decision that the look must have got.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from watchbill import __version__
from watchbill.responses.asks import Decided
from watchbill.responses.masks import PLAIN
from watchbill.responses.policy import FOREVER
from watchbill.runners.askrecords import decision_of
from watchbill.runners.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from watchbill.responses.masks import Level
    from watchbill.runners.answers import Asked

REMEMBERED_MAX: Final = 100_000
_OF_LOOK: Final = ("id", "time", "account", "device", "session", "app", "waybill", "subjects", "fields", "extra")


class Decisions:
    """Answers given lately, and looks whose decision is not journaled yet."""

    def __init__(self, most: int = REMEMBERED_MAX) -> None:
        self.remembered = Remembered(most)
        self._open: dict[str, tuple[pa.Table, int] | dict[str, Any]] = {}

    def note(self, asked: list[Asked], records: pa.Table) -> None:
        """Remember what the asked looks of a step got."""
        ids = records.column("id").to_pylist()
        for part in asked:
            for row, decision, role, step, until in zip(
                part.row.tolist(), part.decision.tolist(), part.role.tolist(), part.step.tolist(), part.until.tolist(),
                strict=True,
            ):  # fmt: skip
                self.remembered.put(ids[row], decision, role, step, 0 if until == FOREVER else until)
                self._open[ids[row]] = (records, row)

    def obey(self, told: Mapping[str, Any]) -> None:
        """A `wb.decision` stands in the journal."""
        self._open.pop(told["id"], None)
        if told.get("why") == "late":
            self.remembered.withdraw(told["id"])

    def left_open(
        self, roles: list[str], matrix: Mapping[str, Mapping[str, Level]], digest: str
    ) -> list[dict[str, Any]]:
        """`wb.decision` columns of looks that were answered, or not, by a process that ended before it wrote them."""
        out = []
        for identity in list(self._open):
            look = self._look(identity)
            decided = self.remembered.answer(identity, look.get("fields") or (), roles, matrix)
            if decided is None:
                continue
            told: dict[str, Any] = {"recovered": True}
            if json.loads(look["extra"] or "{}").get("enforced") is False:  # whatever was decided, all was shown
                told |= {"enforced": False, "would": decided.decision}
                decided = Decided(identity, "allow", dict.fromkeys(decided.levels, PLAIN), decided.step, why="shadow")
            out.append(decision_of(look, decided, self.more(digest, **told)))
        return out

    @staticmethod
    def more(digest: str, **told: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever the decision is to say besides
        """What every decision says besides: the settings in force and the release."""
        return {"settings": digest, "release": __version__, **told}

    def _look(self, identity: str) -> dict[str, Any]:
        held = self._open[identity]
        if isinstance(held, dict):
            return held
        records, row = held
        look: dict[str, Any] = records.select(_OF_LOOK).slice(row, 1).to_pylist()[0]
        return look

    def snapshot(self) -> dict[str, Any]:
        """Named arrays and JSON-able parts."""
        held = self.remembered.snapshot()
        return {
            "decisions/rows": held["rows"], "decisions/next": held["next"],
            "decisions/open": [self._look(identity) for identity in self._open],
        }  # fmt: skip

    def restore(self, saved: Mapping[str, Any]) -> None:
        """The inverse of `snapshot`; a state from before decisions were given holds none."""
        if "decisions/rows" in saved:
            self.remembered.restore(saved["decisions/rows"], int(saved["decisions/next"]))
            self._open = {look["id"]: look for look in saved["decisions/open"]}
