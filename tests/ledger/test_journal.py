"""The journal: nothing acknowledged is lost, nothing damaged passes, one writer, any number of readers."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from watchbill.core.errors import LedgerBusy, LedgerError, LedgerFull
from watchbill.ledger import files
from watchbill.ledger.frames import Frame
from watchbill.ledger.journal import Journal, read_frames

SOURCE = Path(__file__).parents[2] / "src"


def frame(number: int, count: int = 3, size: int = 40) -> Frame:
    return Frame(count, 1000 + number, bytes([number % 256]) * size, b'{"s":%d}' % number, b"q" * (number % 5))


def write(home: Path, numbers: range, file_bytes_max: int = 1 << 20) -> None:
    with Journal.open(home, file_bytes_max=file_bytes_max) as journal:
        for number in numbers:
            journal.append(frame(number))
            journal.commit()


def test_an_empty_home(tmp_path: Path) -> None:
    assert list(read_frames(tmp_path)) == []
    with Journal.open(tmp_path / "home") as journal:
        assert (journal.height, journal.durable, journal.arrival, journal.repaired) == (0, 0, 0, None)
        assert journal.commit() == 0
    assert list(read_frames(tmp_path / "home")) == []


def test_frames_come_back_over_files_and_restarts(tmp_path: Path) -> None:
    write(tmp_path, range(20), 600)
    write(tmp_path, range(20, 40), 600)
    assert list(read_frames(tmp_path)) == [(3 * number, frame(number)) for number in range(40)]
    assert len(files.journal_files(tmp_path)) > 5
    for start in (0, 1, 3, 59, 60, 118, 119, 120):
        assert [seq for seq, _ in read_frames(tmp_path, start)] == list(range(start // 3 * 3, 120, 3))


def test_height_durable_and_arrival(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        assert [journal.append(frame(1)), journal.append(frame(2, count=0)), journal.append(frame(3))] == [0, 3, 3]
        assert (journal.height, journal.durable, journal.arrival) == (6, 0, 1003)
        assert list(journal.frames()) == []
        assert journal.commit() == journal.durable == 6
        assert [seq for seq, _ in journal.frames()] == [0, 3, 3]
        with pytest.raises(LedgerError, match="goes back"):
            journal.append(frame(1))
    with pytest.raises(LedgerError, match="closed"):
        journal.append(frame(9))


def test_two_writers(tmp_path: Path) -> None:
    with Journal.open(tmp_path), pytest.raises(LedgerBusy, match=str(tmp_path)):
        Journal.open(tmp_path)
    Journal.open(tmp_path).close()


def test_torn_tail_at_every_byte(tmp_path: Path) -> None:
    write(tmp_path, range(2))
    (_, path), *_ = files.journal_files(tmp_path)
    whole = path.read_bytes()
    with Journal.open(tmp_path) as journal:
        journal.append(frame(2))  # never acknowledged
    data = path.read_bytes()
    for cut in range(len(whole), len(data)):
        path.write_bytes(data[:cut])
        with Journal.open(tmp_path) as journal:
            assert journal.height == journal.durable == 6
            assert (journal.repaired is None) == (cut == len(whole))
        assert path.read_bytes() == whole


def test_an_unacknowledged_whole_frame_is_kept_at_restart(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        journal.append(frame(0))
    assert list(read_frames(tmp_path)) == []
    with Journal.open(tmp_path) as journal:
        assert (journal.durable, journal.repaired) == (3, None)


def test_damage_to_acknowledged_frames_stops_and_cuts_nothing(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    (_, path), *_ = files.journal_files(tmp_path)
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(LedgerError, match="seq"):
            Journal.open(tmp_path)
        with pytest.raises(LedgerError, match="seq"):
            list(read_frames(tmp_path))
        assert path.stat().st_size == len(data)
    for cut in range(0, len(data), 7):
        path.write_bytes(data[:cut])
        with pytest.raises(LedgerError):
            Journal.open(tmp_path)


def test_damage_is_known_without_the_mark(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    (_, path), *_ = files.journal_files(tmp_path)
    data = bytearray(path.read_bytes())
    data[80] ^= 1
    path.write_bytes(data)
    files.mark_path(tmp_path).unlink()
    with pytest.raises(LedgerError, match="seq 0"):
        Journal.open(tmp_path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    write(tmp_path, range(20), 600)
    files.journal_files(tmp_path)[2][1].unlink()
    with pytest.raises(LedgerError, match="missing"):
        list(read_frames(tmp_path))


def test_full_disk_stops_and_recovers(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with Journal.open(tmp_path) as journal:
            journal.append(frame(0))
            journal.commit()
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
            for _ in range(2):
                journal.append(frame(1))
                journal.append(frame(2, size=500))
                with pytest.raises(LedgerFull):
                    journal.commit()
                assert (journal.height, journal.durable, journal.arrival) == (3, 3, 1000)
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert journal.append(frame(3, size=500)) == 3
            assert journal.commit() == 6
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert [found for _, found in read_frames(tmp_path)] == [frame(0), frame(3, size=500)]


@pytest.mark.parametrize("failing", ["fdatasync", "write_mark", "open"])
def test_a_failing_disk_undoes_back_to_the_durable_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with Journal.open(tmp_path, file_bytes_max=400) as journal:
        journal.append(frame(0))
        journal.commit()
        with monkeypatch.context() as patch:
            patch.setattr(files if failing == "write_mark" else os, failing, fail)
            for number in range(5):
                journal.append(frame(number))
            if failing == "open":
                patch.undo()  # a new file could not be made; cutting back works
            with pytest.raises(LedgerFull, match="Input/output"):
                journal.commit()
        assert (journal.height, journal.durable) == (3, 3)
        journal.append(frame(9))
        assert journal.commit() == 6
    assert [found for _, found in read_frames(tmp_path)] == [frame(0), frame(9)]


def test_readers_while_writing(tmp_path: Path) -> None:
    seen: list[list[int]] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.append([seq for seq, _ in read_frames(tmp_path)])

    with Journal.open(tmp_path, file_bytes_max=2000) as journal:
        reader = threading.Thread(target=look)
        reader.start()
        for number in range(150):
            journal.append(frame(number))
            journal.commit()
        stop.set()
        reader.join()
    assert seen
    assert all(found == list(range(0, 3 * len(found), 3)) for found in seen)


WRITER = """
import sys
from pathlib import Path
from watchbill.ledger.frames import Frame
from watchbill.ledger.journal import Journal
with Journal.open(Path(sys.argv[1]), file_bytes_max=4000) as journal:
    while True:
        for _ in range(3):
            seq = journal.append(Frame(2, journal.arrival + 1, b"%020d" % journal.height))
        print(journal.commit(), flush=True)
"""


@pytest.mark.parametrize("seed", range(4))
def test_kill_at_any_moment_loses_nothing_acknowledged(tmp_path: Path, seed: int) -> None:
    rng, height = random.Random(seed), 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        ) as writer:
            assert writer.stdout is not None
            lines = rng.randrange(1, 300)
            told = [int(writer.stdout.readline()) for _ in range(lines)]
            writer.kill()
            told += [int(line) for line in writer.stdout.read().split(b"\n")[:-1]]
        assert told[0] >= height
        with Journal.open(tmp_path, file_bytes_max=4000) as journal:
            height = journal.durable
        assert height >= told[-1]
        found = [(seq, frame.payload) for seq, frame in read_frames(tmp_path)]
        assert found == [(seq, b"%020d" % seq) for seq in range(0, height, 2)]
