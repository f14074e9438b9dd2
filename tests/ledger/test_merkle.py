"""The tree equals a naive one, proofs hold, wrong proofs do not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchbill.core.errors import LedgerError
from watchbill.ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(bytes([number])) for number in range(40)]


def naive(leaves: list[bytes]) -> bytes:
    if len(leaves) <= 1:
        return leaves[0] if leaves else EMPTY_ROOT
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node_hash(naive(leaves[:half]), naive(leaves[half:]))


@given(st.lists(st.integers(0, 40), max_size=6))
def test_a_frontier_grows_to_the_naive_root(cuts: list[int]) -> None:
    frontier, begin = Frontier(), 0
    for end in sorted([*cuts, 40]):
        frontier.append(b"".join(LEAVES[begin:end]))
        frontier, begin = Frontier.from_bytes(frontier.to_bytes()), end
        assert (frontier.size, frontier.root()) == (end, naive(LEAVES[:end]))


def test_known_roots() -> None:
    # RFC 6962 test data of Certificate Transparency: leaves "", 00, 10, 2021, 3031, 40414243, 5051525354555657 ...
    data = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    leaves = [leaf_hash(bytes.fromhex(text)) for text in data]
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert root_of(leaves[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert root_of(leaves[:2]).hex() == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    assert root_of(leaves).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@pytest.mark.parametrize("size", range(1, 18))
def test_inclusion(size: int) -> None:
    leaves, root = LEAVES[:size], naive(LEAVES[:size])
    for index in range(size):
        proof = inclusion_proof(index, leaves)
        assert verify_inclusion(index, size, leaves[index], proof, root)
        assert not verify_inclusion(index, size, LEAVES[39], proof, root)
        assert not verify_inclusion(index, size, leaves[index], [*proof, root], root)
        assert not verify_inclusion(index, size, leaves[index], proof, LEAVES[39])
        if proof:
            assert not verify_inclusion(index, size, leaves[index], proof[:-1], root)


@pytest.mark.parametrize("size", range(1, 18))
def test_consistency(size: int) -> None:
    leaves, root = LEAVES[:size], naive(LEAVES[:size])
    for earlier in range(1, size + 1):
        proof, old = consistency_proof(earlier, leaves), naive(leaves[:earlier])
        assert verify_consistency(earlier, size, old, root, proof)
        assert not verify_consistency(earlier, size, LEAVES[39], root, proof)
        assert not verify_consistency(earlier, size, old, LEAVES[39], proof)
        assert not verify_consistency(earlier, size, old, root, [*proof, root])


@settings(deadline=None)
@given(st.integers(2, 40), st.data())
def test_a_changed_proof_fails(size: int, data: st.DataObject) -> None:
    earlier = data.draw(st.integers(1, size - 1))
    proof = consistency_proof(earlier, LEAVES[:size])
    at = data.draw(st.integers(0, len(proof) - 1))
    proof[at] = bytes([proof[at][0] ^ 1]) + proof[at][1:]
    assert not verify_consistency(earlier, size, naive(LEAVES[:earlier]), naive(LEAVES[:size]), proof)


def test_nothing_proves_nothing() -> None:
    assert not verify_consistency(0, 3, EMPTY_ROOT, naive(LEAVES[:3]), [])
    assert not verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])
    assert not verify_inclusion(0, 0, LEAVES[0], [], EMPTY_ROOT)
    with pytest.raises(LedgerError):
        consistency_proof(0, LEAVES)
    with pytest.raises(LedgerError):
        inclusion_proof(0, [])


@pytest.mark.parametrize("raw", [b"", bytes(7), bytes(9), (3).to_bytes(8, "little") + bytes(32)])
def test_a_damaged_frontier_is_told(raw: bytes) -> None:
    with pytest.raises(LedgerError):
        Frontier.from_bytes(raw)
    with pytest.raises(LedgerError):
        Frontier().append(bytes(31))
