"""Verify a home from its bytes alone: frames, segments, leaves, root and signed checkpoint must all tell the same.

Stands alone: it imports nothing of Watchbill, only the standard library, pyarrow and cryptography, and reads the formats
as docs/ledger-format.md writes them down. What the ledger writes with numba it encodes again with Arrow's own functions,
so that one mistake in both is unlikely. It cannot tell a log whose signing key was stolen; keep checkpoints elsewhere.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Progress = Callable[[int, int], None]
_HEAD: Final = struct.Struct("<4sHHQQqIIIII16sI")
_MARK: Final = struct.Struct("<4sIQQQqI")
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY_MS: Final = 86_400_000
_ROWS: Final = 65_536
_MUST_ESCAPE: Final = '[\\x00-\\x1f"\\\\]'


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What verification found.

    Attributes:
        height: records in all, the acknowledged journal tail included.
        root: root over the sealed records as they are on disk now, hex.
        checkpoint: text of the newest signed checkpoint that was checked, "" when there is none.
        ok: everything fits.
        first_bad: seq of the first record that is damaged or no longer vouched for, None when ok.
        reason: what does not fit, "" when ok.
        sealed: records in segments.
    """

    height: int
    root: str
    checkpoint: str
    ok: bool
    first_bad: int | None
    reason: str
    sealed: int = 0


class _Bad(Exception):
    """Something does not fit, from this seq on."""

    def __init__(self, seq: int, reason: str) -> None:
        super().__init__(reason)
        self.seq = seq
        self.reason = reason


class _Tree:
    """RFC 6962 frontier, kept apart from the ledger's own."""

    def __init__(self) -> None:
        self.levels: dict[int, bytes] = {}

    def append(self, row: bytes) -> None:
        level = 0
        while row:
            row = self.levels.pop(level, b"") + row
            even = len(row) // 64 * 64
            if even < len(row):
                self.levels[level] = row[even:]
            row = b"".join([sha256(b"\x01" + row[at : at + 64]).digest() for at in range(0, even, 64)])
            level += 1

    def root(self) -> bytes:
        nodes = [self.levels[level] for level in sorted(self.levels)]
        if not nodes:
            return sha256(b"").digest()
        root = nodes[0]
        for node in nodes[1:]:
            root = sha256(b"\x01" + node + root).digest()
        return root


def verify(home: Path, progress: Progress | None = None) -> VerifyReport:
    """Read everything again and compare.

    Args:
        home: the home.
        progress: called with (records read, records in all).

    Returns:
        A report; what is damaged is told there, not raised.
    """
    tree, faults = _Tree(), []
    manifest: dict[str, Any] = {"segments": [], "sealed": 0}
    height, note = 0, ""
    try:
        manifest = _manifest(home)
        height = manifest["sealed"]
        height = _journal(home, manifest["sealed"])
    except _Bad as bad:
        faults.append(bad)
    try:
        roots = _segments(home, manifest, tree, faults, progress or (lambda _done, _all: None))
        # a changed record changes every later root: then the record is what to name
        note = _checkpoints(home, manifest, {} if faults else roots)
    except _Bad as bad:
        faults.append(bad)
    first = min(faults, key=lambda bad: bad.seq, default=None)
    return VerifyReport(
        height=height,
        root=tree.root().hex(),
        checkpoint=note,
        ok=first is None,
        first_bad=first.seq if first else None,
        reason=first.reason if first else "",
        sealed=manifest["sealed"],
    )


