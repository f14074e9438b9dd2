"""Payloads go and the tree stays: verify holds, proofs of the rest hold, positions hold, a killed erasure is finished."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from watchbill.core.errors import LedgerError
from watchbill.ledger import checkpoint, erasing, files, manifest, merkle, sealing
from watchbill.ledger.erasing import Plan, columns_nulled, erase, noted, rows_without
from watchbill.ledger.frames import Frame, pack, unpack
from watchbill.ledger.journal import Journal, read_frames, read_from
from watchbill.ledger.keys import Keys, seed_days
from watchbill.ledger.prove import prove, prove_all
from watchbill.ledger.reader import Ledger
from watchbill.ledger.sealing import seal
from watchbill.ledger.verify import verify

DROP, REDACT = [3, 4, 250, 399], [5, 251, 600]


def plan(drop: list[int] = DROP, redact: list[int] = REDACT) -> Plan:
    return Plan(
        np.array(drop, np.int64), np.array(redact, np.int64), lambda rows: columns_nulled(rows, ("waybill", "reason")),
        lambda raw: raw.replace(b'{"at":100}', b"{}"),
    )  # fmt: skip


def accounted(home: Path, records: int) -> None:
    """The control record that a caller writes before."""
    row = {"source": "watchbill", "id": "e", "kind": "wb.erase", "extra": f'{{"records":{records}}}'}
    with Journal.open(home) as journal:
        full = {**row, "time": journal.arrival, "arrival": journal.arrival}
        first = next(read_frames(home, 0))[1]
        table = pa.Table.from_pylist([full], schema=unpack(first.payload).schema)
        journal.append(Frame(1, journal.arrival, pack(table), b"{}"))
        journal.commit()
    seal(home, rows_max=200, final=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, make: Any, fill: Any) -> Path:
    folder = tmp_path_factory.mktemp("home")
    fill(folder, make(700, days=1.5), 50)
    seal(folder, rows_max=200, final=True)
    accounted(folder, len(DROP) + len(REDACT))
    return folder


@pytest.fixture
def home(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "home"))


def test_the_tree_stays_and_the_rest_is_proven(whole: Path, home: Path) -> None:
    before = verify(home)
    told = erase(home, plan())
    after = verify(home)
    assert (after.ok, after.reason, after.gone) == (True, "", len(DROP) + len(REDACT))
    assert (after.root, after.checkpoint, after.height) == (before.root, before.checkpoint, before.height)
    assert verify(home, processes=2) == after
    key = (home / "keys" / "origin.pub").read_text().strip()
    for old, new in zip(prove_all(whole, range(701)), prove_all(home, range(701)), strict=True):
        assert (new.leaf, new.path) == (old.leaf, old.path)
        lost = new.index in {*DROP, *REDACT}
        assert (new.record, new.nonce) == ((None, None) if lost else (old.record, old.nonce))
        if not lost:
            signed = checkpoint.verify(new.note, key)
            leaf = merkle.leaf_hash((new.nonce or b"") + (new.record or b""))
            assert merkle.verify_inclusion(new.index, signed.size, leaf, new.path, signed.root)
    assert len(told) > 4
    assert not list(home.rglob("*.new"))
    assert noted(home) is None


def test_what_is_left_can_be_read(whole: Path, home: Path) -> None:
    erase(home, plan())
    old, new = (pa.concat_tables(Ledger(folder).in_order()).sort_by("seq").to_pylist() for folder in (whole, home))
    for before, after in zip(old, new, strict=True):
        if before["seq"] in DROP:
            assert (after["kind"], after["account"], after["subjects"]) == ("wb.gone", None, None)
        elif before["seq"] in REDACT:
            assert after == {**before, "waybill": None, "reason": None}
        else:
            assert after == before
    for value in {row["waybill"] for row in old if row["waybill"]}:
        want = [row["seq"] for row in old if row["waybill"] == value and row["seq"] not in {*DROP, *REDACT}]
        assert Ledger(home).find("waybill", value).column("seq").to_pylist() == want


def test_the_journal_keeps_its_positions(whole: Path, home: Path) -> None:
    erase(home, plan())
    old, new = list(read_from(whole)), list(read_from(home))
    assert [(mark, seq, frame.count, frame.arrival) for mark, seq, frame in old] == [
        (mark, seq, frame.count, frame.arrival) for mark, seq, frame in new
    ]
    assert [path.stat().st_size for _, path in files.journal_files(whole)] == [
        path.stat().st_size for _, path in files.journal_files(home)
    ]
    rows = [row for _, frame in read_frames(home, 0) if frame.count for row in unpack(frame.payload).to_pylist()]
    assert [seq for seq, row in enumerate(rows) if row["kind"] == "wb."] == sorted([*DROP, *REDACT])
    with Journal.open(home) as journal:
        assert (journal.height, journal.repaired) == (701, None)
    assert b'{"at":100}' not in (home / "quarantine.ndjson").read_bytes()
    assert b'{"at":150}' in (home / "quarantine.ndjson").read_bytes()


def test_whole_frames_and_single_rows_fit(tmp_path: Path, make: Any) -> None:
    table = make(40)
    with Journal.open(tmp_path) as journal:
        for at in range(40):
            part = table.slice(at, 1)
            journal.append(Frame(1, part["arrival"][-1].as_py(), pack(part)))
        journal.commit()
    seal(tmp_path, final=True)
    accounted(tmp_path, 40)
    erase(tmp_path, plan(list(range(0, 40, 2)), list(range(1, 40, 2))))
    assert verify(tmp_path).ok
    assert verify(tmp_path).gone == 40


def test_no_key_leads_to_what_is_gone_and_new_records_have_one(home: Path, make: Any) -> None:
    keys = {path.name: path.read_bytes() for path in (home / "keys" / "days").glob("*.key")}
    leaf, record = prove(home, 3).leaf, prove(home, 3).record
    assert record is not None
    erase(home, plan())
    assert not list((home / "keys" / "days").glob("*.key"))
    whole = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert not [name for name, key in keys.items() if key in whole]
    assert merkle.leaf_hash(sealing.nonces(next(iter(keys.values())), 3, 1).tobytes() + record) == leaf
    assert whole.find(sealing.nonces(next(iter(keys.values())), 3, 1).tobytes()) < 0
    table = make(701, days=1.5).slice(700)
    with Journal.open(home) as journal:
        part = table.set_column(table.schema.get_field_index("arrival"), "arrival", [[journal.arrival]]).cast(
            table.schema
        )
        journal.append(Frame(1, journal.arrival, pack(part)))
        journal.commit()
    seal(home, final=True)
    assert verify(home).ok
    assert prove(home, 701).record is not None
    assert prove(home, 699).record is not None


def test_a_seed_of_a_replay_is_replaced(tmp_path: Path, make: Any, fill: Any) -> None:
    seed_days(tmp_path, b"first record")
    fill(tmp_path, make(60, days=0.01), 20)
    seal(tmp_path, final=True)
    accounted(tmp_path, 1)
    day = next((tmp_path / "keys" / "days").glob("*.key"))
    key = day.read_bytes()
    erase(tmp_path, plan([3], []))
    assert not day.exists()
    Keys.open(tmp_path).day_key(manifest.load(tmp_path).segments[0].day)
    assert day.read_bytes() != key


def test_twice_is_once(home: Path) -> None:
    erase(home, plan())
    once = {path: path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}
    erase(home, plan())
    assert {path: path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()} == once
    erase(home, plan([5], []))
    assert verify(home).gone == len(DROP) + len(REDACT)


def test_payloads_that_no_record_accounts_for_are_found(home: Path) -> None:
    erase(home, plan([*DROP, 20], REDACT))
    report = verify(home)
    assert not report.ok
    assert "payloads are gone" in report.reason


def test_what_is_not_sealed_is_not_erased(home: Path) -> None:
    with pytest.raises(LedgerError):
        erase(home, plan([701], []))
    assert verify(home).gone == 0


STEPS = [
    (erasing.segments, "write_parquet"), (erasing.segments, "write_index"), (erasing.manifests, "save"), (erasing, "_rewritten"),
    (erasing, "write_survivors"), (erasing.files, "write_atomic"), (erasing, "_quarantine"), (erasing.files, "sync_directory"),
]  # fmt: skip


@pytest.mark.parametrize(("owner", "name"), STEPS, ids=lambda one: one if isinstance(one, str) else "")
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_erasure_is_finished_by_the_next(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, moment: str
) -> None:
    step: Callable[..., Any] = getattr(owner, name)
    for crash_at in (1, 2, 4, 7):
        home = Path(shutil.copytree(whole, tmp_path / f"{crash_at}"))
        calls = 0

        def crashing(*args: Any, crash_at: int = crash_at, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == crash_at and moment == "before":
                raise KeyboardInterrupt
            made = step(*args, **named)
            if calls == crash_at and moment == "after":
                raise KeyboardInterrupt
            return made

        monkeypatch.setattr(owner, name, crashing)
        try:
            erase(home, plan())
        except KeyboardInterrupt:
            monkeypatch.setattr(owner, name, step)
            assert noted(home) in (None, (DROP, REDACT))
            assert noted(home) is None or "did not finish" in verify(home).reason
            seal(home, rows_max=200, final=True)
            erase(home, plan())
        monkeypatch.setattr(owner, name, step)
        report = verify(home)
        assert (report.ok, report.reason, report.gone) == (True, "", len(DROP) + len(REDACT)), crash_at
        assert prove(home, 6).record == prove(whole, 6).record
        rows = [row for _, frame in read_frames(home, 0) if frame.count for row in unpack(frame.payload).to_pylist()]
        assert [seq for seq, row in enumerate(rows) if row["kind"] == "wb."] == sorted([*DROP, *REDACT])


def test_readers_go_on_meanwhile(home: Path) -> None:
    """DuckDB and our reader read on while payloads go: every answer is whole, before or after."""
    stop, said = threading.Event(), list[tuple[int, int]]()
    failed: list[Exception] = []
    waybill = "SF0007"
    want = Ledger(home).find("waybill", waybill).num_rows

    def read() -> None:
        try:
            while not stop.is_set():
                with duckdb.connect() as db:
                    query = f"select count(*) from read_parquet('{home}/segments/*/*.parquet', hive_partitioning=false)"
                    count = db.execute(query).fetchall()[0][0]
                said.append((count, Ledger(home).find("waybill", waybill).num_rows))
        except Exception as error:  # noqa: BLE001 told by the assertion below
            failed.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    seqs = Ledger(home).find("waybill", waybill).column("seq").to_pylist()
    for seq in seqs[:3]:
        erase(home, plan([seq], []))
    stop.set()
    thread.join()
    assert not failed
    assert {count for count, _ in said} == {701}
    assert {rows for _, rows in said} <= set(range(want - 3, want + 1))
    assert said
    assert Ledger(home).find("waybill", waybill).num_rows == want - len(seqs[:3])


def test_lists_without_one_subject() -> None:
    assert rows_without([None, [], ["a"], ["a", "b", "a"]], "a") == [None, [], [], ["b"]]
    shown = [[{"subject": "a", "fields": []}, {"subject": None, "fields": ["x"]}]]
    assert rows_without(shown, "a") == [[{"subject": None, "fields": ["x"]}]]
