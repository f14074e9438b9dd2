"""What a person says of a case: confirmed, dismissed for a typed reason, or lifted once it is settled; pure."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

KINDS: Final = ("leased", "shared", "hijacked", "owner", "device", "ring", "canary", "service", "leaver")
"""Kinds of cases (contract/outputs.md); the reasons of a confirmation."""
DISMISSALS: Final = {
    "covering": "helped another outlet or stood in for a colleague",
    "task": "a special task that leaves no record: an audit, a count, a migration",
    "late_records": "scans or tickets came late, or a feed was down",
    "role": "the roster or the declared reasons are wrong for this person's work",
    "moved": "a new place, device or shift, rightly so",
    "shared_device": "a device or address that others use too",
    "test": "a test or an exercise",
    "wrong": "the detector misread what happened",
    "other": "something else, said in the note",
}
"""Typed reasons of a dismissal, with what they mean."""
LIFTED: Final = ("settled",)
_Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)]


class Verdict(BaseModel):
    """One person's word, as the journal holds it (`wb.verdict`).

    Attributes:
        id: of this verdict; the same id again changes nothing. case, account: what it is about; the case where both are
            given. by: the reviewer, by a pseudonym. time: epoch ms at which it was said.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    case: _Text = ""
    account: Annotated[str, StringConstraints(max_length=4096)] = ""
    verdict: Literal["confirmed", "dismissed", "lifted"]
    reason: _Text
    by: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
    note: Annotated[str, StringConstraints(max_length=500)] = ""
    time: int = Field(ge=0)

    @model_validator(mode="after")
    def _makes_sense(self) -> Verdict:
        if not self.case and not self.account:
            raise ValueError("name a case or an account")
        known = reasons_for(self.verdict)
        if self.reason not in known:
            raise ValueError(f"reason is none of {', '.join(known)}")
        return self


def reasons_for(verdict: str) -> tuple[str, ...]:
    """The typed reasons that a verdict may have."""
    return {"confirmed": KINDS, "dismissed": tuple(DISMISSALS), "lifted": LIFTED}[verdict]
