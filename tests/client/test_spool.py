from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from watchbill.client import spool as module
from watchbill.client.spool import Post, Spool


def spool(folder: Path, bytes_max: int = 1 << 20, start: int = 0) -> Spool:
    numbers = itertools.count(start)
    return Spool(folder, bytes_max, lambda: f"{next(numbers):04d}")


def delivered(one: Spool, said: Post = "taken") -> list[dict[str, object]]:
    got: list[dict[str, object]] = []

    def post(body: bytes) -> Post:
        got.extend(json.loads(line) for line in body.splitlines())
        return said

    one.deliver(post)
    return got


def test_what_was_written_is_delivered_once_it_is_taken(tmp_path: Path) -> None:
    one = spool(tmp_path / "spool")
    assert not one.waiting()
    assert all(one.write({"id": str(n)}) for n in range(3))
    assert delivered(one, "later") == [{"id": "0"}, {"id": "1"}, {"id": "2"}]
    assert one.write({"id": "3"})
    assert [row["id"] for row in delivered(one)] == ["0", "1", "2", "3"]
    assert not one.waiting()
    assert delivered(one) == []


def test_what_is_refused_is_kept_aside(tmp_path: Path) -> None:
    one = spool(tmp_path)
    one.write({"id": "0"})
    delivered(one, "refused")
    assert not one.waiting()
    assert [path.suffix for path in tmp_path.iterdir()] == [".refused"]


def test_it_never_grows_over_its_bound(tmp_path: Path) -> None:
    one = spool(tmp_path, 4096)
    taken = [one.write({"id": "x" * 100}) for _ in range(100)]
    assert taken.index(False) == sum(taken)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4096
    delivered(one)
    assert one.write({"id": "y"})


def test_a_disk_that_is_full_or_gone_says_no(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = spool(tmp_path)
    assert one.write({"id": "0"})

    def half(file: int, data: memoryview) -> int:
        real(file, bytes(data)[:3])
        raise OSError(28, "no space")

    real = os.write
    monkeypatch.setattr(os, "write", half)
    assert not one.write({"id": "1"})
    monkeypatch.undo()
    assert one.write({"id": "2"})
    assert [row["id"] for row in delivered(one)] == ["0", "2"]
    (tmp_path / "file").write_text("x")
    assert not spool(tmp_path / "file").write({"id": "0"})


def test_a_sync_that_fails_takes_the_record_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = spool(tmp_path)
    assert one.write({"id": "0"})

    def broken(_file: int) -> None:
        raise OSError(5, "input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    assert not one.write({"id": "1"})
    monkeypatch.undo()
    assert [row["id"] for row in delivered(one)] == ["0"]


def test_a_file_that_another_process_writes_is_left_alone_until_it_died(tmp_path: Path) -> None:
    first, second = spool(tmp_path), spool(tmp_path, start=100)
    first.write({"id": "of the first"})
    second.write({"id": "of the second"})
    assert [row["id"] for row in delivered(second)] == ["of the second"]
    first.close()
    assert [row["id"] for row in delivered(second)] == ["of the first"]


def test_killed_in_the_middle_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    text = (
        "import sys, os, itertools\nfrom pathlib import Path\nfrom watchbill.client.spool import Spool\n"
        "n = itertools.count()\none = Spool(Path(sys.argv[1]), 1 << 20, lambda: f'p{next(n)}')\n"
        "for i in range(5):\n    one.write({'id': str(i)})\n"
        'os.write(one._file, b\'{"id": "half\')\nos.kill(os.getpid(), 9)\n'
    )
    done = subprocess.run([sys.executable, "-c", text, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert [row["id"] for row in delivered(spool(tmp_path, start=50))] == ["0", "1", "2", "3", "4"]


def test_large_spools_are_delivered_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILE_BYTES_MAX", 200)
    one = spool(tmp_path)
    for n in range(10):
        assert one.write({"id": f"{n:050d}"})
    sizes: list[int] = []

    def post(body: bytes) -> Post:
        sizes.append(len(body))
        return "taken"

    one.deliver(post)
    assert len(sizes) > 2
    assert max(sizes) <= 200


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    one = spool(tmp_path / "spool")
    one.write({"id": "0"})
    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "spool").iterdir())
