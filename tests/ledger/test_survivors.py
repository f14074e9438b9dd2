"""Nonces that outlive their key come back, by seq; those that do not are told."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.errors import LedgerError
from watchbill.ledger import survivors
from watchbill.ledger.keys import Keys, nonces

DAY = 19_675


@given(st.sets(st.integers(0, 200)))
def test_what_is_kept_comes_back(tmp_path_factory: pytest.TempPathFactory, seqs: set[int]) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / "keys" / "days").mkdir(parents=True)
    wanted = np.array(sorted(seqs), np.int64)
    whole = nonces(bytes(32), 0, 201)
    survivors.write_survivors(home, DAY, survivors.Survivors(wanted, whole[wanted]))
    kept = survivors.read_survivors(home, DAY)
    assert kept.seqs.tolist() == wanted.tolist()
    assert (survivors.nonces_of(home, DAY, wanted) == whole[wanted]).all()
    for seq in {5, 77, 200} - seqs:
        with pytest.raises(LedgerError):
            survivors.nonces_of(home, DAY, np.array([seq]))


def test_from_the_key_where_there_is_one(tmp_path: Path) -> None:
    key = Keys.open(tmp_path).day_key(DAY)
    for seqs in ([3], [0, 1, 2], [7, 10**9]):
        found = survivors.nonces_of(tmp_path, DAY, np.array(seqs))
        assert [row.tobytes() for row in found] == [nonces(key, seq, 1).tobytes() for seq in seqs]
    survivors.write_survivors(tmp_path, DAY, survivors.Survivors(np.array([3]), np.full((1, 16), 9, np.uint8)))
    assert survivors.nonces_of(tmp_path, DAY, np.array([3, 4]))[0].tolist() == [9] * 16
    assert survivors.survivors_path(tmp_path, DAY).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("raw", [b"", b"WBNN", survivors.MAGIC + (1).to_bytes(8, "little"), survivors.MAGIC + bytes(9)])
def test_damage_is_told(tmp_path: Path, raw: bytes) -> None:
    Keys.open(tmp_path)
    survivors.survivors_path(tmp_path, DAY).write_bytes(raw)
    with pytest.raises(LedgerError):
        survivors.read_survivors(tmp_path, DAY)


def test_vector_of_the_document(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "ledger-format.md").read_text()
    found = re.search(r"<!-- nonces -->\n```\n([0-9a-f\n]+)```", text)
    assert found is not None
    (tmp_path / "keys" / "days").mkdir(parents=True)
    kept = np.repeat(np.array([[1], [2], [5]], np.uint8), 16, axis=1)
    survivors.write_survivors(tmp_path, DAY, survivors.Survivors(np.array([1, 2, 5]), kept))
    assert survivors.survivors_path(tmp_path, DAY).read_bytes() == bytes.fromhex(found.group(1))
