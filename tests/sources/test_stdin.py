"""Standard input: lines in, compressed or not, cut off or not."""

from __future__ import annotations

import gzip
import io

import pytest
import zstandard

from watchbill.records.limits import RecordLimits
from watchbill.sources.stdin import Settings, StdinSource, open_source

DATA = b"".join(b'{"id":"%d","time":1760000000000,"kind":"view","account":"E1"}\n' % i for i in range(300))


def read(data: bytes, **kwargs: object) -> tuple[list[str], list[str], dict[str, object]]:
    source = StdinSource("s", Settings(**kwargs), io.BytesIO(data))  # type: ignore[arg-type]
    batches = list(source.read(None, stop=lambda: False))
    ids = [i for b in batches for i in b.table.column("id").to_pylist()]
    return ids, [f"{q.position} {q.reason}" for b in batches for q in b.quarantined], batches[-1].position


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_all_records_come(pack: object) -> None:
    ids, refused, position = read(pack(DATA.rstrip(b"\n")))  # type: ignore[operator]
    assert ids == [str(i) for i in range(300)]
    assert not refused
    assert position == {"line": 301}


def test_a_cut_off_stream_is_said_once() -> None:
    packed = gzip.compress(DATA, 0)
    ids, refused, _ = read(packed[:10_000])
    assert ids == [str(i) for i in range(len(ids))]
    assert len(ids) > 140
    assert refused == [f"stdin:{len(ids) + 1} the gzip stream ends too early"]


def test_a_long_line_is_passed_over() -> None:
    limits = RecordLimits(line_bytes_max=1000)
    ids, refused, _ = read(DATA + b"x" * 3_000_000 + b"\n" + DATA.replace(b'"id":"', b'"id":"b'), limits=limits)
    assert len(ids) == 600
    assert len(refused) == 1
    assert refused[0].startswith("stdin:301 line of 3000000 bytes")


def test_numbers_go_on_after_a_restart_and_stop_is_heard() -> None:
    line = b'{"time":1760000000000,"kind":"view","account":"E1"}'
    source = StdinSource("s", Settings(identity="today"), io.BytesIO(line))
    (batch,) = source.read({"line": 8}, stop=lambda: False)
    assert batch.table.column("id").to_pylist() == ["today:8"]
    assert list(StdinSource("s", Settings(), io.BytesIO(DATA)).read(None, stop=lambda: True)) == []
    assert open_source("s", Settings()).name == "s"
