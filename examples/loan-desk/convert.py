"""Event log of a desk system (XES, the process miners' format) to Watchbill's records and reference tables.

    python examples/loan-desk/convert.py BPIC12.xes.gz OUT --split 2012-01-01

writes OUT/warm-up.ndjson, OUT/test.ndjson and OUT/reference/{accounts,outlets}.csv. What is a look and what is a trace, and
why no look explains itself, stands in README.md beside this file. XES comes from strangers: it is streamed, and document
types and entities are refused.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any, Final, NoReturn
from xml.parsers import expat
from zoneinfo import ZoneInfo

from watchbill.core.errors import ContractError, LimitError, SourceError, WatchbillError

ROBOT: Final = "112"
ZONE: Final = ZoneInfo("Europe/Amsterdam")
SITTING_MS: Final = 30 * 60_000
"""An account that comes back to a case after this long without an event on it opens the case again: a new look."""
ACT_MS: Final = 2_000
"""Events of the same account on the case within this of a look are the act that the look was derived from."""
HOLD_MS: Final = 61 * 60_000
"""The traces of that act are held back for this long: one minute more than any late explanation may take."""

BYTES_MAX: Final = 4 << 30
EVENTS_MAX: Final = 20_000_000
DEPTH_MAX: Final = 32
TEXT_MAX: Final = 1_000
_CHUNK: Final = 1 << 18

TICKET_TYPE: Final = {
    "W_Afhandelen leads": "call",  # ring up somebody who asked for a loan
    "W_Nabellen offertes": "call",  # ring up after an offer was sent
    "W_Completeren aanvraag": "change",  # complete the application
    "W_Wijzigen contractgegevens": "change",
    "W_Nabellen incomplete dossiers": "return",  # papers are missing
    "W_Valideren aanvraag": "claim",  # assess
    "W_Beoordelen fraude": "incident",
}
"""Kind of work item -> type of ticket in Watchbill's contract (a closed list made for parcels; any one-to-one choice serves)."""
CLOSES: Final = {
    "W_Completeren aanvraag": ("W_Afhandelen leads",),
    "W_Nabellen offertes": ("W_Afhandelen leads", "W_Completeren aanvraag"),
    "W_Valideren aanvraag": ("W_Nabellen offertes",),
}
"""A case moves on: when this work item is scheduled, those before it are done. The log itself never says so."""
ENDS: Final = {
    "A_DECLINED": "refused", "A_CANCELLED": "cancelled", "A_REGISTERED": "signed", "A_APPROVED": "signed", "A_ACTIVATED": "signed",
}  # fmt: skip
"""Decisions that end a case -> status of the trace; every open ticket of the case closes."""
ROLE_OF_WORK: Final = {"W_Valideren aanvraag": "validation", "W_Beoordelen fraude": "fraud"}


@dataclass(slots=True, frozen=True)
class Event:
    """One event of a case: `time` epoch ms, `account` "" where the log names no resource."""

    case: str
    time: int
    account: str
    name: str
    step: str
    order: int


@dataclass
class _Reading:
    """Where the parser stands: depth, the open trace and event, their direct attributes."""

    depth: int = 0
    traces: int = 0
    events: int = 0
    trace_depth: int = 0
    event_depth: int = 0
    trace: dict[str, str] = field(default_factory=dict)
    event: dict[str, str] = field(default_factory=dict)
    held: list[dict[str, str]] = field(default_factory=list)
    done: list[tuple[dict[str, str], list[dict[str, str]]]] = field(default_factory=list)


def read_xes(path: Path) -> Iterator[tuple[dict[str, str], list[dict[str, str]]]]:
    """(attributes of a case, attributes of its events in the file's order), one case after the other.

    Raises:
        SourceError: it cannot be read, or a gzip ends too early.
        ContractError: no well-formed XML, or it declares a document type or entities.
        LimitError: over BYTES_MAX, EVENTS_MAX or DEPTH_MAX.
    """
    reading = _Reading()
    parser = _parser(reading, path.name)
    size = 0
    try:
        with _opened(path) as handle:
            while chunk := handle.read(_CHUNK):
                size += len(chunk)
                if size > BYTES_MAX:
                    raise LimitError(
                        f"is over {BYTES_MAX} bytes unpacked", where=path.name, todo="cut the log in parts"
                    )
                parser.Parse(chunk, False)
                yield from reading.done
                reading.done.clear()
            parser.Parse(b"", True)
    except (EOFError, zlib.error, OSError) as error:
        todo = (
            "fetch it again: the archive is damaged or cut short"
            if not isinstance(error, FileNotFoundError)
            else "check the path"
        )
        raise SourceError(f"cannot be read to its end ({type(error).__name__})", where=path.name, todo=todo) from error
    except expat.ExpatError as error:
        place = f"{path.name} line {error.lineno}"
        raise ContractError(
            f"is no well-formed XML: {expat.ErrorString(error.code)}", where=place, todo="fetch it again"
        ) from error
    yield from reading.done


