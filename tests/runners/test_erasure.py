"""After an erasure nothing of the customer is in the home, in any file and however it is encoded, and everything else stands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inquiry.test_exposure import T0
from inquiry.test_inforce import keep
from watchbill.core.errors import LedgerBusy, LimitError, NotFoundError, SettingsError
from watchbill.core.hashing import hash_text
from watchbill.inquiry.exposure import saw, who_saw
from watchbill.ledger import erasing, merkle
from watchbill.ledger.frames import Frame, pack, pack_lines, unpack, unpack_lines
from watchbill.ledger.journal import Journal, read_frames
from watchbill.ledger.keys import nonces
from watchbill.ledger.prove import prove
from watchbill.ledger.reader import Ledger
from watchbill.ledger.sealing import seal
from watchbill.ledger.verify import verify
from watchbill.records.schema import SCHEMA
from watchbill.runners import erasure
from watchbill.runners.clock import ManualClock
from watchbill.runners.engine import Engine
from watchbill.runners.erasure import erase_subject, retain

DAY = 86_400_000
GONE, OTHER, PARCEL = "customer-4711", "customer-0815", "SF-4711-0001"
REST = {"origin": "O1", "destination": "O2", "assigned": "E9", "from": 0, "until": 1 << 50}
PEOPLE: dict[str, Any] = {"reason": "art. 47", "by": "p-7"}


def rows() -> list[dict[str, Any]]:
    parcel = {"waybill": PARCEL, "sender": GONE, "recipient": OTHER, **REST}
    keeping = {"waybill": "SF-1", "sender": OTHER, "recipient": OTHER, **REST}
    return [
        {"table": [parcel, keeping]},
        {"account": "E1", "subjects": [GONE], "fields": ["recipient.phone"], "reason": f"call of {GONE}"},
        {"account": "E1", "subjects": [GONE, OTHER], "fields": ["recipient.phone"], "waybill": "W-both"},
        {"account": "E2", "waybill": PARCEL, "fields": ["recipient.name"], "id": f"look-{PARCEL}"},
        {"kind": "scan", "waybill": PARCEL, "outlet": "O1", "status": "arrived", "id": f"scan-{PARCEL}"},
        {"account": "E2", "shown": [{"subject": GONE, "fields": ["a"]}, {"subject": OTHER, "fields": ["b"]}]},
        {"account": "E2", "subjects": [OTHER], "fields": ["recipient.name"], "waybill": "SF-1"},
        {"account": "E3", "kind": "export", "subjects": [f"c{n}" for n in range(50)] + [GONE], "results": 51},
        {"account": "E3", "subjects": [OTHER], "time": T0 + 200 * DAY, "arrival": T0 + 200 * DAY},
    ]


def journaled(home: Path, told: list[dict[str, Any]], lines: bytes = b"") -> None:
    """Put records into the journal as the engine does, two a frame; then quarantined lines."""
    moved = json.dumps({"positions": {}, "duplicates": 0, "quarantined": 0, "derived": False}).encode()
    with Journal.open(home) as journal:
        for at in range(0, len(told), 2):
            table = pa.Table.from_pylist(told[at : at + 2], schema=SCHEMA)
            journal.append(Frame(table.num_rows, told[at : at + 2][-1]["arrival"], pack(table), moved))
        if lines:
            journal.append(Frame(0, journal.arrival, b"", moved, pack_lines(lines)))
        journal.commit()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    first, *rest = rows()
    told = [{**keep(home, "parcels", "p1", first["table"]), "source": "watchbill"}, *rest]
    full = [
        {"source": "s", "id": f"i{n}", "time": T0 + n, "arrival": T0 + n, "kind": "view", **row}
        for n, row in enumerate(told)
    ]
    raws = (f'{{"subject":"{GONE}"}}', "other")
    texts = [{"source": "s", "position": "1", "reason": "no", "todo": "x", "raw": raw} for raw in raws]
    journaled(home, full[:-1], b"".join(json.dumps(text).encode() + b"\n" for text in texts))
    journaled(home, full[-1:])
    return home


@pytest.fixture
def home(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "home"))


def every_text(home: Path) -> Iterator[tuple[str, bytes]]:
    """Everything that the home holds: files as they are, and what is packed in them."""
    for path in sorted(path for path in home.rglob("*") if path.is_file()):
        name = str(path.relative_to(home))
        yield name, path.read_bytes()
        if path.suffix == ".parquet":
            yield name, json.dumps(pq.read_table(path, partitioning=None).to_pylist(), default=str).encode()
    for seq, frame in read_frames(home, 0):
        yield f"frame {seq}", unpack_lines(frame.quarantined)
        if frame.count:
            yield f"frame {seq}", json.dumps(unpack(frame.payload).to_pylist(), default=str).encode()


def where(home: Path, text: str) -> list[str]:
    return sorted({name for name, data in every_text(home) if text.encode() in data})


def test_nothing_of_the_customer_is_left(home: Path) -> None:
    seal(home, final=True)
    before = {seq: prove(home, seq) for seq in range(9)}
    (home / "sightings").mkdir()
    (home / "sightings" / "run-1").write_text(GONE)  # an index beside the ledger goes with it
    keys = [min((home / "keys" / "days").glob("*.key")).read_bytes()]  # the day of all but the last
    assert len(where(home, GONE)) > 5
    said = erase_subject(home, GONE, clock=ManualClock(T0 + 400 * DAY), **PEOPLE)
    assert (said.records, said.held, said.cases, said.left, said.replayed) == (6, 0, [], [], False)
    assert where(home, GONE) == []
    assert where(home, PARCEL) == []
    assert where(home, "W-both") == []
    high = hash_text(GONE) >> 32
    for path in home.rglob("*.idx"):
        assert high not in (np.frombuffer(path.read_bytes()[16:], "<u8") >> np.uint64(32)).tolist()
    everything = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    for seq in (1, 2, 3, 4, 5, 7):
        after = prove(home, seq)
        assert (after.leaf, after.record, after.nonce) == (before[seq].leaf, None, None)
        nonce = before[seq].nonce or b""
        assert merkle.leaf_hash(nonce + (before[seq].record or b"")) == after.leaf
        assert nonce not in everything
    assert not any(key in everything for key in keys)
    assert any(nonces(key, 1, 1).tobytes() == before[1].nonce for key in keys)


def test_the_rest_is_told_as_before(home: Path) -> None:
    erase_subject(home, GONE, clock=ManualClock(T0 + 400 * DAY), **PEOPLE)
    report = verify(home)
    assert (report.ok, report.gone, report.reason) == (True, 6, "")
    assert [one.subject for one in saw(home, "E1").subjects] == [OTHER]
    export = saw(home, "E3")
    assert {one.subject for one in export.subjects} == {*(f"c{n}" for n in range(50)), OTHER}
    assert [gap.kind for gap in export.gaps] == ["unnamed"]
    assert [one.account for one in who_saw(home, OTHER).accounts] == ["E1", "E2", "E3"]
    assert who_saw(home, GONE).accounts == []
    record = next(row for table in Ledger(home).in_order() for row in table.to_pylist() if row["kind"] == "wb.erase")
    told = json.loads(record["extra"])
    assert (told["records"], told["reason"], told["by"], told["forced"]) == (6, "art. 47", "p-7", False)
    for seq in (6, 8):
        assert prove(home, seq).record is not None


def test_an_engine_goes_on_behind_it_also_without_its_state(home: Path) -> None:
    erase_subject(home, GONE, clock=ManualClock(T0 + 400 * DAY), **PEOPLE)
    height = Ledger(home).height
    assert where(home, PARCEL) == []
    shutil.rmtree(home / "state")
    engine = Engine(home, None, ManualClock(T0 + 401 * DAY))
    assert (engine.done, engine.journal.height) == (height, height)
    engine.control("wb.verdictless", {})
    assert engine.tell(T0 + 401 * DAY) == height + 1
    engine.close()
    seal(home, final=True)
    assert verify(home).ok


def case(home: Path, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A made-up row of cases.ndjson, which the engine would write anew (tests/commands/test_erase.py has a true one)."""
    monkeypatch.setattr(erasure, "_refresh", lambda *_: None)
    span = {"account": "E1", "from": T0, "until": T0 + DAY}
    row = {"id": "c1", "seq": 0, "status": status, "accounts": ["E1"], "devices": [], "tenancies": [span]}
    (home / "cases.ndjson").write_text(json.dumps(row) + "\n")


