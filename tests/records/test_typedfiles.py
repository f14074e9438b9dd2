"""Files by format: names, beginnings, and rows of files that may be damaged or hostile."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
import zstandard

from watchbill.core.errors import LimitError
from watchbill.records.typedfiles import beginning, fingerprint, format_of, piece, typed_rows

TABLE = pa.table({"id": [str(i) for i in range(100)], "page": list(range(100))})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.ndjson", "lines"), ("a.JSONL.gz", "lines"), ("app.log", "lines"), ("app.log.1", "lines"),
        ("app.log.2.gz", "lines"), ("app.log-20250101.zst", "lines"), ("a.csv", "csv"), ("a.parquet", "parquet"),
        ("a.feather", "arrow"), ("a.arrow.zst", "arrow"), ("README", None), ("a.txt", None), ("a.gz", None), ("1.1", None),
    ],
)  # fmt: skip
def test_format_by_name(name: str, kind: str | None) -> None:
    assert format_of(Path(name)) == kind


def test_a_compressed_log_begins_like_the_plain_one(tmp_path: Path) -> None:
    data = b'{"id":"1"}\n' + b"x" * 10_000
    plain, packed = tmp_path / "a.log", tmp_path / "a.log.1.gz"
    plain.write_bytes(data)
    packed.write_bytes(gzip.compress(data))
    assert beginning(plain, "lines") == beginning(packed, "lines") == b'{"id":"1"}\n'
    (tmp_path / "a.csv").write_bytes(b"id,time\n1,2\n3,4\n")
    assert beginning(tmp_path / "a.csv", "csv") == b"id,time\n1,2\n"
    assert len(fingerprint(b"x")) == 16
    assert piece(plain, 0, 4) == b'{"id'
    assert piece(plain, 0, 10**6) is None
    assert piece(tmp_path / "none", 0, 1) is None


def packed(kind: str) -> bytes:
    out = io.BytesIO()
    if kind == "parquet":
        pq.write_table(TABLE, out, row_group_size=30)
    elif kind == "stream":
        with pa.ipc.new_stream(out, TABLE.schema) as writer:
            writer.write_table(TABLE, 40)
    else:
        with pa.ipc.new_file(out, TABLE.schema) as writer:
            writer.write_table(TABLE, 40)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["parquet", "arrow", "stream"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize("first", [0, 37, 100])
def test_rows_from_any_place(kind: str, pack: object, first: int) -> None:
    file = io.BytesIO(pack(packed(kind)))  # type: ignore[operator]
    tables = list(typed_rows(file, "parquet" if kind == "parquet" else "arrow", first, 25, 1 << 20))
    rows = [page for table in tables for page in table.column("page").to_pylist()]
    assert rows == list(range(first, 100))
    assert all(table.num_rows <= 25 for table in tables)


def test_a_file_that_grows_over_the_limit_when_unpacked() -> None:
    with pytest.raises(LimitError, match="unpacks to more"):
        list(typed_rows(io.BytesIO(gzip.compress(packed("parquet"))), "parquet", 0, 10, 100))


def test_offsets_outside_their_buffer_are_found() -> None:
    out = io.BytesIO()
    schema = pa.schema([("id", pa.string())])
    with pa.ipc.new_file(out, schema) as writer:
        good = pa.record_batch([pa.array(["abcd"])], schema=schema)
        writer.write_batch(good)
    data = out.getvalue()
    offsets = np.array([0, 4], np.int32).tobytes()
    at = data.rindex(offsets, 0, data.index(b"abcd"))
    forged = data[:at] + np.array([0, 1 << 30], np.int32).tobytes() + data[at + 8 :]
    with pytest.raises(pa.ArrowException):
        list(typed_rows(io.BytesIO(forged), "arrow", 0, 10, 1 << 20))


def test_invalid_utf8_in_arrow_costs_a_row_not_the_file() -> None:
    bad = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers())
    out = io.BytesIO()
    with pa.ipc.new_file(out, pa.schema([("id", pa.string())])) as writer:
        writer.write_batch(pa.record_batch([bad], names=["id"]))
    (table,) = typed_rows(io.BytesIO(out.getvalue()), "arrow", 0, 10, 1 << 20)
    assert table.num_rows == 1