def _opened(path: Path) -> gzip.GzipFile | IO[bytes]:
    with path.open("rb") as handle:
        packed = handle.read(2) == b"\x1f\x8b"
    return gzip.GzipFile(path, "rb") if packed else path.open("rb")


def _parser(reading: _Reading, where: str) -> expat.XMLParserType:
    def refuse(*_: object) -> NoReturn:
        raise ContractError(
            "declares a document type or entities", where=where, todo="an event log needs neither; remove the DOCTYPE"
        )

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.StartElementHandler = lambda tag, attributes: _start(reading, tag, attributes, where)
    parser.EndElementHandler = lambda tag: _end(reading, tag)
    return parser


def _start(reading: _Reading, tag: str, attributes: dict[str, str], where: str) -> None:
    reading.depth += 1
    if reading.depth > DEPTH_MAX:
        raise LimitError(f"nests deeper than {DEPTH_MAX}", where=where, todo="XES needs no such depth")
    if tag == "trace":
        reading.trace_depth, reading.trace, reading.held = reading.depth, {}, []
        reading.traces += 1
    elif tag == "event" and reading.trace_depth:
        reading.event_depth, reading.event = reading.depth, {}
        reading.events += 1
        if reading.events > EVENTS_MAX:
            raise LimitError(f"has over {EVENTS_MAX} events", where=where, todo="cut the log in parts")
    elif "key" in attributes and "value" in attributes:
        value = attributes["value"][:TEXT_MAX]
        if reading.event_depth and reading.depth == reading.event_depth + 1:
            reading.event[attributes["key"]] = value
        elif reading.trace_depth and not reading.event_depth and reading.depth == reading.trace_depth + 1:
            reading.trace[attributes["key"]] = value


def _end(reading: _Reading, tag: str) -> None:
    if tag == "event" and reading.event_depth == reading.depth:
        reading.held.append(reading.event)
        reading.event_depth = 0
    elif tag == "trace" and reading.trace_depth == reading.depth:
        reading.done.append((reading.trace, reading.held))
        reading.trace_depth = 0
    reading.depth -= 1


# --- events -----------------------------------------------------------------------------------------------------------


def read_events(path: Path) -> tuple[list[Event], dict[str, tuple[str, ...]]]:
    """(all events in order of time, the fields of each case's file).

    Raises:
        ContractError: a case without a name, or an event without a name or a time; says which by number.
    """
    events: list[Event] = []
    fields: dict[str, tuple[str, ...]] = {}
    for number, (trace, rows) in enumerate(read_xes(path), start=1):
        case = trace.get("concept:name", "")
        if not case:
            raise ContractError(
                "has no concept:name", where=f"{path.name} trace {number}", todo="every case needs its number"
            )
        names = sorted(key for key in trace if ":" not in key)
        fields[case] = tuple(f"applicant.{name.lower()}" for name in names) or ("applicant.file",)
        for at, row in enumerate(rows, start=1):
            events.append(_event(case, row, f"{path.name} trace {number} event {at}", len(events)))
    events.sort(key=lambda event: (event.time, event.order))
    return events, fields


def _event(case: str, row: dict[str, str], where: str, order: int) -> Event:
    stamp, name = row.get("time:timestamp", ""), row.get("concept:name", "")
    if not name:
        raise ContractError("has no concept:name", where=where, todo="every event needs its kind of work")
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        problem = "has no time:timestamp" if not stamp else "has a time:timestamp that is no RFC 3339 time with offset"
        raise ContractError(problem, where=where, todo="order and windows rest on it; repair or remove the event")
    step = row.get("lifecycle:transition", "COMPLETE").upper()
    account = row.get("org:resource", "")
    return Event(case, round(moment.timestamp() * 1000), "" if account == "UNKNOWN" else account, name, step, order)


# --- looks and traces -------------------------------------------------------------------------------------------------


def records_of(events: Iterable[Event], fields: dict[str, tuple[str, ...]]) -> list[dict[str, Any]]:
    """Records in the contract, in order of time. See README.md for what is a look, and what a trace."""
    out: list[tuple[int, int, dict[str, Any]]] = []
    last: dict[tuple[str, str], int] = {}  # (account, case) -> its last event there
    look_at: dict[tuple[str, str], int] = {}  # (account, case) -> its last look there
    tickets: dict[str, dict[str, int]] = {}  # case -> type of each open ticket -> since when
    known: set[str] = set()
    for number, event in enumerate(events):
        own, held = (event.account, event.case), False
        if event.account and event.case in known:  # who creates a case does not look one up
            if own not in last or event.time - last[own] > SITTING_MS:
                out.append((event.time, 2 * number, _look(event, fields)))
                look_at[own] = event.time
            held = event.time - look_at.get(own, -ACT_MS - 1) <= ACT_MS
        if event.account:
            last[own] = event.time
        known.add(event.case)
        # one millisecond later, so that only what stands strictly before a look counts as earlier
        moment = event.time + (HOLD_MS if held else 1)
        traces = _traces(event, moment, tickets.setdefault(event.case, {}))
        out += [(row["time"], 2 * number + 1, row) for row in traces]
    out.sort(key=lambda item: item[:2])
    return [row for _, _, row in out]


