"""What people may do with a case, and what it does: the life cycle in one place; pure.

`refusal` says why a record changes nothing ("" = it is legal); `obey` puts a legal one into force and ignores any other, so
that a journal gives the same book whoever wrote it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from watchbill.cases.acts import Appeal, CaseAct, Note, Tell
from watchbill.cases.case import CONTAINED_AT, HISTORY_MAX, RUNNING, status_of, write
from watchbill.cases.clocks import look_at
from watchbill.cases.fair import PER_FILE_MAX, bring, decide, interrupted, note_told, open_appeal, partial
from watchbill.cases.gather import MERGED_MAX
from watchbill.cases.verdicts import Verdict
from watchbill.context.lone import device_of

if TYPE_CHECKING:
    from watchbill.cases.acts import Act, Said
    from watchbill.cases.book import CaseBook
    from watchbill.cases.case import Case

LEGAL: Final = {
    "review": RUNNING | {"in_review"},
    "release": frozenset({"in_review"}),
    "assign": RUNNING | {"in_review", "confirmed"},
    "due": RUNNING | {"in_review", "confirmed"},
    "merge": RUNNING | {"in_review", "confirmed"},
    "split": RUNNING | {"in_review", "confirmed", "archived"},
    "archive": RUNNING | {"in_review"},
    "reopen": frozenset({"archived"}),
}
"""Act -> the statuses of a case in which it is legal; a verdict and a note always are."""
NO_CASE: Final = "there is no such case"


def refusal(book: CaseBook, said: Said) -> str:
    """Why a record would change nothing, in words for the one who said it; "" when it is legal."""
    files = book.whole(said.case)
    if isinstance(said, Verdict):
        return _no_verdict(book, said, files)
    if not files:
        return NO_CASE
    if len(files[0].history) >= HISTORY_MAX - len(files):
        return "its history is full; open a new case with `watchbill verdict --account`"
    if isinstance(said, CaseAct):
        return _no_act(book, said, files)
    if isinstance(said, Note):
        return ""
    case = file_of(files, said.account)
    if case is None:
        return "name one of the accounts of the case with --account"
    if device_of(case.account):
        return "it is the case of a device; no person was interrupted"
    return _no_tell(book, said, case) if isinstance(said, Tell) else _no_appeal(said, case)


def file_of(files: list[Case], account: str) -> Case | None:
    """The file of an account among those of a case; of the only one where none is named."""
    if not account:
        return files[0] if len(files) == 1 else None
    return next((case for case in files if case.account == account), None)


def _no_verdict(book: CaseBook, said: Verdict, files: list[Case]) -> str:
    if said.case and not files:
        return NO_CASE
    mine = files or book.of(said.account)
    if said.verdict == "lifted" and not any(case.status == "confirmed" for case in mine):
        return "there is nothing to lift: it is not confirmed"
    return ""


def _no_act(book: CaseBook, said: CaseAct, files: list[Case]) -> str:
    status = status_of(files)
    if status not in LEGAL[said.act]:
        return f"a case that is {status} takes no {said.act}; legal in: {', '.join(sorted(LEGAL[said.act]))}"
    if said.act == "review" and status == "in_review" and files[0].assigned == said.by:
        return "you are reviewing it already"
    if said.act == "due" and said.at <= said.time:
        return "it would be due in the past"
    if said.act == "merge":
        return _no_merge(book, said, files)
    if said.act == "split":
        if len(files) == 1:
            return "it has one account alone"
        if file_of(files, said.account) is None:
            return "that account is not in the case"
    return ""


def _no_merge(book: CaseBook, said: CaseAct, files: list[Case]) -> str:
    others = book.whole(said.other)
    if not others:
        return "there is no such case to merge with"
    if others[0] is files[0]:
        return "they are one case already"
    if any(device_of(case.account) for case in (*files, *others)):
        return "the case of a device that looks for itself stays its own"
    if len(files) + len(others) > MERGED_MAX:
        return f"it would have more than {MERGED_MAX} accounts"
    status, other = status_of(files), status_of(others)
    if other not in LEGAL["merge"] or (status == "confirmed") != (other == "confirmed"):
        return f"one is {status}, the other {other}: judge them alike first"
    return ""


def _no_tell(book: CaseBook, said: Tell, case: Case) -> str:
    if not interrupted(case):
        return "nobody was interrupted in it"
    if said.act == "delayed" and said.role not in book.settings.delay_roles:
        return f"role is none of those that may delay: {', '.join(book.settings.delay_roles)}"
    return "too many notices already" if len(case.notices) >= PER_FILE_MAX else ""


def _no_appeal(said: Appeal, case: Case) -> str:
    waiting = open_appeal(case)
    if said.act == "open":
        if waiting is not None:
            return "an appeal is open already"
        if not interrupted(case):
            return "nobody was interrupted in it"
        if case.status in {"dismissed", "closed"}:
            return f"it is {case.status} already: nothing stands against the person"
        if said.to and said.to in partial(case, case.round) | {said.by}:
            return "an appeal goes to somebody else than who confirmed, delayed, rejected or brings it"
        return "too many appeals already" if len(case.appeals) >= PER_FILE_MAX else ""
    if waiting is None:
        return "no appeal is open"
    if said.by in partial(case, waiting["round"]):
        return "an appeal is decided by somebody else than who confirmed, delayed, rejected or brought it"
    return ""


# --- in force ----------------------------------------------------------------------------------------------------------


def obey(book: CaseBook, said: Act, seq: int) -> Verdict | None:
    """Put a record into force from `seq` on; the verdict that follows from it, if one does (an upheld appeal).

    One that came before (by id) or is not legal changes nothing.
    """
    if said.id in book.told or refusal(book, said):
        return None
    files = book.whole(said.case)
    for case in files:
        case.updated = max(case.updated, said.time)
    if isinstance(said, CaseAct):
        book.hear(said.id)
        _act(book, said, files, seq)
    elif isinstance(said, Note):
        book.hear(said.id)
        look_at(files, said.time)
        write(files[0], "note", seq, said.time, said.by, text=said.text)
    elif (mine := file_of(files, said.account)) is not None:
        if isinstance(said, Appeal):
            return _appeal(book, said, mine, seq)
        book.hear(said.id)
        note_told(mine, said, seq)
    return None


def _appeal(book: CaseBook, said: Appeal, case: Case, seq: int) -> Verdict | None:
    if said.act == "open":
        book.hear(said.id)
        bring(case, said, seq, list(book.cases.values()), book.settings)
        return None
    decide(case, said, seq)
    if said.act == "reject":
        book.hear(said.id)
        look_at([case], said.time)
        return None
    # a word about one account of several takes it out of their case (CaseBook.judge); its id is told there
    return Verdict(
        id=said.id,
        account=case.account,
        verdict="dismissed",
        reason=said.reason,
        by=said.by,
        note=said.note,
        time=said.time,
    )


def _act(book: CaseBook, said: CaseAct, files: list[Case], seq: int) -> None:
    lead, note = files[0], {"note": said.note} if said.note else {}
    if said.act == "merge":
        book.put_together(files, book.whole(said.other), seq, said.time, said.by, **note)
        return
    if said.act == "split":
        leaving = file_of(files, said.account)
        if leaving is not None:
            book.part(leaving, seq, said.time, said.by)
        return
    if said.act == "review":
        look_at(files, said.time)
        lead.reviewing, lead.assigned = True, said.by
    elif said.act == "release":
        lead.reviewing = False
    elif said.act == "assign":
        lead.assigned, note = said.to, note | {"to": said.to}
    elif said.act == "due":
        lead.due, lead.due_set = said.at, True
        write(lead, "due", seq, said.time, said.by, at=said.at)
        return
    elif said.act == "archive":
        look_at(files, said.time)
        book.put_away(files)
    else:
        for case in files:
            if case.status == "archived":
                case.status, case.bar = "open" if case.step >= CONTAINED_AT else "contained", {}
    write(lead, said.act, seq, said.time, said.by, **note)
