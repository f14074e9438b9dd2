"""Proofs to hand out: that a record is in the signed tree, and that a later tree begins with an earlier one.

Written as C2SP tlog-proof and, between checkpoints, as the lines of C2SP tlog-witness; other people's tools check both.
Reads a few hashes a proof, whatever the size of the ledger.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from watchbill.core.errors import LedgerError, NotFoundError
from watchbill.ledger import checkpoint, files, merkle
from watchbill.ledger import manifest as manifests
from watchbill.ledger.canonical import SEQ, canonical
from watchbill.ledger.gone import read_gone
from watchbill.ledger.manifest import Manifest
from watchbill.ledger.segments import open_segment
from watchbill.ledger.survivors import nonces_of
from watchbill.ledger.tiles import TreeHashes

HEADER: Final = "c2sp.org/tlog-proof@v1"
_PROOF_BYTES_MAX: Final = 128 << 10
_HASHES_MAX: Final = 64
_BATCH_ROWS: Final = 4_096


@dataclass(frozen=True, slots=True)
class Proof:
    """That a leaf is in the tree of a checkpoint.

    Attributes:
        index: seq of the record. size: leaves of the tree. leaf: its 32-byte hash. path: sibling hashes, nearest first.
        note: the signed checkpoint.
        nonce: 16 bytes that make the leaf of the record; None when the record's payload was erased.
        record: the canonical record; None when it was erased.
    """

    index: int
    size: int
    leaf: bytes
    path: tuple[bytes, ...]
    note: bytes
    nonce: bytes | None = None
    record: bytes | None = None

    def text(self) -> bytes:
        """As a C2SP tlog-proof; the extra line carries the nonce."""
        extra = [f"extra {base64.b64encode(self.nonce).decode()}"] if self.nonce else []
        lines = [HEADER, *extra, f"index {self.index}", *(base64.b64encode(node).decode() for node in self.path)]
        return "\n".join([*lines, "", ""]).encode() + self.note


@dataclass(frozen=True, slots=True)
class Told:
    """What a tlog-proof says, before anything of it is believed."""

    index: int
    path: tuple[bytes, ...]
    note: bytes
    extra: bytes | None


def parse_proof(text: bytes) -> Told:
    """Read a tlog-proof strictly.

    Raises:
        LedgerError: it is none.
    """
    try:
        if len(text) > _PROOF_BYTES_MAX:
            raise ValueError
        head, _, note = text.partition(b"\n\n")
        lines = head.decode("ascii").split("\n")
        if lines.pop(0) != HEADER or not note:
            raise ValueError
        extra = _decoded(lines.pop(0).removeprefix("extra ")) if lines[0].startswith("extra ") else None
        word, _, number = lines.pop(0).partition(" ")
        if word != "index" or number != str(int(number)) or int(number) < 0 or len(lines) > _HASHES_MAX:
            raise ValueError
        path = tuple(_decoded(line) for line in lines)
        if any(len(node) != merkle.HASH_BYTES for node in path):
            raise ValueError
    except (ValueError, IndexError) as error:
        raise LedgerError("a proof that cannot be read", todo="It must be a c2sp.org/tlog-proof@v1") from error
    return Told(int(number), path, note, extra)


def _decoded(text: str) -> bytes:
    """Base64 in its one form: another text for the same bytes would be a second name of one proof."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error
    if base64.b64encode(raw).decode() != text:
        raise ValueError
    return raw


def checkpoint_sizes(home: Path) -> list[int]:
    """Sizes of the kept checkpoints, ascending."""
    return sorted(int(path.name) for path in (home / files.CHECKPOINTS).glob("*") if path.name.isdigit())


def checkpoint_note(home: Path, size: int | None = None) -> tuple[int, bytes]:
    """(size, signed note) of a kept checkpoint; None the newest.

    Raises:
        NotFoundError: there is none (of that size).
    """
    sizes = checkpoint_sizes(home)
    if not sizes or (size is not None and size not in sizes):
        raise NotFoundError(
            "there is no such checkpoint", where="checkpoints", todo="`watchbill seal` makes one of now"
        )
    size = sizes[-1] if size is None else size
    return size, (home / files.CHECKPOINTS / f"{size:020d}").read_bytes()


def prove(home: Path, seq: int, size: int | None = None) -> Proof:
    """Prove a record under a checkpoint (`size` None: the newest).

    Raises:
        NotFoundError: no such checkpoint, or the record is not under it yet.
        LedgerError: the tree's hashes are damaged.
    """
    return next(prove_all(home, [seq], size))