def test_the_state_goes_too_when_asked(home: Path) -> None:
    clock = ManualClock(T0 + 400 * DAY)
    hashed = hash_text(PARCEL).to_bytes(8, "little")
    erase_subject(home, GONE, clock=clock, forget_state=True, **PEOPLE)
    assert not (home / "state").exists()
    engine = Engine(home, None, clock)
    engine.checkpoint()
    engine.close()
    assert not [path for path in (home / "state").rglob("*") if path.is_file() and hashed in path.read_bytes()]


@pytest.mark.parametrize("status", ["contained", "in_review", "archived"])
def test_an_open_case_holds_it(home: Path, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    case(home, status, monkeypatch)
    clock = ManualClock(T0 + 400 * DAY)
    with pytest.raises(LimitError, match="c1"):
        erase_subject(home, GONE, clock=clock, **PEOPLE)
    assert where(home, GONE)
    assert erase_subject(home, GONE, clock=clock, dry_run=True, force=True, **PEOPLE).cases == ["c1"]
    assert where(home, GONE)
    said = erase_subject(home, GONE, clock=clock, force=True, **PEOPLE)
    assert said.cases == ["c1"]
    rows = [row for table in Ledger(home).in_order() for row in table.to_pylist() if row["kind"] == "wb.erase"]
    assert json.loads(rows[0]["extra"])["forced"] is True


def test_a_closed_case_does_not(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case(home, "dismissed", monkeypatch)
    assert erase_subject(home, GONE, clock=ManualClock(T0 + 400 * DAY), **PEOPLE).records == 6


def test_words_that_lead_nowhere(home: Path) -> None:
    clock = ManualClock(T0)
    with pytest.raises(NotFoundError):
        erase_subject(home, "nobody", clock=clock, **PEOPLE)
    many: list[dict[str, Any]] = [
        {"reason": " ", "by": "p"},
        {"reason": "x" * 501, "by": "p"},
        {"reason": "x", "by": ""},
    ]
    for wrong in many:
        with pytest.raises(SettingsError):
            erase_subject(home, GONE, clock=clock, **wrong)
    with Journal.open(home), pytest.raises(LedgerBusy):
        erase_subject(home, GONE, clock=clock, **PEOPLE)


def test_a_killed_erasure_is_finished(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    clock = ManualClock(T0 + 400 * DAY)
    monkeypatch.setattr(erasing, "_survive", killed)
    with pytest.raises(KeyboardInterrupt):
        erase_subject(home, GONE, clock=clock, **PEOPLE)
    with pytest.raises(Exception, match="did not finish"):
        retain(home, 180, clock=clock)
    monkeypatch.undo()
    erase_subject(home, GONE, clock=clock, **PEOPLE)
    assert where(home, GONE) == []
    assert verify(home).ok


def test_retention_drops_whole_days_and_keeps_proofs(home: Path) -> None:
    clock = ManualClock(T0 + 190 * DAY)
    with pytest.raises(SettingsError):
        retain(home, 179, clock=clock)
    assert retain(home, 189, clock=clock, dry_run=True).records == 8 - 1
    leaf = prove(home, 1).leaf
    said = retain(home, 189, clock=clock)
    assert (said.records, said.held) == (7, 0)
    assert where(home, GONE) == ["reference/parcels-p1.parquet"]  # in force: it goes with a newer table, or an erasure
    report = verify(home)
    assert (report.ok, report.gone, report.reason) == (True, 7, "")
    assert (prove(home, 1).leaf, prove(home, 1).record) == (leaf, None)
    assert prove(home, 0).record is not None
    young = saw(home, "E3")
    assert [one.subject for one in young.subjects] == [OTHER]
    assert (young.complete, young.upper, [gap.kind for gap in young.gaps]) == (False, None, ["payload_dropped"])
    assert saw(home, "E3", T0 + 199 * DAY, T0 + 201 * DAY).complete
    assert retain(home, 189, clock=clock).records == 0
    assert not verify(home).first_bad


def test_retention_holds_what_an_open_case_needs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case(home, "open", monkeypatch)
    said = retain(home, 189, clock=ManualClock(T0 + 190 * DAY))
    assert (said.records, said.held, said.cases) == (5, 2, ["c1"])
    assert [one.subject for one in saw(home, "E1").subjects] == [GONE, OTHER]
    assert prove(home, 1).record is not None
    assert verify(home).ok


def test_an_older_parcels_table_is_emptied(whole: Path, home: Path) -> None:
    with Journal.open(home) as journal:
        newer = keep(
            home,
            "parcels",
            "p2",
            [{"waybill": "SF-2", "sender": OTHER, "recipient": OTHER, **REST}],
        )
        arrival = journal.arrival
    journaled(home, [{"id": "r2", **newer, "source": "watchbill", "time": arrival, "arrival": arrival}])
    retain(home, 189, clock=ManualClock(T0 + 190 * DAY))
    kept = {path.name: pq.read_table(path).num_rows for path in (home / "reference").glob("*.parquet")}
    assert kept == {
        "parcels-p1.parquet": 2,
        "parcels-p2.parquet": 1,
    }  # p2 came on day 200, so p1 was in force until then
    retain(home, 189, clock=ManualClock(T0 + 500 * DAY))
    kept = {path.name: pq.read_table(path).num_rows for path in (home / "reference").glob("*.parquet")}
    assert kept == {"parcels-p1.parquet": 0, "parcels-p2.parquet": 1}
