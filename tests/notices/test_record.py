from __future__ import annotations

import json
import tempfile
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.errors import LedgerError, LimitError
from watchbill.notices.record import ROW_BYTES_MAX, append, read_record, rows_about


def three(home: Path) -> Path:
    for n in range(3):
        append(home, "set", "c1", "r1", 100 + n, profile="postal", field="f", value=f"名 {n}", lang="")
    return home / "reports" / "record.ndjson"


def test_rows_stand_in_order_and_chain(tmp_path: Path) -> None:
    three(tmp_path)
    rows = read_record(tmp_path)
    assert [(row["n"], row["time"], row["value"]) for row in rows] == [(n, 100 + n, f"名 {n}") for n in range(3)]
    assert [row["prev"] for row in rows[1:]] == [row["hash"] for row in rows[:-1]]
    assert read_record(tmp_path / "empty") == []


@pytest.mark.parametrize("harm", ["value", "time", "swap", "drop", "garbage", "kind"])
def test_what_was_changed_is_found(tmp_path: Path, harm: str) -> None:
    path = three(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    row = json.loads(lines[1])
    if harm in ("value", "time", "kind"):
        lines[1] = (json.dumps({**row, harm: "set" if harm == "value" else 7}) + "\n").encode()
    elif harm == "swap":
        lines[1], lines[2] = lines[2], lines[1]
    elif harm == "drop":
        del lines[1]
    else:
        lines[1] = b"not json\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(LedgerError, match=r"row [12] does not continue"):
        read_record(tmp_path)
    with pytest.raises(LedgerError):
        append(tmp_path, "set", "c1", "r1", 1)


@given(st.integers(0, 2_000))
def test_a_crash_in_the_middle_of_a_row_loses_that_row_alone(cut: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        data = three(home).read_bytes()
        left = data[: min(cut, len(data))]
        (home / "reports" / "record.ndjson").write_bytes(left)
        whole = left.count(b"\n")
        assert [row["n"] for row in read_record(home)] == list(range(whole))
        assert append(home, "grade", "c1", "r1", 9)["n"] == whole
        assert [row["n"] for row in read_record(home)] == list(range(whole + 1))


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    threads = [
        Thread(target=lambda n=n: [append(tmp_path, "set", "c", f"r{n}", k) for k in range(10)]) for n in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [row["n"] for row in read_record(tmp_path)] == list(range(40))


def test_a_row_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(LimitError):
        append(tmp_path, "set", "c", "r", 1, value="x" * ROW_BYTES_MAX)
    assert read_record(tmp_path) == []


def test_of_merged_cases_gradings_count_and_nothing_else() -> None:
    rows = [{"case": case, "kind": kind} for case in ("c1", "c2", "c3") for kind in ("grade", "told")]
    assert rows_about(rows, {"id": "c1"}) == rows[:2]
    assert rows_about(rows, {"id": "c1", "merged": ["c2"]}) == rows[:3]