def prove_all(home: Path, seqs: Sequence[int], size: int | None = None) -> Iterator[Proof]:
    """Proofs of several records under one checkpoint, in order of seq.

    Raises:
        NotFoundError: no such checkpoint, or one of the records is not under it yet.
        LedgerError: the tree's hashes, or a segment, are damaged.
    """
    size, note = checkpoint_note(home, size)
    wanted = sorted(set(seqs))
    if wanted and not 0 <= wanted[0] <= wanted[-1] < size:
        raise NotFoundError(
            f"record {wanted[-1] if wanted[0] >= 0 else wanted[0]} is not under the checkpoint of {size} records",
            where="proof", todo="`watchbill seal` puts everything acknowledged under a new checkpoint",
        )  # fmt: skip
    root = checkpoint.parse(note)[0].root
    records = {seq: (nonce, record) for seq, nonce, record in _records(home, manifests.load(home), wanted)}
    with TreeHashes(home, size) as tree:
        for seq in wanted:
            nonce, record = records.get(seq, (None, None))
            leaf, path = tree.leaf(seq), tuple(merkle.inclusion_path(seq, size, tree.node))
            if not merkle.verify_inclusion(seq, size, leaf, path, root):
                raise LedgerError(f"the tree does not lead from record {seq} to the root", todo="Run verify")
            if nonce is not None and merkle.leaf_hash(nonce + (record or b"")) != leaf:
                raise LedgerError(f"record {seq} is not what its leaf was made of", todo="Run verify")
            yield Proof(seq, size, leaf, path, note, nonce, record)


def rows_of_seqs(home: Path, manifest: Manifest, seqs: Iterable[int]) -> Iterator[tuple[int, pa.Table]]:
    """Sealed records by their seqs as (day, rows in order of seq), segment by segment; of erased ones what is left.

    Raises:
        LedgerError: a segment is damaged.
    """
    wanted = np.array(sorted(set(seqs)), dtype=np.int64)
    for segment in manifest.segments:
        low, high = np.searchsorted(wanted, [segment.first, segment.last + 1])
        if low == high:
            continue
        with open_segment(segment.path(home)) as file:
            held = file.read(columns=[SEQ], use_threads=False).column(SEQ).to_numpy()
            table = _rows(file, np.flatnonzero(np.isin(held, wanted[low:high])))
        if table.num_rows:
            yield segment.day, table.sort_by(SEQ).combine_chunks()


def _rows(file: pq.ParquetFile, rows: NDArray[np.int64]) -> pa.Table:
    """Rows of a segment by their places, ascending; of a row group no more is decoded than to its last wanted row."""
    parts, begin = [file.schema_arrow.empty_table()], 0
    for group in range(file.num_row_groups):
        end = begin + file.metadata.row_group(group).num_rows
        mine = rows[(rows >= begin) & (rows < end)] - begin
        at, begin = 0, end
        if not len(mine):
            continue
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], use_threads=False):
            here = mine[(mine >= at) & (mine < at + batch.num_rows)] - at
            at += batch.num_rows
            parts.append(pa.Table.from_batches([batch.take(pa.array(here))]))
            if at > mine[-1]:
                break
    return pa.concat_tables(parts)


def _records(home: Path, manifest: Manifest, seqs: Sequence[int]) -> Iterator[tuple[int, bytes, bytes]]:
    """(seq, nonce, canonical record) of the sealed records that can be proven."""
    for day, rows in rows_of_seqs(home, manifest, seqs):
        lost = np.concatenate([read_gone(home, one).seqs for one in manifest.segments if one.day == day])
        table = rows.filter(pc.invert(pc.is_in(rows.column(SEQ), value_set=pa.array(lost)))).combine_chunks()
        found = table.column(SEQ).to_numpy()
        nonces = nonces_of(home, day, found)
        data, ends = canonical(table, None)
        for row, seq in enumerate(found.tolist()):
            yield seq, nonces[row].tobytes(), data[ends[row] : ends[row + 1]].tobytes()


def consistency(home: Path, size1: int, size2: int | None = None) -> list[bytes]:
    """Proof that the tree of a checkpoint (`size2` None: the newest) begins with its first `size1` records.

    Raises:
        NotFoundError: no such checkpoint. LedgerError: `size1` is 0 or over it, or hashes are damaged.
    """
    size2, _ = checkpoint_note(home, size2)
    with TreeHashes(home, size2) as tree:
        return merkle.consistency_path(size1, size2, tree.node)


def consistency_text(size1: int, path: Sequence[bytes], note: bytes) -> bytes:
    """A consistency proof as C2SP tlog-witness asks for it: old size, hashes, a blank line, the newer checkpoint."""
    lines = [f"old {size1}", *(base64.b64encode(node).decode() for node in path)]
    return "\n".join([*lines, "", ""]).encode() + note
