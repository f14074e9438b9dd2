"""What a person is owed: to be told what, why and until when, to appeal to somebody else, and to have it set right; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from watchbill.cases.acts import PERSON
from watchbill.cases.case import OPEN_AT, write
from watchbill.cases.clocks import HOUR_MS
from watchbill.context.lone import device_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from watchbill.cases.acts import Appeal, Tell
    from watchbill.cases.case import Case
    from watchbill.core.settings import CaseSettings

PER_FILE_MAX: Final = 1_000
"""Notices and appeals of one file."""


def interrupted(case: Case) -> bool:
    """Whether a person was kept from work in this round: proof of presence or more was asked, or misuse was confirmed."""
    return not device_of(case.account) and (case.step_worst >= OPEN_AT or case.status == "confirmed")


def told(case: Case) -> bool:
    """Whether the person was told in this round."""
    return any(one["to"] == PERSON and one["round"] == case.round for one in case.notices)


def untold(case: Case, now: int) -> bool:
    """Whether somebody was interrupted, was not told, and no recorded decision delays it until after `now` (epoch ms)."""
    delayed = case.delay.get("round") == case.round and case.delay.get("until", 0) > now
    return interrupted(case) and not told(case) and not delayed


def note_told(case: Case, said: Tell, seq: int) -> None:
    """Note that somebody was told, or that it was decided to tell the person later."""
    if said.act == "delayed":
        case.delay = {
            "by": said.by, "role": said.role, "reason": said.reason, "until": said.until, "time": said.time,
            "round": case.round,
        }  # fmt: skip
        write(
            case, "tell_delayed", seq, said.time, said.by, role=said.role, reason=said.reason, until=said.until
        )  # fmt: skip
        return
    case.notices.append({
        "id": said.id, "to": said.to, "channel": said.channel, "by": said.by, "time": said.time, "round": case.round,
    })  # fmt: skip
    texts = {name: text for name, text in (("text_zh", said.text_zh), ("text_en", said.text_en)) if text}
    write(case, "told", seq, said.time, said.by, to=said.to, channel=said.channel, **texts)


def correct(case: Case, seq: int, time: int, by: str, why: str) -> list[dict[str, Any]]:
    """Everyone who was told of this round and not yet corrected is owed a correction: one entry a recipient."""
    done = {(one["to"], one["round"]) for one in case.corrections}
    made = []
    for one in case.notices:
        if one["round"] != case.round or (one["to"], case.round) in done:
            continue
        done.add((one["to"], case.round))
        entry = {
            "case": case.id, "account": case.account, "to": one["to"], "channel": one["channel"], "about": one["id"],
            "seq": seq, "time": time, "round": case.round, "why": why,
        }  # fmt: skip
        case.corrections.append(entry)
        write(case, "correction", seq, time, by, to=one["to"], channel=one["channel"], about=one["id"], why=why)
        made.append(entry)
    return made


# --- appeals -----------------------------------------------------------------------------------------------------------


def open_appeal(case: Case) -> dict[str, Any] | None:
    """The appeal of a file that nobody has decided yet."""
    return next((one for one in case.appeals if one["outcome"] == "open"), None)


def partial(case: Case, number: int) -> set[str]:
    """Who may not decide an appeal of a round: who confirmed, who decided to tell later, who rejected one, who brings it."""
    out = {one["by"] for one in case.verdicts if one["round"] == number and one["verdict"] == "confirmed"}
    out |= {one["by"] for one in case.appeals if one["round"] == number}
    out |= {one["decided_by"] for one in case.appeals if one["outcome"] == "rejected"}
    if case.delay.get("round") == number:
        out.add(case.delay["by"])
    return out


def chosen(case: Case, said: Appeal, everyone: Iterable[Case], settings: CaseSettings) -> str:
    """Who decides an appeal: whom it names, else of `appeal_reviewers` the impartial one with the fewest open ones; "" = nobody yet."""
    if said.to:
        return said.to
    free = [name for name in settings.appeal_reviewers if name not in partial(case, case.round) | {said.by}]
    if not free:
        return ""
    waiting = [one["to"] for other in everyone for one in other.appeals if one["outcome"] == "open"]
    return min(free, key=lambda name: (waiting.count(name), settings.appeal_reviewers.index(name)))


def bring(case: Case, said: Appeal, seq: int, everyone: Sequence[Case], settings: CaseSettings) -> None:
    """Open an appeal; somebody else is to decide it in time."""
    to, due = chosen(case, said, everyone, settings), said.time + round(settings.appeal_hours * HOUR_MS)
    case.appeals.append({
        "id": said.id, "by": said.by, "to": to, "time": said.time, "due": due, "round": case.round, "outcome": "open",
        "decided": 0, "decided_by": "",
    })  # fmt: skip
    write(case, "appeal", seq, said.time, said.by, to=to, due=due, note=said.note)


def settle(case: Case, seq: int, time: int) -> None:
    """A dismissal answers an appeal that nobody had decided: nothing stands against the person any more."""
    one = open_appeal(case)
    if one is not None:
        one |= {"outcome": "moot", "decided": time}
        write(case, "appeal_moot", seq, time, appeal=one["id"])


def decide(case: Case, said: Appeal, seq: int) -> None:
    """Note how the open appeal of a file ended."""
    one = open_appeal(case)
    if one is None:
        return
    outcome = "upheld" if said.act == "uphold" else "rejected"
    one |= {"outcome": outcome, "decided": said.time, "decided_by": said.by}
    reason = {"reason": said.reason} if said.reason else {}
    write(case, f"appeal_{outcome}", seq, said.time, said.by, appeal=one["id"], note=said.note, **reason)
