"""Sealing: the same records, leaves and root whatever interrupts it; quarantined lines exactly once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from watchbill.core.errors import LedgerBusy, LedgerError, LedgerFull
from watchbill.ledger import files, manifest, sealing
from watchbill.ledger.frames import Frame
from watchbill.ledger.journal import Journal
from watchbill.ledger.keys import DAY_MS
from watchbill.ledger.merkle import leaf_hash, root_of
from watchbill.ledger.reader import Ledger
from watchbill.ledger.sealing import Sealer, drop_sealed_before, seal
from watchbill.ledger.verify import verify

SOURCE = Path(__file__).parents[2] / "src"


def all_records(home: Path) -> pa.Table:
    return pa.concat_tables(Ledger(home).records()).sort_by("seq").drop_columns(["seq"])


def lines_of(home: Path) -> list[bytes]:
    path = home / files.QUARANTINE
    return path.read_bytes().splitlines() if path.exists() else []


def test_an_empty_home(tmp_path: Path) -> None:
    assert seal(tmp_path, final=True).sealed == 0
    assert seal(tmp_path / "other", final=True).records == 0
    assert verify(tmp_path).ok


def test_segments_hold_the_records_sorted_and_by_day(tmp_path: Path, make: Any, fill: Any) -> None:
    table = make(1200, days=2.5)
    fill(tmp_path, table)
    report = seal(tmp_path, rows_max=300, final=True)
    assert (report.sealed, report.records) == (1200, 1200)
    assert all_records(tmp_path).equals(table)
    found = manifest.load(tmp_path).segments
    assert report.segments == len(found) >= 4
    for segment in found:
        rows = pq.read_table(segment.path(tmp_path), partitioning=None)
        assert rows.num_rows == segment.rows <= 300
        assert sorted(rows["seq"].to_pylist()) == list(range(segment.first, segment.last + 1))
        assert {arrival // DAY_MS for arrival in rows["arrival"].to_pylist()} == {segment.day}
        pairs = [
            (a is None, a or "", t) for a, t in zip(rows["account"].to_pylist(), rows["time"].to_pylist(), strict=True)
        ]
        assert pairs == sorted(pairs)
    assert lines_of(tmp_path) == [b'{"at":%d}' % at for at in range(0, 1200, 100)]
    assert verify(tmp_path).ok


def test_leaves_are_those_of_the_document(tmp_path: Path, make: Any, fill: Any) -> None:
    fill(tmp_path, make(5))
    root = seal(tmp_path, final=True).root
    leaves = (tmp_path / "tree" / "leaves").read_bytes()
    hashes = [leaves[at : at + 32] for at in range(0, len(leaves), 32)]
    assert len(hashes) == 5
    assert leaf_hash(b"") not in hashes
    assert root_of(hashes).hex() == root


def test_a_run_waits_until_it_is_full_or_its_day_is_over(tmp_path: Path, make: Any, fill: Any) -> None:
    table = make(1000, days=1.2)
    fill(tmp_path, table)
    report = seal(tmp_path, rows_max=10_000)
    days = [arrival // DAY_MS for arrival in table["arrival"].to_pylist()]
    assert report.sealed == days.index(days[-1])
    assert seal(tmp_path, rows_max=10_000).records == 0
    assert all_records(tmp_path).equals(table)
    assert seal(tmp_path, upto=report.sealed + 7, final=True).sealed == report.sealed + 7
    assert seal(tmp_path, final=True).sealed == 1000
    assert all_records(tmp_path).equals(table)
    assert len(lines_of(tmp_path)) == 10


def test_cuts_do_not_change_the_tree(tmp_path: Path, make: Any, fill: Any) -> None:
    table = make(400, days=2)
    fill(tmp_path, table)
    whole = seal(tmp_path, final=True).root
    for part in ("segments", "tree", "checkpoints"):
        subprocess.run(["rm", "-r", str(tmp_path / part)], check=True)
    (tmp_path / manifest.NAME).unlink()
    (tmp_path / files.QUARANTINE).unlink()
    for upto in (1, 99, 100, 250, 400):
        root = seal(tmp_path, rows_max=37, upto=upto, final=True).root
    assert root == whole
    assert len(lines_of(tmp_path)) == 4
    assert verify(tmp_path).ok


def test_two_sealers(tmp_path: Path) -> None:
    lock = files.take_lock(tmp_path / "seal.lock", "another")
    with pytest.raises(LedgerBusy):
        seal(tmp_path)
    os.close(lock)


STEPS = [
    (sealing.segments, "write_parquet"), (sealing.segments, "write_index"), (sealing.segments, "file_digest"),
    (sealing.files, "sync_directory"), (sealing.tiles, "write_at"), (sealing.manifests, "save"), (sealing, "write_checkpoint"),
    (sealing.files, "write_atomic"), (sealing, "leaf_hashes"),
]  # fmt: skip


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("owner", "name"), STEPS)
def test_a_crash_between_any_two_steps_changes_nothing(
    tmp_path: Path,
    make: Any,
    fill: Any,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    moment: str,
    error: Any,
) -> None:
    table = make(300, days=1.5)
    fill(tmp_path, table)
    step: Callable[..., Any] = getattr(owner, name)
    for crash_at in range(1, 8, 3):
        calls = 0

        def crashing(*args: Any, crash_at: int = crash_at, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == crash_at and moment == "before":
                raise error(28, "No space left on device")
            result = step(*args, **named)
            if calls == crash_at:
                raise error(28, "No space left on device")
            return result

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, crashing)
            with suppress(KeyboardInterrupt, LedgerFull):
                seal(tmp_path, rows_max=60, final=True)
        assert all_records(tmp_path).equals(table)
    assert seal(tmp_path, rows_max=60, final=True).sealed == 300
    assert all_records(tmp_path).equals(table)
    assert len(lines_of(tmp_path)) == 3
    report = verify(tmp_path)
    assert report.ok, report.reason
    assert len(list((tmp_path / "segments").rglob("*.parquet"))) == len(manifest.load(tmp_path).segments)


def test_killed_sealers_leave_one_truth(tmp_path: Path, make: Any, fill: Any) -> None:
    table, rng = make(1500, days=3), random.Random(5)
    fill(tmp_path, table, 50)
    command = [sys.executable, "-m", "watchbill.ledger.sealing", str(tmp_path), "--rows-max", "60"]
    for _ in range(4):
        with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(SOURCE)}, stdout=subprocess.PIPE) as child:
            before = manifest.load(tmp_path).sealed
            while child.poll() is None and manifest.load(tmp_path).sealed < min(before + rng.randrange(1, 400), 1500):
                pass
            child.kill()
        assert all_records(tmp_path).equals(table)
    assert seal(tmp_path, rows_max=60, final=True).sealed == 1500
    assert verify(tmp_path).ok
    assert len(lines_of(tmp_path)) == 30


def test_dropped_journal_files_are_not_missed(tmp_path: Path, make: Any, fill: Any) -> None:
    table = make(2000, days=2)
    fill(tmp_path, table.slice(0, 1500))
    assert drop_sealed_before(tmp_path, 1500) == 0
    seal(tmp_path, rows_max=250, final=True)
    before = len(files.journal_files(tmp_path))
    assert drop_sealed_before(tmp_path, 700) < before - 1
    assert drop_sealed_before(tmp_path, 1500) > 0
    assert len(files.journal_files(tmp_path)) == 1
    fill(tmp_path, table, start=1500)
    seal(tmp_path, rows_max=250, final=True)
    assert all_records(tmp_path).equals(table)
    assert len(lines_of(tmp_path)) == 20
    assert verify(tmp_path).ok


def test_a_child_seals_behind_the_stream(tmp_path: Path, make: Any, fill: Any) -> None:
    table = make(900, days=0.2)
    fill(tmp_path, table.slice(0, 500))
    sealer = Sealer.start(tmp_path, rows_max=200)
    fill(tmp_path, table, start=500)
    sealer.check()
    report = sealer.finish(60)
    assert (report.sealed, report.records) == (900, 900)
    assert report.segments == 5
    assert all_records(tmp_path).equals(table)


def test_a_childs_error_is_told(tmp_path: Path, make: Any, fill: Any) -> None:
    fill(tmp_path, make(10))
    (tmp_path / manifest.NAME).write_bytes(b"nonsense\n{}")
    sealer = Sealer.start(tmp_path)
    with pytest.raises(LedgerError, match="checksum"):
        sealer.finish(60)
    sealer = Sealer.start(tmp_path)
    sealer.process.wait(60)
    with pytest.raises(LedgerError, match="checksum"):
        sealer.check()


def test_a_frame_that_counts_wrong_is_told(tmp_path: Path, make: Any) -> None:
    from watchbill.ledger.frames import pack

    with Journal.open(tmp_path) as journal:
        journal.append(Frame(7, 1, pack(make(5))))
        journal.commit()
    with pytest.raises(LedgerError, match="holds 5 records, not 7"):
        seal(tmp_path, final=True)


def test_a_signal_to_the_whole_group_does_not_end_the_child(tmp_path: Path) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, set())
    sealer = Sealer.start(tmp_path)
    for number in (signal.SIGINT, signal.SIGTERM):  # before it had time to import anything, and after
        sealer.process.send_signal(number)
    assert sealer.finish(60).sealed == 0
    assert signal.pthread_sigmask(signal.SIG_BLOCK, set()) == before
