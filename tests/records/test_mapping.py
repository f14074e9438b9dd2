"""Mappings: they can reach nothing, one bad row loses no other, and what comes out is validated."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest

from watchbill.core.errors import SettingsError
from watchbill.records.mapping import NGINX_COMBINED, Mapped

NGINX = b'10.1.2.3 - E001 [10/Oct/2025:13:55:36 +0800] "GET /parcels/SF123?x=1 HTTP/1.1" 200 2326 "-" "Mozilla/5.0"'
SIMPLE = "SELECT 'view' AS kind, 1760000000000 + number AS time, line AS account FROM input"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT (SELECT content FROM read_text('{secret}')) AS account FROM input",
        "SELECT line AS account FROM input WHERE line IN (SELECT * FROM read_text('{secret}'))",
        "SELECT line AS account FROM input, glob('/*')",
        "SELECT * FROM read_blob('{secret}')",
        "SELECT * FROM read_parquet('{secret}')",
        "SELECT * FROM read_json('{secret}')",
        "SELECT * FROM parquet_scan('{secret}')",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM information_schema.tables",
        "WITH x AS (SELECT * FROM read_text('{secret}')) SELECT content AS account FROM x",
        "ATTACH '{secret}'",
        "COPY input TO '{secret}.out'",
        "COPY (SELECT 1) TO '{secret}.out'",
        "EXPORT DATABASE '{secret}.out'",
        "PRAGMA version",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CREATE TABLE t AS SELECT 1",
        "DROP VIEW input",
        "CALL pragma_version()",
        "SELECT 1; SELECT 2",
        "SELECT 1",
        "SELECT line FROM input UNION ALL SELECT line FROM input",
        "SELECT DISTINCT line FROM input",
        "SELECT line FROM input ORDER BY 1",
        "SELECT max(line) OVER () AS account FROM input",
        "SELECT 'x' AS a FROM other",
        "SELECT FROM WHERE",
        "",
        "SELECT " + "1+" * 60_000 + "1 AS a FROM input",
    ],
)
def test_what_reaches_out_is_refused_before_it_runs(sql: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("top secret")
    with pytest.raises(SettingsError) as caught:
        Mapped(sql.format(secret=secret))
    assert "top secret" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) AS page FROM input",
        "SELECT nothing AS account FROM input",
        "SELECT getenv('HOME') AS a FROM input",
    ],
)
def test_what_does_not_fit_is_a_setting_error(sql: str) -> None:
    with pytest.raises(SettingsError, match="does not fit its input"):
        Mapped(sql).check_lines()


def test_the_database_behind_is_locked_too(tmp_path: Path) -> None:
    db = Mapped(SIMPLE)._db
    (tmp_path / "x.csv").write_text("a")
    for sql in (f"SELECT * FROM read_csv('{tmp_path}/x.csv')", "SET enable_external_access = true", "SET threads = 9"):
        with pytest.raises(Exception, match=r"(?i)disabled|locked|permission|cannot"):
            db.execute(sql).fetchall()


def test_nginx_access_logs() -> None:
    mapped = Mapped(NGINX_COMBINED)
    assert {"kind", "time", "account", "ip", "waybill", "outcome"} <= set(mapped.check_lines())
    text = NGINX + b"\nrubbish\n\n" + NGINX.replace(b"200", b"403").replace(b"E001", b"-")
    parsed = mapped.lines(text, source="s", identity="f", first_line=5)
    first, second = parsed.table.to_pylist()
    assert (first["id"], first["time"], first["account"], first["waybill"]) == (
        "f:5",
        1_760_075_736_000,
        "E001",
        "SF123",
    )
    assert (first["outcome"], second["outcome"], second["account"]) == ("success", "denied", None)
    assert [q.position for q in parsed.quarantined] == ["f:6"]
    assert parsed.quarantined[0].raw == "rubbish"
    assert parsed.lines == 4


def test_one_failing_row_loses_no_other() -> None:
    mapped = Mapped("SELECT 'view' AS kind, CAST(line AS BIGINT) AS time, 'E' AS account FROM input")
    lines = [b"1760000000000"] * 500
    lines[100] = lines[333] = b"oops-secret"
    parsed = mapped.lines(b"\n".join(lines), source="s", identity="f", first_line=1)
    assert parsed.table.num_rows == 498
    assert [q.position for q in parsed.quarantined] == ["f:101", "f:334"]
    assert "secret" not in parsed.quarantined[0].reason
    assert parsed.table.column("id").to_pylist()[99:102] == ["f:100", "f:102", "f:103"]


def test_when_everything_fails_it_ends_soon() -> None:
    mapped = Mapped("SELECT 'view' AS kind, CAST(line AS BIGINT) AS time FROM input")
    parsed = mapped.lines(b"x\n" * 3000, source="s", identity="f", first_line=1)
    assert parsed.table.num_rows == 0
    assert len(parsed.quarantined) == 3000


def test_rows_are_dropped_or_multiplied_only_by_the_mapping_itself() -> None:
    sql = """WITH x AS (SELECT * FROM input WHERE line <> 'skip')
             SELECT unnest([1, 2]) AS page, 'view' AS kind, 1760000000000 AS time, y.line AS account FROM x AS y"""
    parsed = Mapped(sql).lines(b"a\nskip\nb\n", source="s", identity="f", first_line=1)
    assert parsed.table.column("id").to_pylist() == ["f:1.1", "f:1.2", "f:3.1", "f:3.2"]
    assert parsed.derived.tolist() == [True] * 4
    assert not parsed.quarantined


def test_too_many_rows_and_too_much_time() -> None:
    many = Mapped("SELECT unnest(range(100)) AS page, 'view' AS kind, 1760000000000 AS time, 'E' AS account FROM input")
    assert "over 16 records" in many.lines(b"a\n", source="s", identity="f", first_line=1).quarantined[0].reason
    slow = Mapped(
        "SELECT 'view' AS kind, (SELECT count(*) FROM input a, input b, input c WHERE a.number + b.number > c.number) AS page FROM input",
        seconds_max=0.2,
    )
    parsed = slow.lines(b"a\n" * 5000, source="s", identity="f", first_line=1)
    assert len(parsed.quarantined) == 5000
    assert "longer than 0.2 seconds" in parsed.quarantined[0].reason


def test_bad_lines_are_refused_before_the_mapping() -> None:
    parsed = Mapped(SIMPLE).lines(b"E1\n\xff\nE2\r\n", source="s", identity="f", first_line=1)
    assert parsed.table.column("account").to_pylist() == ["E1", "E2"]
    assert [(q.position, q.reason) for q in parsed.quarantined] == [("f:2", "invalid UTF-8")]


def test_columns_of_a_file() -> None:
    raw = pa.table({"who": ["E1", "E2"], "seconds": [1_760_000_000, None]})
    mapped = Mapped("SELECT 'login' AS kind, who AS account, seconds * 1000 AS time FROM input")
    parsed = mapped.table(raw, source="s", identity="f", first_row=8)
    assert parsed.table.column("account").to_pylist() == ["E1"]
    assert [(q.position, q.reason) for q in parsed.quarantined] == [("f:9", "time is missing")]
    assert "E2" in parsed.quarantined[0].raw


DOC = (Path(__file__).resolve().parents[2] / "docs" / "connect-your-logs.md").read_text(encoding="utf-8")


def test_the_documented_mappings_work() -> None:
    nginx, export, pairs = re.findall(r"^```sql\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)
    assert nginx.strip() == NGINX_COMBINED.strip()
    raw = pa.table({"operator": ["E1"], "looked_at": ["2025-10-10 10:00:00"], "waybill_no": ["w"], "customer": ["c"]})
    (row,) = Mapped(export).table(raw, source="s", identity="f").table.to_pylist()
    assert (row["time"], row["subjects"], row["fields"]) == (1_760_061_600_000, ["c"], ["recipient.phone"])
    text = b"ts=1760000000 op=find user=E1 sheet=w9\nGET healthcheck\n"
    (row,) = Mapped(pairs).lines(text, source="s", identity="f", first_line=1).table.to_pylist()
    assert (row["kind"], row["account"], row["waybill"]) == ("search", "E1", "w9")
