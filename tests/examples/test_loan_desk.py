import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from watchbill.core.errors import ContractError, LimitError, SourceError
from watchbill.records.parse import parse_ndjson
from watchbill.runners.config import load_config

HERE = Path(__file__).resolve().parents[2] / "examples" / "loan-desk"
DATA = Path(os.environ.get("WATCHBILL_DATA", str(HERE.parents[2] / "shared" / "data"))) / "bpic12" / "BPIC12.xes.gz"
HOUR = 3_600_000
Desk = tuple[ModuleType, ModuleType, ModuleType]
"""convert, protocol, run."""


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """The example's own modules, by the names that its scripts use."""
    monkeypatch.syspath_prepend(str(HERE))
    import convert
    import protocol
    import run

    yield convert, protocol, run
    for name in ("convert", "protocol", "run"):
        sys.modules.pop(name, None)


def event(at: str, account: str, name: str, step: str = "COMPLETE") -> str:
    who = f'<string key="org:resource" value="{account}"/>' if account else ""
    return (
        f'<event>{who}<string key="lifecycle:transition" value="{step}"/><string key="concept:name" value="{name}"/>'
        f'<date key="time:timestamp" value="2011-10-03T{at}+02:00"/></event>'
    )


def log(*events: str, head: str = "", case: str = "7") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<log><global scope="event"><string key="concept:name" value="X"/></global>'
        f'<trace><date key="REG_DATE" value="2011-10-03"/><string key="concept:name" value="{case}"/>'
        f'<string key="AMOUNT_REQ" value="5000"/>{"".join(events)}</trace></log>'
    ).encode()


STORY = (
    event("09:00:00.000", "112", "A_SUBMITTED"),
    event("09:00:30.000", "112", "W_Completeren aanvraag", "SCHEDULE"),
    event("10:00:00.000", "5", "W_Completeren aanvraag", "START"),
    event("10:00:01.500", "5", "A_ACCEPTED"),
    event("10:10:00.000", "5", "W_Completeren aanvraag"),
    event("11:00:00.000", "", "W_Nabellen offertes", "START"),
    event("12:00:00.000", "5", "W_Nabellen offertes", "SCHEDULE"),
    event("13:00:00.000", "6", "A_DECLINED"),
)


def converted(
    convert: ModuleType, tmp_path: Path, content: bytes, name: str = "log.xes"
) -> tuple[list[Any], list[dict[str, Any]]]:
    path = tmp_path / name
    path.write_bytes(content)
    events, fields = convert.read_events(path)
    return events, convert.records_of(events, fields)


def test_looks_are_first_touches_and_hold_back_their_own_act(desk: Desk, tmp_path: Path) -> None:
    convert, _, _ = desk
    events, rows = converted(convert, tmp_path, log(*STORY))
    start = events[0].time
    looks = [(row["account"], row["time"] - start) for row in rows if row["kind"] == "view"]
    # the robot creates the case (no look); 5 comes at 10:00 and, after more than half an hour, at 12:00; then 6
    assert looks == [("5", HOUR), ("5", 3 * HOUR), ("6", 4 * HOUR)]
    view = next(row for row in rows if row["kind"] == "view")
    assert view["subjects"] == ["7"] == [view["waybill"]]
    assert view["fields"] == ["applicant.amount_req", "applicant.reg_date"]
    held = [row["time"] - row["happened"] for row in rows if "happened" in row]
    assert len(held) == 6  # START and A_ACCEPTED at 10:00, SCHEDULE (two tickets) at 12:00, A_DECLINED (and a ticket)
    assert set(held) == {convert.HOLD_MS}
    assert all(row["time"] > start for row in rows)


def test_no_trace_stands_at_or_within_the_hour_after_the_look_that_it_made(desk: Desk, tmp_path: Path) -> None:
    convert, _, _ = desk
    _, rows = converted(convert, tmp_path, log(*STORY))
    for look in (row for row in rows if row["kind"] == "view"):
        number = look["id"].removeprefix("look-")
        own = [row for row in rows if row["kind"] != "view" and row["id"].split("-")[1] == number]
        assert own
        assert all(row["time"] > look["time"] + HOUR for row in own)


def test_tickets_open_with_a_schedule_and_close_when_the_case_moves_on_or_ends(desk: Desk, tmp_path: Path) -> None:
    convert, _, _ = desk
    _, rows = converted(convert, tmp_path, log(*STORY))
    tickets = [(row["type"], row["state"]) for row in rows if row["kind"] == "ticket"]
    assert tickets == [("change", "open"), ("change", "closed"), ("call", "open"), ("call", "closed")]
    opened = next(row for row in rows if row["kind"] == "ticket" and row["type"] == "call" and row["state"] == "open")
    closed = next(row for row in rows if row["kind"] == "ticket" and row["type"] == "call" and row["state"] == "closed")
    assert closed["time"] >= opened["time"]


def test_records_keep_the_contract_and_nobodys_events_have_no_account(desk: Desk, tmp_path: Path) -> None:
    convert, _, _ = desk
    _, rows = converted(convert, tmp_path, log(*STORY))
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    parsed = parse_ndjson(text, source="t", identity="t", first_line=1)
    assert parsed.table.num_rows == len(rows)
    nobody = [row for row in rows if row["kind"] == "scan" and "account" not in row]
    assert [row["work"] for row in nobody] == ["W_Nabellen offertes"]
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)


