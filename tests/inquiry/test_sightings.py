from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inquiry.leaks import T0, ledger, look, scan
from watchbill.core.errors import LedgerError
from watchbill.core.hashing import hash_text
from watchbill.inquiry import sightings
from watchbill.inquiry.sightings import SightingIndex, open_sightings
from watchbill.inquiry.sightrows import ACCOUNT, CUSTODY, SUBJECT, source_hash
from watchbill.ledger import files
from watchbill.ledger.journal import Journal
from watchbill.ledger.sealing import seal


def who(index: SightingIndex, customer: str, before: int | None = None) -> dict[str, int]:
    """Name of each account that saw a customer -> when, since T0."""
    found = index.find(SUBJECT, np.array([hash_text(customer)], np.uint64), before)
    names = index.names(found.value.tolist())
    return {
        names[int(v)]: int(t) - T0 for v, t in sorted(zip(found.value, found.time, strict=True), key=lambda p: -p[1])
    }


def size(index: SightingIndex, account: str, before: int | None = None, bits: int = 0) -> int:
    return int(index.exact_sizes(SUBJECT, np.array([source_hash(account, ACCOUNT)], np.uint64), before, bits)[0])


ROWS = [look(f"E{n % 4}", n % 13) for n in range(40)]


@pytest.mark.parametrize("sealed", [(), (40,), (7, 20), tuple(range(1, 40, 3))])
def test_answers_do_not_depend_on_what_is_sealed_or_merged(
    tmp_path: Path, sealed: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sightings, "FAN_IN", 3)
    index = open_sightings(ledger(tmp_path, ROWS, sealed))
    assert index.height == 40
    assert who(index, "C00000000003") == {"a:E3": 3, "a:E0": 16, "a:E1": 29}
    assert who(index, "C00000000003", T0 + 16) == {"a:E3": 3}
    assert who(index, "C99") == {}
    assert size(index, "E0") == len({n % 13 for n in range(0, 40, 4)})
    assert size(index, "E0", T0 + 9) == 3
    assert size(index, "E0", None, 2) == 10
    assert size(index, "E0", None, 1) == 0
    assert size(index, "E9") == 0
    assert set(index.names(index.sources(SUBJECT).tolist()).values()) == {"a:E0", "a:E1", "a:E2", "a:E3"}
    assert 1 <= index.sources_about(SUBJECT) <= 4
    assert (index.sizes(SUBJECT, index.sources(SUBJECT)) >= 9).all()
    assert index.keys_of(SUBJECT, source_hash("E1", ACCOUNT)).shape == (10,)


def test_segments_are_added_once_and_merged_runs_leave_no_files(tmp_path: Path) -> None:
    rows = [look("E1", n) for n in range(40)]
    ledger(tmp_path, rows, tuple(range(2, 40, 2)))
    told: list[tuple[int, int]] = []
    index = open_sightings(tmp_path, lambda done, of: told.append((done, of)))
    assert told == [(n, 19) for n in range(19)]
    assert [run.level for run in index.runs] == [1, 1, 0, 0, 0]
    again: list[tuple[int, int]] = []
    assert len(open_sightings(tmp_path, lambda done, of: again.append((done, of))).runs) == 5
    assert again == []
    stems = {path.name.split(".")[0] for path in (tmp_path / "sightings").iterdir()} - {"runs", "lock"}
    assert stems == {run.stem for run in index.runs}


def test_custody_is_kept_as_well(tmp_path: Path) -> None:
    index = open_sightings(ledger(tmp_path, [scan(1, "O1", "E1"), look("E1", 1), scan(1, "O2")], (2,)))
    found = index.find(CUSTODY, np.array([hash_text("YT0000000000001")], np.uint64))
    assert set(index.names(found.value.tolist()).values()) == {"o:O1", "a:E1", "o:O2"}
    assert index.sightings[CUSTODY] == 3


def test_a_damaged_index_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    ledger(tmp_path, ROWS, (40,))
    index = open_sightings(tmp_path)
    path = next((tmp_path / "sightings").glob("*.subject.keys.npy"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(LedgerError, match="Delete the folder"):
        open_sightings(tmp_path).parts(SUBJECT)
    path.unlink()
    with pytest.raises(LedgerError, match="not whole"):
        open_sightings(tmp_path).parts(SUBJECT)
    (tmp_path / "sightings" / "runs.json").write_text("{}")
    with pytest.raises(LedgerError, match="not whole"):
        open_sightings(tmp_path)
    assert index.height == 40


def test_an_index_of_another_ledger_is_made_anew(tmp_path: Path) -> None:
    open_sightings(ledger(tmp_path / "a", ROWS, (40,)))
    other = ledger(tmp_path / "b", [look("E9", 3)] * 5, (5,))
    (tmp_path / "a" / "sightings").rename(other / "sightings")
    assert who(open_sightings(other), "C00000000003") == {"a:E9": 0}


def test_one_process_at_a_time_adds_and_the_next_one_waits(tmp_path: Path) -> None:
    ledger(tmp_path, ROWS, (40,))
    files.make_directory(tmp_path / "sightings")
    lock = files.take_lock(tmp_path / "sightings" / "lock", "x")
    found: list[SightingIndex] = []
    thread = threading.Thread(target=lambda: found.append(open_sightings(tmp_path)))
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    os.close(lock)
    thread.join(30)
    assert who(found[0], "C00000000003") == {"a:E3": 3, "a:E0": 16, "a:E1": 29}


def test_an_empty_home_sees_nothing(tmp_path: Path) -> None:
    with Journal.open(tmp_path):
        pass
    seal(tmp_path, final=True)
    assert who(open_sightings(tmp_path), "C1") == {}


looks = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), min_size=1, max_size=30)


@settings(max_examples=12)
@given(looks, st.sets(st.integers(1, 29), max_size=3))
def test_the_index_finds_exactly_what_was_shown(pairs: list[tuple[int, int]], cuts: set[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows: list[dict[str, Any]] = [look(f"E{account}", number) for account, number in pairs]
        index = open_sightings(ledger(Path(folder), rows, sorted(cut for cut in cuts if cut <= len(rows))))
        for number in range(7):
            first: dict[str, int] = {}
            for at, (account, seen) in enumerate(pairs):
                if seen == number:
                    first.setdefault(f"a:E{account}", at)
            assert who(index, f"C{number:011d}") == first
        for account in range(4):
            assert size(index, f"E{account}") == len({seen for one, seen in pairs if one == account})
