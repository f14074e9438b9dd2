from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from watchbill.context.reference import TABLES, digest, find_tables, parse_time, read_table
from watchbill.core.errors import SettingsError

SHANGHAI = "Asia/Shanghai"
ROWS = "account,person,role,outlet,from,until\n"


def read(folder: Path, name: str, text: str | bytes, rows_max: int = 1000) -> pa.Table:
    path = folder / f"{name}.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(name, path, SHANGHAI, rows_max)


def test_times_are_epoch_ms_and_a_bare_date_is_local(tmp_path: Path) -> None:
    table = read(
        tmp_path, "accounts", ROWS + "a,p,courier,o,2025-03-03,\nb,p,courier,o,2025-03-03T00:00:00Z,1741017600000\n"
    )
    assert table.column("from").to_pylist() == [1_740_931_200_000, 1_740_960_000_000]
    assert table.column("until").to_pylist() == [None, 1_741_017_600_000]
    assert table.column("supervisor").to_pylist() == [None, None]
    assert table.column_names == ["account", "outlet", "person", "role", "from", "until", "supervisor", "employment"]


def test_parquet_gives_the_same(tmp_path: Path) -> None:
    csv = read(tmp_path, "accounts", ROWS + "7,p,courier,o,2025-03-03,\n")
    raw = pa.table({
        "account": [7], "person": ["p"], "role": ["courier"], "outlet": ["o"],
        "from": [datetime(2025, 3, 2, 16, tzinfo=UTC)], "until": pa.nulls(1),
    })  # fmt: skip
    pq.write_table(raw, tmp_path / "other.parquet")
    assert read_table("accounts", tmp_path / "other.parquet", SHANGHAI, 10).equals(csv)
    assert digest(csv) == digest(read_table("accounts", tmp_path / "other.parquet", SHANGHAI, 10))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("accounts", "account,person\na,zhang\n", "column outlet is missing"),
        ("accounts", ROWS + "a,zhang,courier,o,2025-03-03,\nb,zhang,courier,o,soon,\n", "row 2: column from is not a time"),
        ("accounts", ROWS + "a,zhang,courier,o,99999999999999999999,\n", "row 1: column from is not a time"),
        ("accounts", ROWS + "a,zhang,courier,,,\n", "row 1: column outlet is empty"),
        ("accounts", ROWS + "a,zhang,courier,o,,\nzhang,too,few\n", "row 2: cannot be read as a table"),
        ("accounts", "account,outlet,outlet\nzhang,o,o\n", "column outlet stands there twice"),
        ("accounts", b"account,outlet\n\xff\xfezhang,o\n", "cannot be read as a table"),
        ("accounts", "", "cannot be read as a table"),
        ("outlets", "outlet,lat\no,39.9\np,zhang\n", "row 2: column lat does not parse"),
        ("outlets", "outlet,lat\no,390\n", "row 1: column lat is no degree"),
        ("outlets", "outlet,lat\no,inf\n", "row 1: column lat is no degree"),
        ("networks", "network\n\n", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_row_and_column_and_without_the_person(
    tmp_path: Path, name: str, text: str | bytes, said: str
) -> None:
    if not said:
        assert read(tmp_path, name, text).num_rows <= 1
        return
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, name, text)
    assert said in str(caught.value)
    assert f"{name}.csv" in str(caught.value)
    assert "zhang" not in str(caught.value)


def test_a_header_alone_is_an_empty_table(tmp_path: Path) -> None:
    assert read(tmp_path, "accounts", ROWS).num_rows == 0
    assert read(tmp_path, "devices", "device\n").schema.names == ["device", "outlet", "kind", "shared"]


def test_over_the_limit_of_rows(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="3 rows, over the limit of 2"):
        read(tmp_path, "outlets", "outlet\na\nb\nc\n", rows_max=2)


def test_tables_are_found_by_name_and_once(tmp_path: Path) -> None:
    for file in ("accounts.csv", "outlets.parquet", "accounts.txt", "other.csv"):
        (tmp_path / file).write_text("")
    assert sorted(find_tables(tmp_path)) == ["accounts", "outlets"]
    (tmp_path / "accounts.parquet").write_text("")
    with pytest.raises(SettingsError, match="accounts: stands there twice"):
        find_tables(tmp_path)
    with pytest.raises(SettingsError, match="is not a folder"):
        find_tables(tmp_path / "nothing")


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "accounts.parquet").write_bytes(b"PAR1 nothing else")
    with pytest.raises(SettingsError, match=r"accounts.parquet: cannot be read"):
        read_table("accounts", tmp_path / "accounts.parquet", SHANGHAI, 10)


def test_times() -> None:
    zone = ZoneInfo(SHANGHAI)
    assert parse_time("2025-03-03", zone) == parse_time("2025-03-02T16:00:00+00:00", zone) == 1_740_931_200_000
    assert parse_time(5, zone) == parse_time(" 5 ", zone) == 5
    assert parse_time("-5", zone) == -5
    for wrong in (True, "", "x", "²", "2025-13-01", 1 << 60, str(1 << 60)):
        with pytest.raises(ValueError, match=r"."):
            parse_time(wrong, zone)


def test_every_table_of_the_contract_is_known() -> None:
    assert set(TABLES) == {"accounts", "outlets", "devices", "networks", "parcels", "shifts", "canaries"}