def _manifest(home: Path) -> dict[str, Any]:
    """Read segments.json and check that its segments follow one another from 0."""
    path = home / "segments.json"
    if not path.exists():
        if any((home / "checkpoints").glob("*")) or any((home / "segments").glob("*/*.parquet")):
            raise _Bad(0, "segments.json is missing")
        return {"segments": [], "sealed": 0, "frontier": (0).to_bytes(8, "little").hex(), "quarantine_bytes": 0}
    head, _, body = path.read_bytes().partition(b"\n")
    if head != blake2b(body, digest_size=16).hexdigest().encode():
        raise _Bad(0, "segments.json does not match its checksum")
    manifest: dict[str, Any] = json.loads(body)
    due = 0
    for segment in manifest["segments"]:
        if segment["first"] != due or segment["last"] < due:
            raise _Bad(due, "segments.json leaves a gap")
        due = segment["last"] + 1
    if manifest["sealed"] != due:
        raise _Bad(due, "segments.json counts other records than its segments")
    quarantine = home / "quarantine.ndjson"
    if manifest["quarantine_bytes"] > (quarantine.stat().st_size if quarantine.exists() else 0):
        raise _Bad(0, "quarantine.ndjson is shorter than it was")
    return manifest


def _journal(home: Path, sealed: int) -> int:
    """Check every frame; give the acknowledged height."""
    listing = sorted((int(path.stem), path) for path in (home / "journal").glob("*.wbj"))
    mark = _mark(home, bool(listing), sealed)
    if not listing:
        if mark[2]:
            # the file that the mark stands in is never removed, and nothing can be written without it
            raise _Bad(sealed, "journal files are missing")
        return sealed
    due = listing[0][0]
    if due > sealed:
        raise _Bad(sealed, "journal frames are missing")
    for first, path in listing:
        if first != due:
            if first > mark[0]:
                break
            raise _Bad(due, f"journal frames are missing before {path.name}")
        for end, following in _frames(path, first, mark):
            due = following
            if (first, end) == mark[:2]:
                break
    if due < mark[2]:
        raise _Bad(due, "acknowledged journal frames are missing")
    return due