def _look(event: Event, fields: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    return {
        "id": f"look-{event.order}", "time": event.time, "kind": "view", "account": event.account, "app": "loan desk",
        "waybill": event.case, "subjects": [event.case], "fields": list(fields[event.case]), "work": event.name,
    }  # fmt: skip


def _traces(event: Event, moment: int, tickets: dict[str, int]) -> Iterator[dict[str, Any]]:
    """What an event leaves behind at `moment`: a scan (somebody worked on the case), tickets that open or close.

    `tickets`: type of each open ticket of the case -> since when.
    """
    base: dict[str, Any] = {"time": moment, "waybill": event.case}
    if event.account:
        base["account"] = event.account
    if moment - event.time > 1:
        base["happened"] = event.time  # held back; kept as an unknown field
    if event.step == "SCHEDULE":
        kind = TICKET_TYPE.get(event.name, "")
        if kind:
            for closed in sorted({TICKET_TYPE[name] for name in CLOSES.get(event.name, ())} & tickets.keys() - {kind}):
                yield _ticket(event, base, closed, tickets.pop(closed))
            tickets[kind] = moment
            yield _ticket(event, base, kind)
        return
    status = ENDS.get(event.name, "arrived")
    yield {"id": f"scan-{event.order}", "kind": "scan", **base, "outlet": "desk", "status": status, "work": event.name}
    if event.name in ENDS:
        for kind in sorted(tickets):
            yield _ticket(event, base, kind, tickets.pop(kind))


def _ticket(event: Event, base: dict[str, Any], kind: str, opened: int | None = None) -> dict[str, Any]:
    """A ticket opens; or closes, when `opened` says since when it was open: never before that, held back or not."""
    state = "open" if opened is None else "closed"
    return {
        "id": f"ticket-{event.order}-{kind}-{state}", "kind": "ticket", **base, "time": max(base["time"], opened or 0),
        "ticket": f"{event.case}/{kind}", "state": state, "type": kind, "work": event.name,
    }  # fmt: skip


# --- reference tables -------------------------------------------------------------------------------------------------


def roles_of(events: Iterable[Event], split_ms: int) -> dict[str, str]:
    """Account -> role, from the kind of work that it started most often before the split.

    The bank's own staff list would say so. Who was not seen before the split gets the desk's role.
    """
    work: dict[str, Counter[str]] = {}
    for event in events:
        if event.account:
            counter = work.setdefault(event.account, Counter())
            if event.step == "START" and event.time < split_ms:
                counter[event.name] += 1
    out = {}
    for account, counter in work.items():
        top = max(counter, key=lambda name: (counter[name], name)) if counter else ""
        out[account] = "robot" if account == ROBOT else ROLE_OF_WORK.get(top, "desk")
    return out


def split_at(day: str) -> int:
    """Epoch ms of the first instant of a day (YYYY-MM-DD) at the desk."""
    try:
        return int(
            datetime.combine(date.fromisoformat(day), datetime.min.time(), ZONE).astimezone(UTC).timestamp() * 1000
        )
    except ValueError as error:
        raise ContractError(f"{day[:20]!r} is no day", where="--split", todo="write YYYY-MM-DD") from error


def write(source: Path, out: Path, split: str) -> dict[str, int]:
    """Convert a log; counts of what was written."""
    events, fields = read_events(source)
    moment = split_at(split)
    rows = records_of(events, fields)
    out.mkdir(parents=True, exist_ok=True)
    warm = [row for row in rows if row["time"] < moment]
    for name, part in (("warm-up", warm), ("test", rows[len(warm) :])):
        with (out / f"{name}.ndjson").open("w", encoding="utf-8") as handle:
            handle.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in part)
    _write_reference(out / "reference", roles_of(events, moment))
    kinds = Counter(row["kind"] for row in rows)
    return {
        "events": len(events), "cases": len(fields), "without account": sum(not event.account for event in events),
        "looks": kinds["view"], "scans": kinds["scan"], "tickets": kinds["ticket"], "warm-up": len(warm), "test": len(rows) - len(warm),
    }  # fmt: skip


def _write_reference(folder: Path, roles: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tables: dict[str, list[tuple[str, ...]]] = {
        "accounts": [
            ("account", "person", "role", "outlet"),
            *((name, name, role, "desk") for name, role in sorted(roles.items())),
        ],
        "outlets": [("outlet", "name"), ("desk", "loan desk")],
    }
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as handle:
            csv.writer(handle).writerows(rows)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--split", default="2012-01-01", help="first day of the test part")
    given = parser.parse_args(arguments)
    try:
        counts = write(given.source, given.out, given.split)
    except WatchbillError as error:
        print(error, file=sys.stderr)
        return 1
    print(", ".join(f"{number:,} {name}" for name, number in counts.items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
