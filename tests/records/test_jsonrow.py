"""The exact path: every way in which a line can be no record, and what the reason says."""

from __future__ import annotations

import pytest

from watchbill.records.jsonrow import Refused, read_line, rfc3339_ms, shown_items, strict_json, text_items

LIMIT = 1 << 20


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not valid JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"id":"a"} x', "something follows"),
        (b'{"id":"a",}', "expected a field name"),
        (b'{"id" "a"}', "expected ':'"),
        (b'{"id":"a" "kind":"view"}', "expected ','"),
        (b'{"id":1}', "id must be a string, not a number"),
        (b'{"id":true}', "not a boolean"),
        (b'{"masked":"true"}', "masked must be true or false"),
        (b'{"page":1.0}', "page must be a whole number"),
        (b'{"page":1e3}', "page must be a whole number"),
        (b'{"page":99999999999999999999999}', "page is out of range"),
        (b'{"page":9223372036854775808}', "page is out of range"),
        (b'{"time":NaN}', "NaN and Infinity"),
        (b'{"time":-Infinity}', "NaN and Infinity"),
        (b'{"x":Infinity}', "NaN and Infinity"),
        (b'{"time":"2025-01-01 10:00"}', "neither epoch milliseconds nor an RFC 3339 time"),
        (b'{"time":"2025-01-01T10:00:00"}', "neither epoch milliseconds"),
        (b'{"subjects":"c1"}', "subjects must be a list"),
        (b'{"subjects":[1]}', "an item of subjects must be a string"),
        (b'{"shown":[{"subject":"a","what":1}]}', "must be {subject, fields}"),
        (b'{"shown":[{"fields":["a"]}]}', "has no subject"),
        (b'{"id":"a","id":"a"}', "stands twice"),
        (b'{"x":1,"x":2}', "stands twice"),
        (b'{"id":"\xff"}', "invalid UTF-8 at byte 7"),
        (b'{"id":"\\ud800"}', "half of a surrogate pair"),
        (b'{"x":["\\udc00"]}', "half of a surrogate pair"),
        (b'{"id":"a\tb"}', "not valid JSON"),
        (b'{"x":' + b"[" * 100 + b"]" * 100 + b"}", "nested deeper than 64"),
        (b'{"x":' + b"[" * 200_000, "nested deeper than 64"),
        (b'{"x":' + b'{"a":' * 100 + b"1" + b"}" * 101, "nested deeper than 64"),
        (b"{" + b",".join(b'"u%d":1' % i for i in range(300)) + b"}", "more than 256 unknown fields"),
    ],
)
def test_refuses_with_a_reason(line: bytes, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        read_line(line, LIMIT)
    assert reason in str(caught.value)


def test_a_reason_never_repeats_what_stood_there() -> None:
    with pytest.raises(Refused) as caught:
        read_line(b'{"time":"secret-name"}', LIMIT)
    assert "secret" not in str(caught.value)


def test_reads_all_types() -> None:
    row = read_line(
        b'\xef\xbb\xbf {"id":"a","time":"2025-10-10T10:00:00.123456+08:00","masked":false,"page":-0,"subjects":["c",null,""],'
        b'"shown":[{"subject":"c","fields":["x"]},{"subject":"d","fields":[]},{"subject":"e"}],"account":"","ip":null,'
        b'"x":{"k":1.10},"y":null}\r',
        LIMIT,
    )
    assert row is not None
    assert row["id"] == "a"
    assert row["time"] == 1_760_061_600_123
    assert row["masked"] is False
    assert row["page"] == 0
    assert row["subjects"] == ["c"]
    assert row["shown"] == [
        {"subject": "c", "fields": ["x"]},
        {"subject": "d", "fields": []},
        {"subject": "e", "fields": None},
    ]
    assert row["account"] is None
    assert row["ip"] is None
    assert row["extra"] == '{"x":{"k":1.10}}'


def test_blank_lines_are_no_records() -> None:
    assert read_line(b" \t\r", LIMIT) is None
    assert read_line("\ufeff".encode(), LIMIT) is None


def test_a_line_over_the_limit_is_refused() -> None:
    with pytest.raises(Refused, match="line_bytes_max = 10"):
        read_line(b'{"id":"abcdefghij"}', 10)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.9999Z", 999),
        ("1969-12-31T23:59:59.5z", -500),
        ("2024-02-29t12:00:00-00:30", 1_709_209_800_000),
        ("2025-06-30T23:59:60Z", 1_751_328_000_000),
        ("9999-12-31T23:59:59Z", 253_402_300_799_000),
        ("2025-02-29T12:00:00Z", None),
        ("2025-13-01T12:00:00Z", None),
        ("2025-01-01T24:00:00Z", None),
        ("2025-01-01T12:00:00+0800", None),
        ("2025-01-01T12:00:00.Z", None),
        ("2025-01-01", None),
        ("", None),
        ("\ud800" * 20, None),
    ],
)
def test_rfc3339(text: str, value: int | None) -> None:
    assert rfc3339_ms(text) == value


def test_json_inside_a_cell() -> None:
    assert text_items("subjects", strict_json('["a", ""]')) == ["a"]
    assert shown_items("shown", strict_json("[]")) is None
    for bad in ("[", "[1] 2", "[" * 100 + "]" * 100):
        with pytest.raises(Refused):
            strict_json(bad)
