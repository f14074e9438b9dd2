"""The list of what is gone comes back, damage to it is told, and stubs tell nothing but when a record arrived."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.errors import LedgerError
from watchbill.ledger.gone import ENDING, Gone, gone_bytes, read_gone, replaced, stubs
from watchbill.ledger.manifest import Segment


def segment(*endings: str) -> Segment:
    return Segment(19_675, 0, 99, dict.fromkeys(endings, ""), (0, 0))


@given(st.sets(st.integers(0, 99)), st.sets(st.integers(0, 99)))
def test_it_comes_back(tmp_path_factory: pytest.TempPathFactory, dropped: set[int], redacted: set[int]) -> None:
    home, mine = tmp_path_factory.mktemp("home"), segment(ENDING)
    told = Gone(np.array(sorted(dropped), np.int64), np.array(sorted(redacted), np.int64))
    mine.path(home, ENDING).parent.mkdir(parents=True)
    mine.path(home, ENDING).write_bytes(gone_bytes(told))
    found = read_gone(home, mine)
    assert (found.dropped.tolist(), found.redacted.tolist()) == (told.dropped.tolist(), told.redacted.tolist())
    assert found.seqs.tolist() == sorted(dropped | redacted)
    assert len(read_gone(home, segment()).seqs) == 0


@pytest.mark.parametrize("raw", [b"", b"WBGN", gone_bytes(Gone(np.array([1]), np.array([2])))[:-1], b"X" * 24])
def test_damage_is_told(tmp_path: Path, raw: bytes) -> None:
    mine = segment(ENDING)
    with pytest.raises(LedgerError):
        read_gone(tmp_path, mine)
    mine.path(tmp_path, ENDING).parent.mkdir(parents=True)
    mine.path(tmp_path, ENDING).write_bytes(raw)
    with pytest.raises((LedgerError, ValueError)):
        read_gone(tmp_path, mine)


def test_stubs_take_the_places_of_records(make: Any) -> None:
    table = make(20).append_column("seq", [list(range(20))])
    rows = np.array([3, 7])
    after = replaced(table, rows, stubs(table.take(rows), rows))
    assert after.schema == table.schema
    assert after.column("arrival") == table.column("arrival")
    told = {"source": "watchbill", "kind": "wb.gone", "extra": "{}"}
    for seq, row in zip((3, 7), after.take([3, 7]).to_pylist(), strict=True):
        arrival = table.column("arrival")[seq].as_py()
        want = (
            dict.fromkeys(table.column_names)
            | told
            | {"id": f"wb.gone:{seq}", "arrival": arrival, "time": arrival, "seq": seq}
        )
        assert row == want
    kept = [at for at in range(20) if at not in (3, 7)]
    assert after.take(kept) == table.take(kept).combine_chunks()
    assert replaced(table, np.zeros(0, np.int64), table.slice(0, 0)) is table


def test_vector_of_the_document() -> None:
    text = (Path(__file__).parents[2] / "docs" / "ledger-format.md").read_text()
    found = re.search(r"<!-- gone -->\n```\n([0-9a-f\n]+)```", text)
    assert found is not None
    assert bytes.fromhex(found.group(1)) == gone_bytes(Gone(np.array([3, 4]), np.array([9])))
