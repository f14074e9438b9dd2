"""Frames: what goes in comes out, and no changed or missing byte passes."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.errors import LedgerError, LimitError
from watchbill.ledger import frames
from watchbill.ledger.frames import DamagedFrame, Frame, TornFrame, decode_body, decode_header, encode

FRAMES = st.builds(
    Frame,
    count=st.integers(0, 1000),
    arrival=st.integers(-(2**62), 2**62),
    payload=st.binary(max_size=60),
    positions=st.binary(max_size=20),
    quarantined=st.binary(max_size=20),
)


def read(data: bytes) -> Frame:
    return decode_body(data, frames.HEADER_BYTES, decode_header(data))


@given(FRAMES, st.integers(0, 2**63), st.integers(0, 2**63))
def test_a_frame_comes_back(frame: Frame, seq: int, durable: int) -> None:
    data = b"".join(encode(frame, seq, durable))
    assert read(data) == frame
    assert (decode_header(data).seq, decode_header(data).durable) == (seq, durable)


@given(FRAMES, st.data())
def test_a_changed_byte_is_damage(frame: Frame, data: st.DataObject) -> None:
    raw = bytearray(b"".join(encode(frame, 7, 3)))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DamagedFrame):
        read(bytes(raw))


@given(FRAMES, st.data())
def test_a_missing_end_is_a_torn_frame(frame: Frame, data: st.DataObject) -> None:
    raw = b"".join(encode(frame, 7, 3))
    with pytest.raises(TornFrame):
        read(raw[: data.draw(st.integers(0, len(raw) - 1))])


def test_a_newer_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "VERSION", 2)
    raw = b"".join(encode(Frame(0, 0, b""), 0, 0))
    monkeypatch.undo()
    with pytest.raises(LedgerError, match="version 2"):
        read(raw)


def test_limits() -> None:
    with pytest.raises(LimitError):
        encode(Frame(frames.COUNT_MAX + 1, 0, b""), 0, 0)


def test_tables_and_lines_come_back() -> None:
    table = pa.table({"a": pa.chunked_array([["x", None], ["é"]]), "b": [1, 2, 3]})
    assert frames.unpack(frames.pack(table)).equals(table.combine_chunks())
    assert frames.unpack_lines(frames.pack_lines(b"one\ntwo\n")) == b"one\ntwo\n"
    assert frames.pack_lines(b"") == b""
    with pytest.raises(LedgerError):
        frames.unpack(b"not arrow")


@pytest.mark.parametrize("rows", [1, 64, 65])
def test_a_slice_costs_its_own_rows_only(rows: int) -> None:
    nested = pa.list_(pa.struct([pa.field("a", pa.string())]))
    table = pa.table({"a": ["x"] * 100_000, "b": pa.nulls(100_000, nested), "c": [["y"]] * 100_000})
    payload = frames.pack(table.slice(7, rows))
    assert frames.unpack(payload).equals(table.slice(7, rows))
    assert len(payload) < 5_000
