from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.errors import LimitError, SourceError
from watchbill.inquiry import leaklist
from watchbill.inquiry.leaklist import item_of, normal, parse_leak, read_leak, visible_of

PHONE = ("+8613812345678", "13812345678", "8613812345678")


@pytest.mark.parametrize(
    "text",
    [
        "13812345678", "138 1234 5678", "138-1234-5678", "+86 138-1234-5678", "8613812345678", "１３８１２３４５６７８", "+86１３８ １２３４ ５６７８",
        "tel:13812345678;", "张三 13812345678", "\u200b138\u200b12345678\u202e", "138.1234.5678",
    ],
)  # fmt: skip
def test_a_phone_is_one_phone_however_it_is_written(text: str) -> None:
    item, why = item_of(text)
    assert (item and item.texts, why) == (PHONE, "")


@pytest.mark.parametrize("text", ["yt-1001800300360", "YT1001800300360", " yt1001800300360, ", "单号：YT1001800300360"])
def test_a_waybill_is_tried_in_capitals_and_without_dashes(text: str) -> None:
    item, _ = item_of(text)
    assert item is not None
    assert "YT1001800300360" in item.texts


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("138****5678", "138****5678"), ("+86138****5678", "138****5678"), ("1381234****", "1381234****"), ("138●●●●5678", "138****5678"),
        ("138xxxx5678", "138****5678"), ("138 **** 5678", "138****5678"), ("138******78", ""), ("138********", ""), ("***********", ""),
    ],
)  # fmt: skip
def test_masked_phones_count_while_seven_digits_are_left(text: str, visible: str) -> None:
    item, why = item_of(text)
    assert (item.masked if item else ()) == ((visible,) if visible else ())
    assert bool(why) is not bool(visible)
    assert visible_of("13*1234567*") == ""


def test_names_prices_dates_and_headers_are_no_items() -> None:
    for text in (
        "张三",
        "12.50",
        "2025-03-03",
        "2025-03-03T12:00:00",
        "2025/3/4 12:30:00",
        "price,date",
        "88",
        "3 月 4 日",
        "12:30",
    ):
        assert item_of(text)[0] is None, text


def test_a_record_keeps_what_may_name_it_and_duplicates_count_once() -> None:
    text = "姓名,电话,单号,价格\n张三,138-1234-5678,YT1001800300360,1.00\n李四,13812345678,YT1001800300360,2.00\n只有名字,,,\n"
    found = parse_leak(text.encode())
    assert (found.lines, len(found.items), found.duplicates) == (4, 1, 1)
    assert found.unread == {"nothing that may be a waybill, a phone or an id": 2}
    assert found.unread_lines == [1, 4]
    assert found.items[0].texts == tuple(sorted([*PHONE, "YT1001800300360"]))
    assert found.items[0].line == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_of_lists_as_they_turn_up(encoding: str) -> None:
    found = parse_leak("张三，13812345678\n王五；YT1001800300360".encode(encoding))
    assert [item.texts[0] for item in found.items] == ["+8613812345678", "YT1001800300360"]


def test_ndjson_is_read_by_its_values() -> None:
    found = parse_leak(
        b'{"phone": "13812345678", "x": {"y": ["YT1001800300360", true, null, 3.5]}}\n{"phone": 13812345678}\n{broken 13912345678'
    )
    assert [item.texts[0] for item in found.items] == ["+8613812345678", "+8613812345678", "+8613912345678"]
    assert "YT1001800300360" in found.items[0].texts


def test_quoted_cells_may_hold_line_breaks() -> None:
    found = parse_leak(b'a,"13812345678\nroom 4"\n"b ""x""",13912345678\n')
    assert [item.texts for item in found.items] == [PHONE, ("+8613912345678", "13912345678", "8613912345678")]


def test_limits_and_what_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="spreadsheet"):
        parse_leak(b"PK\x03\x04....")
    with pytest.raises(SourceError, match="no text"):
        parse_leak(b"\x80\xff\xff\xff\x00" * 3)
    with pytest.raises(SourceError):
        read_leak(tmp_path / "none")
    long, why = item_of("x1" * leaklist.LINE_CHARS_MAX)
    assert long is None
    assert "longer" in why
    monkeypatch.setattr(leaklist, "LINES_MAX", 2)
    with pytest.raises(LimitError):
        parse_leak(b"13812345678\n13812345679\n13812345670\n")
    monkeypatch.setattr(leaklist, "BYTES_MAX", 10)
    (tmp_path / "list").write_bytes(b"13812345678")
    with pytest.raises(LimitError):
        read_leak(tmp_path / "list")


@given(st.binary(max_size=300))
def test_nothing_that_a_stranger_sends_breaks_it(data: bytes) -> None:
    try:
        found = parse_leak(data)
    except SourceError:
        return
    assert found.lines == len(found.items) + found.duplicates + sum(found.unread.values())


@given(
    st.lists(st.sampled_from(["13812345678", "138****5678", "YT1001800300360", "C10001203246", "x", ""]), max_size=12),
    st.randoms(),
)
def test_the_order_of_lines_changes_no_item(lines: list[str], random: object) -> None:
    mixed = list(lines)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    one, other = (parse_leak("\n".join(some).encode()) for some in (lines, mixed))
    assert sorted((i.texts, i.masked) for i in one.items) == sorted((i.texts, i.masked) for i in other.items)
    assert (one.duplicates, one.unread) == (other.duplicates, other.unread)


def test_hidden_marks_go() -> None:
    assert normal("１２\u200b３\u202e") == "123"