def _mark(home: Path, needed: bool, sealed: int) -> tuple[int, int, int]:
    """The durable mark: file, offset, height."""
    path = home / "journal" / "durable"
    if not path.exists():
        if needed:
            raise _Bad(sealed, "journal/durable is missing")
        return 0, 0, 0
    raw = path.read_bytes()
    if len(raw) != _MARK.size or zlib.crc32(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
        raise _Bad(sealed, "journal/durable does not match its checksum")
    _, _, file, offset, height, _, _ = _MARK.unpack(raw)
    return file, offset, height


def _frames(path: Path, first: int, mark: tuple[int, int, int]) -> Iterator[tuple[int, int]]:
    """Check the acknowledged frames of one file; give (end offset, next seq) of each."""
    due, at = first, 0
    with path.open("rb") as file:
        while (first, at) < mark[:2] and (head := file.read(_HEAD.size)):
            if len(head) < _HEAD.size:
                raise _Bad(due, f"a frame of {path.name} is cut short")
            magic, version, _, seq, _, _, count, *sizes, _, digest, crc = _HEAD.unpack(head)
            if zlib.crc32(head[:-4]) != crc or magic != b"WBJF" or version != 1 or seq != due:
                raise _Bad(due, f"a frame header of {path.name} was changed")
            body = file.read(sum(sizes))
            if len(body) != sum(sizes) or sha256(body).digest()[:16] != digest:
                raise _Bad(due, f"a frame of {path.name} does not match its checksum")
            due, at = seq + count, at + len(head) + len(body)
            yield at, due


def _segments(
    home: Path, manifest: dict[str, Any], tree: _Tree, faults: list[_Bad], progress: Progress
) -> dict[int, bytes]:
    """Hash every sealed record again, compare with the leaves; give the root at the end of each segment."""
    roots, path = {0: tree.root()}, home / "tree" / "leaves"
    if not manifest["sealed"]:
        return roots
    if not path.exists():
        raise _Bad(0, "tree/leaves is missing")
    with path.open("rb") as leaves:
        for segment in manifest["segments"]:
            size = segment["last"] + 1
            kept = leaves.read(32 * (size - segment["first"]))
            try:
                hashes = _segment_hashes(home, segment)
                tree.append(hashes)
                _compare(segment, hashes, kept)
                _digests(home, segment)
            except _Bad as bad:
                faults.append(bad)
            except (pa.ArrowException, OSError, ValueError, KeyError) as error:
                faults.append(_Bad(segment["first"], f"a segment cannot be read ({type(error).__name__})"))
            roots[size] = tree.root()
            progress(size, manifest["sealed"])
    frontier = bytes.fromhex(manifest["frontier"])
    nodes = b"".join(tree.levels[level] for level in sorted(tree.levels, reverse=True))
    if not faults and frontier != manifest["sealed"].to_bytes(8, "little") + nodes:
        faults.append(_Bad(0, "the frontier of segments.json is not that of the records"))
    return roots


def _stem(home: Path, segment: dict[str, Any]) -> str:
    day = date.fromordinal(_EPOCH + segment["day"]).isoformat()
    return str(home / "segments" / day / f"{segment['first']:020d}-{segment['last']:020d}")


def _digests(home: Path, segment: dict[str, Any]) -> None:
    """Compare the digests of the segment's files, indexes included."""
    for ending, known in segment["digests"].items():
        path = Path(f"{_stem(home, segment)}.{ending}")
        if not path.exists() or blake2b(path.read_bytes(), digest_size=16).hexdigest() != known:
            raise _Bad(segment["first"], f"{path.name} was changed")


def _compare(segment: dict[str, Any], hashes: bytes, kept: bytes) -> None:
    """Find the first record whose hash is not its leaf."""
    if hashes == kept:
        return
    for row in range(len(hashes) // 32):
        if hashes[32 * row : 32 * row + 32] != kept[32 * row : 32 * row + 32]:
            raise _Bad(segment["first"] + row, "a record and its leaf differ")
    raise _Bad(segment["first"] + len(hashes) // 32, "records are missing from a segment")


def _segment_hashes(home: Path, segment: dict[str, Any]) -> bytes:
    """Leaf hashes of a segment's records as they are on disk, in order of seq."""
    table = pq.read_table(f"{_stem(home, segment)}.parquet", use_threads=False, partitioning=None)
    table = table.take(pc.sort_indices(table.column("seq"))).combine_chunks()
    rows = segment["last"] - segment["first"] + 1
    expected = pa.array(range(segment["first"], segment["last"] + 1), type=pa.int64())
    if table.num_rows != rows or not table.column("seq").combine_chunks().equals(pa.chunked_array([expected]).chunk(0)):
        raise _Bad(segment["first"], "a segment holds other seqs than its name says")
    arrivals = pc.min_max(table.column("arrival")).as_py()
    if any(arrival // _DAY_MS != segment["day"] for arrival in arrivals.values()):
        raise _Bad(segment["first"], "a segment holds records of another day")
    day = date.fromordinal(_EPOCH + segment["day"]).isoformat()
    key = (home / "keys" / "days" / f"{day}.key").read_bytes()
    stream = Cipher(algorithms.AES(key), modes.CTR(segment["first"].to_bytes(16, "big"))).encryptor()
    hashes: list[bytes] = []
    for batch in table.to_batches(max_chunksize=_ROWS):
        nonces = stream.update(bytes(16 * batch.num_rows))
        texts = _canonical(batch).to_pylist()
        hashes += [
            sha256(b"\x00%b{%b}" % (nonces[at : at + 16], text[1:])).digest()
            for at, text in zip(range(0, 16 * len(texts), 16), texts, strict=True)
        ]
    return b"".join(hashes)


def _canonical(batch: pa.RecordBatch) -> pa.Array:
    """The inside of each row's canonical form (RFC 8785) as binary, with a comma before each key."""
    pieces: list[Any] = []
    for name in sorted(batch.schema.names, key=lambda name: name.encode("utf-16-be")):
        column, key = batch.column(name), f",{json.dumps(name)}:"
        if column.null_count == len(column):
            continue
        before, text, after = _text(column)
        if column.null_count:
            pieces.append(pc.fill_null(pc.binary_join_element_wise(key + before, text, after, ""), ""))
        else:
            pieces += [key + before, text, after]
    return pc.binary_join_element_wise(*pieces, "").cast(pa.binary())


def _text(column: pa.Array) -> tuple[str, pa.Array, str]:
    """Each value as JSON text, with what stands before and behind all of them; null stays null."""
    kind = column.type
    if pa.types.is_string(kind):
        return '"', _escaped(column), '"'
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "", column.cast(pa.string()), ""
    if kind.value_type == pa.string():
        quoted = pc.binary_join_element_wise('"', _escaped(column.flatten()), '"', "")
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])
        inner = pc.binary_join(pa.ListArray.from_arrays(offsets, pc.fill_null(quoted, "null")), ",")
        return "[", pc.if_else(column.is_valid(), inner, pa.scalar(None, pa.string())), "]"
    return "", pa.array([None if value is None else _json(value) for value in column.to_pylist()], pa.string()), ""


def _escaped(column: pa.Array) -> pa.Array:
    """Texts as they stand between the quotes of a JSON string."""
    special = pc.fill_null(pc.match_substring_regex(column, _MUST_ESCAPE), False)
    if not special.true_count:
        return column
    escaped = [json.dumps(text, ensure_ascii=False)[1:-1] for text in column.filter(special).to_pylist()]
    return pc.replace_with_mask(column, special, pa.array(escaped, pa.string()))


def _json(value: object) -> str:
    """A nested value, absent members left out."""

    def present(item: object) -> object:
        if isinstance(item, dict):
            return {key: present(inner) for key, inner in item.items() if inner is not None}
        return [present(inner) for inner in item] if isinstance(item, list) else item

    return json.dumps(present(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _checkpoints(home: Path, manifest: dict[str, Any], roots: dict[int, bytes]) -> str:
    """Check every kept checkpoint against the key and the roots; give the newest one's text."""
    folder, sealed = home / "checkpoints", manifest["sealed"]
    names = sorted(path for path in folder.glob("*") if path.name.isdigit())
    latest, good, text = folder / "latest", 0, ""
    if sealed and not names:
        raise _Bad(0, "there is no checkpoint")
    for path in names:
        size, root, text = _note(home, path, good)
        if size != int(path.name):
            raise _Bad(good, f"checkpoint {path.name} speaks of another size")
        if size > sealed:
            raise _Bad(sealed, "records that a checkpoint vouches for are missing")
        if roots and roots.get(size) != root:
            raise _Bad(good, f"the root of checkpoint {path.name} is not that of the records")
        good = size
    if good < sealed:
        raise _Bad(good, "no checkpoint vouches for the last segments; seal again")
    if names and (not latest.exists() or latest.read_bytes() != names[-1].read_bytes()):
        raise _Bad(max(good - 1, 0), "checkpoints/latest is not the newest checkpoint")
    return text


def _note(home: Path, path: Path, good: int) -> tuple[int, bytes, str]:
    """Read a signed note: size, root and text."""
    try:
        name, hashed, encoded = (home / "keys" / "origin.pub").read_text().strip().split("+", 2)
        public = base64.b64decode(encoded, validate=True)
        identity = sha256(name.encode() + b"\n" + public).digest()[:4]
        text, signature = path.read_bytes().decode().split("\n\n")
        origin, size, root, *_ = text.split("\n")
        dash, signer, blob64 = signature.removesuffix("\n").split(" ")
        blob = base64.b64decode(blob64, validate=True)
        if identity.hex() != hashed or origin != name or blob[:4] != identity or (dash, signer) != ("\u2014", name):
            raise ValueError
        if base64.b64encode(blob).decode() != blob64:
            raise ValueError
        Ed25519PublicKey.from_public_bytes(public[1:]).verify(blob[4:], f"{text}\n".encode())
        return int(size), base64.b64decode(root, validate=True), text
    except (ValueError, OSError, InvalidSignature) as error:
        raise _Bad(good, f"checkpoint {path.name} is not signed by this log's key") from error
