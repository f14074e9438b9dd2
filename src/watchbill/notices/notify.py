"""The list of persons to be told of a case: who, which fields, when, by what channel; as CSV or NDJSON, with a hash.

It holds the identifiers that the firm's own systems need for sending, so it is for those alone who send. The record of reports
keeps its hash, never the list. Where persons are not told (PIPL 57: measures effectively avoid the harm), that is a decision with
a reason and a name.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import TYPE_CHECKING, Any, Final, Literal

from watchbill.core.errors import NotFoundError, SettingsError
from watchbill.notices.record import append, read_record

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from watchbill.inquiry.caseexposure import CaseExposure

CHANNELS: Final = ("sms", "phone", "mail", "app", "notice")
"""How persons may be told (network data regulations, article 11): message, call, mail, in the application, public notice."""
COLUMNS: Final = ("subject", "fields", "first", "last", "channel")
REASON_MIN, REASON_MAX = 10, 2_000


def notice_rows(answer: CaseExposure, channel: str) -> list[dict[str, Any]]:
    """One row a person, sorted by identifier: {subject, fields, first, last (epoch ms), channel}; pure.

    Raises:
        SettingsError: the channel is none of CHANNELS.
    """
    if channel not in CHANNELS:
        raise SettingsError("is no channel", where="--channel", todo=f"One of {', '.join(CHANNELS)}")
    people = sorted(answer.saw.subjects, key=lambda one: one.subject.encode())
    return [
        {"subject": one.subject, "fields": list(one.fields), "first": one.first, "last": one.last, "channel": channel}
        for one in people
    ]


def notice_bytes(rows: Iterable[dict[str, Any]], form: Literal["csv", "ndjson"]) -> bytes:
    """The file. In CSV, fields are joined by a space and cells that a spreadsheet would compute begin with an apostrophe."""
    if form == "ndjson":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        cells = [row["subject"], " ".join(row["fields"]), row["first"], row["last"], row["channel"]]
        writer.writerow([_inert(cell) if isinstance(cell, str) else cell for cell in cells])
    return out.getvalue().encode()


def _inert(cell: str) -> str:
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def list_hash(data: bytes) -> str:
    """SHA-256, in hex, of the file."""
    return hashlib.sha256(data).hexdigest()


def not_told(home: Path, case: str, reason: str, by: str, now: int) -> dict[str, Any]:
    """Record the decision not to tell persons.

    Raises:
        SettingsError: no reason worth the name, or nobody decides.
    """
    said = reason.strip()
    if not REASON_MIN <= len(said) <= REASON_MAX:
        todo = f"Say in {REASON_MIN} to {REASON_MAX} characters which measures effectively avoid the harm (PIPL 57)"
        raise SettingsError("no reason", where="report not-told", todo=todo)
    if not by.strip():
        raise SettingsError("nobody decides", where="report not-told", todo="Give --by")
    return append(home, "not_told", case, by.strip(), now, reason=said)


def exported(
    home: Path, case: str, answer: CaseExposure, channel: str, data: bytes, by: str, now: int
) -> dict[str, Any]:
    """Record that the list of persons left the house: its hash, how many, who took it.

    Raises:
        SettingsError: nobody takes it.
    """
    if not by.strip():
        raise SettingsError("nobody takes the list", where="notify-list", todo="Give --by")
    said = {"channel": channel, "list": list_hash(data), "persons": answer.saw.persons, "height": answer.saw.height}
    return append(home, "list", case, by.strip(), now, **said, exposure=answer.hash)


def told(home: Path, case: str, hash_: str, by: str, now: int) -> dict[str, Any]:
    """Record that the persons of an exported list were told.

    Raises:
        NotFoundError: no list with this hash was exported for the case. SettingsError: nobody says so.
    """
    lists = [row for row in read_record(home) if row["kind"] == "list" and (row["case"], row["list"]) == (case, hash_)]
    if not lists:
        todo = "Give the SHA-256 that `watchbill notify-list` printed for this case"
        raise NotFoundError("there is no such list", where="report told", todo=todo)
    if not by.strip():
        raise SettingsError("nobody says so", where="report told", todo="Give --by")
    said = {name: lists[-1][name] for name in ("channel", "list", "persons")}
    return append(home, "told", case, by.strip(), now, **said)
