"""What people do with a case besides judging it, as the journal holds it: work on it, notes, telling, appeals; typed and bounded.

Each is a control record of its own kind; `RECORDS` maps the kind to its model. The engine obeys what `cases.desk` finds
legal, and whatever else a record says changes nothing.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from watchbill.cases.verdicts import DISMISSALS, Verdict

VERDICT: Final = "wb.verdict"
CASE: Final = "wb.case"
NOTE: Final = "wb.note"
TELL: Final = "wb.tell"
APPEAL: Final = "wb.appeal"
PERSON: Final = "person"
"""Whom a notice is for when nothing else is said: the interrupted person."""
NOTICE_MAX: Final = 8_000
DELAY_DAYS_MAX: Final = 30
DAY_MS: Final = 86_400_000

Id = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
Account = Annotated[str, StringConstraints(max_length=4096)]
By = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
Short = Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)]
Note500 = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]


class _Said(BaseModel):
    """What every record says: its id (the same id again changes nothing), the case, who says it (a pseudonym), epoch ms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Id
    case: Id
    by: By
    time: int = Field(ge=0, le=1 << 62)


class CaseAct(_Said):
    """Work on a case (`wb.case`).

    Attributes:
        act: review (take into review), release (give back), assign (to), due (at), merge (other becomes part of this case),
            split (account leaves it), archive (until it gets worse), reopen (what was archived).
    """

    act: Literal["review", "release", "assign", "due", "merge", "split", "archive", "reopen"]
    to: Short = ""
    at: int = Field(default=0, ge=0, le=1 << 62)
    other: Short = ""
    account: Account = ""
    note: Note500 = ""

    @model_validator(mode="after")
    def _makes_sense(self) -> CaseAct:
        wanted = {"assign": "to", "due": "at", "merge": "other", "split": "account"}
        for act, name in wanted.items():
            if bool(getattr(self, name)) != (self.act == act):
                raise ValueError(f"{name} is what {act} needs, and nothing else takes it")
        return self


class Note(_Said):
    """A note (`wb.note`); it stays in the journal, so it holds no customer's data."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class Tell(_Said):
    """Somebody was told of a step, or it was decided to tell the person later (`wb.tell`).

    Attributes:
        account: whose file of the case. act: told or delayed. to: whom (`person`, or another recipient by name). channel: how.
            text_zh, text_en: the notice. role, reason, until: of a delay: who may decide it, why, and epoch ms.
    """

    act: Literal["told", "delayed"]
    account: Account = ""
    to: Short = PERSON
    channel: Short = ""
    text_zh: Annotated[str, StringConstraints(max_length=NOTICE_MAX)] = ""
    text_en: Annotated[str, StringConstraints(max_length=NOTICE_MAX)] = ""
    role: Short = ""
    reason: Note500 = ""
    until: int = Field(default=0, ge=0, le=1 << 62)

    @model_validator(mode="after")
    def _makes_sense(self) -> Tell:
        if self.act == "told":
            if self.role or self.reason or self.until:
                raise ValueError("role, reason and until belong to a delay")
            if not self.to:
                raise ValueError("to is missing: who was told")
            return self
        if not (self.role and self.reason and self.until):
            raise ValueError("a delay needs role, reason and until: it is a decision, and it ends")
        if not self.time < self.until <= self.time + DELAY_DAYS_MAX * DAY_MS:
            raise ValueError(f"until lies after now and within {DELAY_DAYS_MAX} days; it may be decided again")
        return self


class Appeal(_Said):
    """An appeal of the person (`wb.appeal`), opened or decided.

    Attributes:
        account: whose file of the case. by: who brings it, or who decides it. to: who is to decide (empty: somebody else than
            who confirmed, from `appeal_reviewers`). reason: of an upheld one, a typed reason of a dismissal.
    """

    act: Literal["open", "uphold", "reject"]
    account: Account = ""
    to: Short = ""
    reason: Short = ""
    note: Note500 = ""

    @model_validator(mode="after")
    def _makes_sense(self) -> Appeal:
        if self.to and self.act != "open":
            raise ValueError("to belongs to an appeal that is opened")
        if self.act == "uphold" and self.reason not in DISMISSALS:
            raise ValueError(f"reason is none of {', '.join(DISMISSALS)}")
        if self.act != "uphold" and self.reason:
            raise ValueError("reason belongs to an appeal that is upheld")
        if self.act == "reject" and not self.note:
            raise ValueError("note is missing: who is rejected is told why")
        return self


Act: TypeAlias = CaseAct | Note | Tell | Appeal
Said: TypeAlias = Verdict | CaseAct | Note | Tell | Appeal
ACTS: Final[dict[str, type[CaseAct | Note | Tell | Appeal]]] = {
    CASE: CaseAct, NOTE: Note, TELL: Tell, APPEAL: Appeal,
}  # fmt: skip
"""Kind of control record -> model, of what `cases.desk` obeys."""
RECORDS: Final[dict[str, type[Said]]] = {VERDICT: Verdict, **ACTS}
"""Kind of control record -> model, of all that people say of cases."""


def kind_of_record(said: Said) -> str:
    """The kind of control record that a word is."""
    return next(kind for kind, model in RECORDS.items() if type(said) is model)
