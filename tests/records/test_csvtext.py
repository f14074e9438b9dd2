"""CSV: quotes, broken records, odd bytes; every record keeps its line."""

from __future__ import annotations

import pytest

from watchbill.core.errors import ContractError
from watchbill.records.columnar import parse_table
from watchbill.records.csvtext import parse_csv, read_header

NAMES = ["id", "time", "kind", "account", "subjects", "zone"]


def test_good_and_bad_records() -> None:
    text = (
        b'a,1760000000000,view,E1,"[""c1"",""c2""]",x\r\n'
        b'b,2025-10-10T10:00:00+08:00,view,E1,c1;c2,"two\nlines, ""q"""\n\n'
        b"c,1760000000000,view\n"
        b'd,1760000000000,view,E"1,c1,\xff\n'
        b'e,1760000000000,view,E"1,c1,'
    )
    table, origin, refused, taken = parse_csv(text, NAMES, source="s", identity="f", first_line=2, final=True)
    assert taken == len(text) + 1
    assert [(q.position, q.reason) for q in refused] == [
        ("f:6", "3 fields where the header has 6"),
        ("f:7", "invalid UTF-8"),
    ]
    parsed = parse_table(table, source="s", identity="f", origin=origin, numbers=origin.numbers)
    assert parsed.table.column("id").to_pylist() == ["a", "b", "e"]
    assert parsed.table.column("account").to_pylist() == ["E1", "E1", 'E"1']
    assert parsed.table.column("subjects").to_pylist() == [["c1", "c2"], ["c1", "c2"], ["c1"]]
    assert parsed.table.column("extra").to_pylist()[1] == '{"zone":"two\\nlines, \\"q\\""}'
    assert not parsed.quarantined


def test_an_unfinished_quote_waits() -> None:
    text = b'a,1,view,E1,,\nb,1,view,"E\n'
    table, _, refused, taken = parse_csv(text, NAMES, source="s", identity="f", first_line=2, final=False)
    assert (table.num_rows, len(refused), taken) == (1, 0, 14)


def test_quotes_that_readers_take_differently() -> None:
    text = b'"a"b,1,view,"E"1"x",,\nq,1,view,E,,\n'
    table, *_ = parse_csv(text, NAMES, source="s", identity="f", first_line=2, final=True)
    assert table.num_rows == 2
    assert table.column("kind").to_pylist() == ["view", "view"]


@pytest.mark.parametrize("header", [b"", b"a,,b", b"a,b,a", b"\xff,b", b",".join(b"c%d" % i for i in range(2000))])
def test_bad_headers(header: bytes) -> None:
    with pytest.raises(ContractError, match="CSV header"):
        read_header(header)


def test_header() -> None:
    assert read_header(b'\xef\xbb\xbfid, time ,"x y"\r\n') == ["id", "time", "x y"]