def test_command_writes_records_and_tables_split_in_time(desk: Desk, tmp_path: Path) -> None:
    convert, _, _ = desk
    path = tmp_path / "log.xes.gz"
    path.write_bytes(gzip.compress(log(*STORY)))
    assert convert.main([str(path), str(tmp_path / "out"), "--split", "2011-10-04"]) == 0
    assert (tmp_path / "out" / "test.ndjson").read_text() == ""
    assert (tmp_path / "out" / "warm-up.ndjson").read_text().count("\n") > 8
    accounts = (tmp_path / "out" / "reference" / "accounts.csv").read_text().splitlines()
    assert accounts == ["account,person,role,outlet", "112,112,robot,desk", "5,5,desk,desk", "6,6,desk,desk"]


DOCTYPE = '<!DOCTYPE log [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
HOSTILE = {
    "a document type": (log(*STORY, head=DOCTYPE), ContractError, "document type"),
    "an external subset": (log(*STORY, head='<!DOCTYPE log SYSTEM "file:///etc/passwd">'), ContractError, "document type"),
    "a truncated gzip": (gzip.compress(log(*STORY))[:-20], SourceError, "to its end"),
    "a damaged gzip": (b"\x1f\x8b" + b"\x00" * 40, SourceError, "to its end"),
    "half a file": (log(*STORY)[:300], ContractError, "well-formed"),
    "no timestamp": (log("<event><string key='concept:name' value='A'/></event>"), ContractError, "trace 1 event 1"),
    "a time without offset": (
        log("<event><string key='concept:name' value='A'/><date key='time:timestamp' value='2011-10-03T09:00:00'/></event>"),
        ContractError, "with offset",
    ),
    "an event without a name": (log("<event><string key='x' value='A'/></event>"), ContractError, "concept:name"),
    "a case without a number": (log(*STORY, case=""), ContractError, "trace 1"),
    "endless nesting": (b"<log>" + b"<a>" * 100_000, LimitError, "deeper"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_logs_are_refused_in_clear_words(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    convert, _, _ = desk
    content, kind, words = HOSTILE[name]
    path = tmp_path / "log.xes"
    path.write_bytes(content)
    with pytest.raises(kind, match=words) as caught:
        convert.read_events(path)
    assert caught.value.todo
    assert caught.value.where.startswith("log.xes")
    assert convert.main([str(path), str(tmp_path / "out")]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_gzip_bomb_meets_the_limit(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convert, _, _ = desk
    monkeypatch.setattr(convert, "BYTES_MAX", 1 << 20)
    path = tmp_path / "log.xes.gz"
    path.write_bytes(gzip.compress(b"<log>" + b" " * (8 << 20) + b"</log>"))
    with pytest.raises(LimitError, match="unpacked"):
        convert.read_events(path)


def test_settings_are_read_and_declare_the_desks_roles() -> None:
    roles = load_config(HERE / "settings.toml").engine.reasons.roles
    assert {"desk", "validation", "fraud", "robot"} <= set(roles)


def test_without_data_it_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "run.py")], check=True, capture_output=True, text=True,
        env=os.environ | {"WATCHBILL_DATA": str(tmp_path), "PYTHONPATH": str(HERE.parents[1] / "src")},
    )  # fmt: skip
    assert done.stdout.strip() == "skipped: no data"


def sliced(convert: ModuleType, until: str) -> bytes:
    """A small real log: the events before `until` of every other early case."""
    from xml.sax.saxutils import quoteattr

    parts = []
    for number, (trace, events) in enumerate(convert.read_xes(DATA)):
        if number == 3_600:
            break
        if number % 2:
            continue
        parts.append(f"<trace><string key='concept:name' value={quoteattr(trace['concept:name'])}/>")
        for row in events:
            if row["time:timestamp"] < until:
                inner = "".join(
                    f"<string key={quoteattr(key)} value={quoteattr(value)}/>" for key, value in row.items()
                )
                parts.append(f"<event>{inner}</event>")
        parts.append("</trace>")
    return ("<log>" + "".join(parts) + "</log>").encode()


@pytest.mark.skipif(not DATA.is_file(), reason="no data")
def test_the_whole_protocol_on_a_slice_of_the_real_log(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert, protocol, run = desk
    monkeypatch.setattr(protocol, "WARM_DAYS_MIN", 5)
    monkeypatch.setattr(protocol, "TEST_DAYS_MIN", 5)
    path = tmp_path / "slice.xes"
    path.write_bytes(sliced(convert, "2011-11-05"))
    result = run.measure(path, tmp_path / "work", seeds=1, snoops=2, rates=(3,), split="2011-10-20")
    explained = result["explained"]
    assert explained["first"]["looks"] > 300
    assert 0.9 < explained["first"]["strict"] <= explained["first"]["late"] <= 1.0
    anyone, in_progress = result["found"]["any 3"], result["found"]["open 3"]
    assert anyone["snoops"] == 2
    assert anyone["explained"] <= in_progress["explained"]
    assert result["replay"]["steps as in the direct run"]
    assert result["replay"]["quarantined"] == 0
    again = run.measure(path, tmp_path / "again", seeds=1, snoops=2, rates=(3,), split="2011-10-20")
    assert again["found"] == result["found"]
    assert "Honest staff interrupted" in run.show(result)
