"""The Merkle tree of RFC 6962, pure: hashes, a frontier that grows, roots, proofs and their checks.

Source: RFC 6962 section 2.1 and RFC 9162 section 2.1 (the checks). A leaf here is the canonical record behind its
16-byte nonce, and its index is the record's seq.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from watchbill.core.errors import LedgerError
from watchbill.ledger.sha import hash_pairs

HASH_BYTES: Final = 32
TILE_LEVELS: Final = 8
"""Levels of the tree in one C2SP tile: a tile is a row of 256 hashes, and every eighth level is kept on disk."""
Node = Callable[[int, int], bytes]
"""(level, index) -> root of the full subtree over leaves [index << level, (index + 1) << level)."""
EMPTY_ROOT: Final = sha256(b"").digest()
_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"
_SIZE_BYTES: Final = 8
_SIZE_MAX: Final = 1 << 62


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf: SHA-256 of 0x00 and the data."""
    return sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256 of 0x01 and both children."""
    return sha256(_NODE + left + right).digest()


class Frontier:
    """What a tree must remember to grow: one hash for each bit of its size.

    Attributes:
        size: leaves so far.
    """

    def __init__(self, size: int = 0, nodes: Sequence[bytes] = ()) -> None:
        """Begin with `size` leaves; `nodes` are the roots of the full subtrees, largest first."""
        if size < 0 or len(nodes) != size.bit_count() or any(len(node) != HASH_BYTES for node in nodes):
            raise LedgerError("a tree frontier does not fit its size", todo="Run verify")
        levels = [level for level in range(size.bit_length()) if size >> level & 1]
        self.size = size
        self._nodes = dict(zip(reversed(levels), nodes, strict=True))

    def append(self, hashes: bytes | memoryview) -> dict[int, bytes]:
        """Add leaf hashes, 32 bytes each, end to end.

        Returns:
            The hashes that became known at every eighth level above the leaves (1 = level 8, 2 = level 16 ...), end to end.
        """
        count, rest = divmod(len(hashes), HASH_BYTES)
        if rest:
            raise LedgerError(f"{len(hashes)} bytes are not whole hashes")
        row, level = bytes(hashes), 0
        kept: dict[int, bytes] = {}
        while row:
            if level and level % TILE_LEVELS == 0:
                kept[level // TILE_LEVELS] = row
            if level in self._nodes:
                row = self._nodes.pop(level) + row
            pairs = len(row) // (2 * HASH_BYTES)
            if len(row) > pairs * 2 * HASH_BYTES:
                self._nodes[level] = row[-HASH_BYTES:]
            row = hash_pairs(row, pairs)
            level += 1
        self.size += count
        return kept

    def root(self) -> bytes:
        """Root hash; of no leaves the hash of nothing."""
        levels = sorted(self._nodes)
        if not levels:
            return EMPTY_ROOT
        root = self._nodes[levels[0]]
        for level in levels[1:]:
            root = node_hash(self._nodes[level], root)
        return root

    def to_bytes(self) -> bytes:
        """Serialise: 8 bytes of size, little-endian, then the subtree roots, largest first."""
        nodes = (self._nodes[level] for level in sorted(self._nodes, reverse=True))
        return self.size.to_bytes(_SIZE_BYTES, "little") + b"".join(nodes)

    @classmethod
    def from_bytes(cls, data: bytes) -> Frontier:
        """Read what `to_bytes` made.

        Raises:
            LedgerError: it is not that.
        """
        body = data[_SIZE_BYTES:]
        if len(data) < _SIZE_BYTES or len(body) % HASH_BYTES:
            raise LedgerError("a tree frontier is cut short", todo="Run verify")
        nodes = [body[at : at + HASH_BYTES] for at in range(0, len(body), HASH_BYTES)]
        return cls(int.from_bytes(data[:_SIZE_BYTES], "little"), nodes)


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Root over leaf hashes."""
    frontier = Frontier()
    frontier.append(b"".join(leaves))
    return frontier.root()


def _split(size: int) -> int:
    """Largest power of two below `size` (size >= 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def range_root(begin: int, end: int, node: Node) -> bytes:
    """Root over leaves [begin, end), a subtree of some RFC 6962 tree: `begin` is a multiple of its full width."""
    size = end - begin
    if size.bit_count() == 1:
        level = size.bit_length() - 1
        return node(level, begin >> level)
    middle = begin + _split(size)
    return node_hash(range_root(begin, middle, node), range_root(middle, end, node))


def inclusion_path(index: int, size: int, node: Node) -> list[bytes]:
    """Audit path of leaf `index` in the tree of `size` leaves, nearest sibling first (RFC 6962, 2.1.1).

    Raises:
        LedgerError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise LedgerError(f"no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(range_root(middle, end, node))
            end = middle
        else:
            path.append(range_root(begin, middle, node))
            begin = middle
    return path[::-1]


def consistency_path(size1: int, size2: int, node: Node) -> list[bytes]:
    """Proof that the tree of `size2` leaves begins with the tree of its first `size1` (RFC 6962, 2.1.2).

    Raises:
        LedgerError: `size1` is 0 (everything begins with nothing: no proof) or over `size2`.
    """
    if not 0 < size1 <= size2:
        raise LedgerError(f"no consistency proof from size {size1} to {size2}")
    path: list[bytes] = []
    begin, end, whole = 0, size2, True
    while size1 != end:
        middle = begin + _split(end - begin)
        if size1 <= middle:
            path.append(range_root(middle, end, node))
            end = middle
        else:
            path.append(range_root(begin, middle, node))
            begin, whole = middle, False
    if not whole:
        path.append(range_root(begin, end, node))
    return path[::-1]


def node_of(leaves: Sequence[bytes]) -> Node:
    """Subtree roots over leaf hashes that are at hand."""
    return lambda level, index: root_of(leaves[index << level : (index + 1) << level])


def inclusion_proof(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """As `inclusion_path`, over leaf hashes that are at hand."""
    return inclusion_path(index, len(leaves), node_of(leaves))


def consistency_proof(size1: int, leaves: Sequence[bytes]) -> list[bytes]:
    """As `consistency_path`, over leaf hashes that are at hand."""
    return consistency_path(size1, len(leaves), node_of(leaves))


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether `leaf` is number `index` of the tree of `size` leaves with this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size <= _SIZE_MAX or not _are_hashes(leaf, root, *proof):
        return False
    node, last, current = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            current = node_hash(sibling, current)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            current = node_hash(current, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and current == root


def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether the tree of `size2` leaves begins with that of `size1` (RFC 9162, 2.1.4.2); size 0 proves nothing."""
    if not 0 < size1 <= size2 <= _SIZE_MAX or not _are_hashes(root1, root2, *proof):
        return False
    if size1 == size2:
        return not proof and root1 == root2
    path = [root1, *proof] if size1.bit_count() == 1 else list(proof)
    if not path:
        return False
    node, last = size1 - 1, size2 - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and old == root1 and new == root2


def _are_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
