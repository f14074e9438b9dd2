"""The reader equals brute force over all records, sealed, unsealed and at any height."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from watchbill.core.errors import LedgerError
from watchbill.ledger import reader, segments
from watchbill.ledger.reader import Ledger, Span
from watchbill.ledger.sealing import seal


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make: Any, fill: Any) -> Path:
    folder = tmp_path_factory.mktemp("home")
    fill(folder, make(3000, days=2.5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "ROW_GROUP_ROWS", 64)
        seal(folder, rows_max=500, upto=2350, final=True)
    return folder


def seqs(table: pa.Table) -> list[int]:
    return list(table["seq"].to_pylist())


def holds(value: Any, wanted: str) -> bool:
    return wanted in value if isinstance(value, list) else value == wanted


def test_an_empty_home(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert (ledger.height, list(ledger.records()), ledger.find("id", "x").num_rows) == (0, [], 0)
    assert ledger.of_account("E1").num_rows == 0


def test_records_are_complete_at_any_height(home: Path, make: Any) -> None:
    table, ledger = make(3000, days=2.5), Ledger(home)
    assert (ledger.height, ledger.sealed) == (3000, 2350)
    for upto in (0, 1, 499, 500, 2349, 2350, 2351, 2999, 3000):
        found = list(ledger.records(upto=upto))
        rows = (
            pa.concat_tables(found).sort_by("seq")
            if found
            else table.slice(0, 0).append_column("seq", pa.array([], pa.int64()))
        )
        assert seqs(rows) == list(range(upto))
        assert rows.drop_columns(["seq"]).equals(table.slice(0, upto))
    with pytest.raises(LedgerError, match="3000"):
        list(ledger.records(upto=3001))


def test_everything_in_order(home: Path, make: Any, tmp_path: Path) -> None:
    parts = list(Ledger(home).in_order())
    assert len(parts) > 3, "a part at a time"
    whole = pa.concat_tables(parts)
    assert seqs(whole) == list(range(3000))
    assert whole.drop_columns(["seq"]).equals(make(3000, days=2.5))
    assert list(Ledger(tmp_path).in_order()) == []


@pytest.mark.parametrize("column", ["waybill", "subjects", "id", "account", "kind"])
def test_find_equals_brute_force(home: Path, make: Any, column: str) -> None:
    table, ledger, rng = make(3000, days=2.5), Ledger(home), random.Random(3)
    values = table[column].to_pylist()
    known = sorted({item for value in values if value for item in (value if isinstance(value, list) else [value])})
    for wanted in [*rng.sample(known, min(25, len(known))), "not there", ""]:
        upto = rng.choice([3000, 2350, rng.randrange(3001)])
        expected = [seq for seq, value in enumerate(values[:upto]) if value is not None and holds(value, wanted)]
        found = ledger.find(column, wanted, upto)
        assert seqs(found) == expected
        assert found.drop_columns(["seq"]).equals(table.take(pa.array(expected, pa.int64())))


def test_the_full_text_decides_when_hashes_meet(home: Path, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    table, ledger = make(3000, days=2.5), Ledger(home)
    first, other = table["waybill"][0].as_py(), table["waybill"][5].as_py()
    assert first != other
    honest = reader.hash_text(first)
    monkeypatch.setattr(reader, "hash_text", lambda _: honest)
    assert all(seq >= 2350 for seq in seqs(ledger.find("waybill", other)))
    monkeypatch.setattr(reader, "rows_of", lambda _path, _: segments.np.arange(2))
    assert set(seqs(ledger.find("waybill", other))) <= {
        seq for seq, value in enumerate(table["waybill"].to_pylist()) if value == other
    }


def test_of_account_and_spans_equal_brute_force(home: Path, make: Any) -> None:
    table, ledger, rng = make(3000, days=2.5), Ledger(home), random.Random(4)
    accounts, times = table["account"].to_pylist(), table["time"].to_pylist()
    for _ in range(30):
        low, high = sorted(rng.sample(times, 2))
        account = rng.choice(["E003", "E011", "E0", "none"])
        upto = rng.randrange(3001)
        inside = [seq for seq in range(upto) if low <= times[seq] < high]
        assert seqs(ledger.of_account(account, low, high, upto)) == [seq for seq in inside if accounts[seq] == account]
        spans = ledger.records(["kind"], Span(from_ms=low, to_ms=high), upto)
        found = list(spans)
        assert all(part.schema.names == ["kind", "seq"] for part in found)
        assert sorted(seq for part in found for seq in seqs(part)) == inside
    assert seqs(ledger.of_account("E003")) == [seq for seq, account in enumerate(accounts) if account == "E003"]


def test_statistics_leave_out_row_groups(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    may_hold = Span.may_hold

    def told(self: Span, limits: Any) -> bool:
        asked.append(may_hold(self, limits))
        return asked[-1]

    monkeypatch.setattr(Span, "may_hold", told)
    Ledger(home).of_account("E003")
    assert 0 < sum(asked) < len(asked) / 2


def test_several_values_in_one_pass_and_only_what_came_before(home: Path, make: Any) -> None:
    table, ledger = make(3000, days=2.5), Ledger(home)
    rows = [0, 700, 2349, 2350, 2999]
    ids = [table["id"][row].as_py() for row in rows]
    assert seqs(ledger.find_all("id", [*ids, "nobody"])) == rows
    for row in rows:
        early = set(seqs(ledger.find_all("id", ids, table["arrival"][row].as_py())))
        assert (
            {one for one in rows if table["arrival"][one].as_py() < table["arrival"][row].as_py()} <= early <= set(rows)
        )
    assert ledger.find_all("id", ids, 0).num_rows == 0


def test_several_accounts_in_one_pass(home: Path) -> None:
    ledger = Ledger(home)
    found = ledger.of_accounts(["E001", "E005", "E999"], ["account", "kind"])
    assert found.column_names == ["account", "kind", "seq"]
    assert seqs(found) == sorted(seqs(ledger.of_account("E001")) + seqs(ledger.of_account("E005")))


@pytest.mark.parametrize(
    "harm", [lambda p: p.unlink(), lambda p: p.write_bytes(p.read_bytes()[:24]), lambda p: p.write_bytes(b"")]
)
@pytest.mark.parametrize("ending", ["waybill.idx", "parquet"])
def test_what_is_damaged_is_said_and_never_answered_from(
    home: Path, tmp_path: Path, ending: str, harm: Callable[[Path], None]
) -> None:
    """An index that lost its entries would say "nobody" and call it exact."""
    shutil.copytree(home, tmp_path / "copy")
    harm(min((tmp_path / "copy" / "segments").rglob(f"*.{ending}")))
    with pytest.raises(LedgerError, match="watchbill verify"):
        Ledger(tmp_path / "copy").find("waybill", "SF0001")
