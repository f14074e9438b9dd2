"""Proofs of records verify with our code, and say so when the record, the tree or the text is not what it was."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.errors import LedgerError, NotFoundError
from watchbill.ledger import checkpoint, merkle
from watchbill.ledger.prove import (
    checkpoint_note,
    checkpoint_sizes,
    consistency,
    consistency_text,
    parse_proof,
    prove,
    prove_all,
)
from watchbill.ledger.sealing import seal


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make: Any, fill: Any) -> Path:
    folder = tmp_path_factory.mktemp("home")
    fill(folder, make(700, days=1.5), 50)
    seal(folder, rows_max=200, upto=300, final=True)
    seal(folder, rows_max=200, upto=600, final=True)
    return folder


@given(st.integers(0, 599))
def test_a_proof_verifies(home: Path, seq: int) -> None:
    found = prove(home, seq)
    told = parse_proof(found.text())
    assert (told.index, told.path, told.note, told.extra) == (seq, found.path, found.note, found.nonce)
    signed = checkpoint.verify(told.note, (home / "keys" / "origin.pub").read_text().strip())
    assert found.nonce is not None
    assert found.record is not None
    leaf = merkle.leaf_hash(found.nonce + found.record)
    assert merkle.verify_inclusion(seq, signed.size, leaf, told.path, signed.root)
    assert f'"seq":{seq}'.encode() in found.record


def test_under_an_older_checkpoint(home: Path) -> None:
    older = checkpoint_sizes(home)[0]
    assert prove(home, 7, older).size == older < prove(home, 7).size == 600
    with pytest.raises(NotFoundError):
        prove(home, older, older)
    with pytest.raises(NotFoundError):
        prove(home, 650)
    with pytest.raises(NotFoundError):
        prove(home, -1)
    with pytest.raises(NotFoundError):
        prove(home, 7, 301)


def test_many_come_in_order_once(home: Path) -> None:
    assert [one.index for one in prove_all(home, [9, 3, 3, 555])] == [3, 9, 555]
    assert list(prove_all(home, [])) == []


def test_consistency_between_kept_checkpoints(home: Path) -> None:
    sizes = checkpoint_sizes(home)
    notes = {size: checkpoint_note(home, size)[1] for size in sizes}
    for size1 in sizes:
        path = consistency(home, size1)
        older, newer = (checkpoint.parse(notes[size])[0].root for size in (size1, 600))
        assert merkle.verify_consistency(size1, 600, older, newer, path)
        assert consistency_text(size1, path, notes[600]).startswith(f"old {size1}\n".encode())
    for size1 in (0, 601):
        with pytest.raises(LedgerError):
            consistency(home, size1)


def test_what_was_changed_is_not_proven(home: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(home, tmp_path / "copy"))
    leaves = copy / "tree" / "leaves"
    data = bytearray(leaves.read_bytes())
    data[32 * 450] ^= 1
    leaves.write_bytes(data)
    with pytest.raises(LedgerError):
        prove(copy, 450)
    assert prove(copy, 3).index == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"v1", b"v2"), (b"index 7", b"index 07"), (b"index 7", b"index -7"), (b"index 7", b"index 7 "), (b"extra ", b"extra  "),
        (b"=\n", b"\n"), (b"\n\n", b"\n"), (b"index", b"Index"), (b"==\nindex", b"=\nindex"),
    ],
)  # fmt: skip
def test_other_texts_are_no_proof(home: Path, old: bytes, new: bytes) -> None:
    text = prove(home, 7).text()
    assert old in text
    changed = text.replace(old, new) if old == b"\n\n" else text.replace(old, new, 1)
    with pytest.raises(LedgerError):
        parse_proof(changed)


@given(st.binary(max_size=300))
def test_nonsense_is_no_proof(data: bytes) -> None:
    with pytest.raises(LedgerError):
        parse_proof(data)


def test_vectors_of_the_document() -> None:
    text = (Path(__file__).parents[2] / "docs" / "ledger-format.md").read_text()
    proof, between = (
        re.search(rf"<!-- {name} -->\n```\n(.*?)```", text, re.DOTALL) for name in ("proof", "consistency")
    )
    assert proof is not None
    assert between is not None
    leaves = [merkle.leaf_hash(bytes([number])) for number in range(5)]
    told = parse_proof(proof.group(1).encode())
    signed = checkpoint.parse(told.note)[0]
    assert merkle.verify_inclusion(3, 5, leaves[3], told.path, signed.root)
    assert between.group(1).encode() == consistency_text(3, merkle.consistency_proof(3, leaves), told.note)
