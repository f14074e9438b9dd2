"""Verify a home from its bytes alone: frames, segments, leaves, root and signed checkpoint must all tell the same.

Stands alone with `rehash.py`: the two import nothing else of Watchbill, only the standard
library, pyarrow and cryptography, and read the formats as docs/ledger-format.md writes them down. What the ledger writes with numba it encodes again with Arrow's own functions,
so that one mistake in both is unlikely. Large ledgers are read by one process a core. It cannot tell a log whose signing key was
stolen; keep checkpoints elsewhere (`watchbill witness`).
"""

from __future__ import annotations

import base64
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from watchbill.ledger.rehash import LEVELS, Bad, Part, Read, above, read_part, read_parts

Progress = Callable[[int, int], None]
_HEAD: Final = struct.Struct("<4sHHQQqIIIII16sI")
_MARK: Final = struct.Struct("<4sIQQQqI")
_ALONE: Final = 200_000
"""Below so many records starting other processes costs more than it saves."""
_PROCESSES_MAX: Final = 4
"""Each holds a segment of half a million records twice: about 650 MB."""


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
        gone: records among them whose payload was erased or dropped by age: their leaves stand, they can no longer be read.
    """

    height: int
    root: str
    checkpoint: str
    ok: bool
    first_bad: int | None
    reason: str
    sealed: int = 0
    gone: int = 0


class _Tree:
    """RFC 6962 frontier, kept apart from the ledger's own; compares every eighth level with the file that holds it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.levels: dict[int, bytes] = {}
        self.read: dict[int, int] = {}
        self.faults: list[Bad] = []

    def append(self, row: bytes, level: int = 0) -> None:
        while row:
            if level and level % LEVELS == 0:
                self._compare(level // LEVELS, row)
            row = self.levels.pop(level, b"") + row
            even = len(row) // 64 * 64
            if even < len(row):
                self.levels[level] = row[even:]
            row = above(row[:even])
            level += 1

    def _compare(self, level: int, row: bytes) -> None:
        """Compare hashes that came due at a tile level with those on disk."""
        path, at = self.home / "tree" / f"level-{level}", self.read.get(level, 0)
        self.read[level] = at + len(row)
        seq = at // 32 << LEVELS * level
        if not path.exists():
            self.faults.append(Bad(seq, f"{path.name} of the tree is missing; seal again"))
            return
        with path.open("rb") as file:
            file.seek(at)
            kept = file.read(len(row))
        if kept != row:
            differs = next(i for i in range(0, len(row), 32) if kept[i : i + 32] != row[i : i + 32])
            seq = (at + differs) // 32 << LEVELS * level
            self.faults.append(Bad(seq, f"{path.name} of the tree was changed"))

    def root(self) -> bytes:
        nodes = [self.levels[level] for level in sorted(self.levels)]
        if not nodes:
            return sha256(b"").digest()
        root = nodes[0]
        for node in nodes[1:]:
            root = sha256(b"\x01" + node + root).digest()
        return root


def verify(home: Path, progress: Progress | None = None, *, processes: int | None = None) -> VerifyReport:
    """Read everything again and compare.

    Args:
        home: the home.
        progress: called with (records read, records in all).
        processes: how many read at once; None: one a core, and this one alone where the ledger is small.

    Returns:
        A report; what is damaged is told there, not raised.
    """
    tree, faults = _Tree(home), []
    manifest: dict[str, Any] = {"segments": [], "sealed": 0}
    height, note, gone = 0, "", 0
    try:
        manifest = _manifest(home)
        height = manifest["sealed"]
        height = _journal(home, manifest["sealed"])
        if (home / "erasing.json").exists():
            raise Bad(0, "an erasure did not finish: run the same command again")
    except Bad as bad:
        faults.append(bad)
    try:
        run = _run(home, manifest, processes)
        roots, gone = _segments(home, manifest, tree, faults, run, progress or (lambda _done, _all: None))
        # a changed record changes every later root: then the record is what to name
        note = _checkpoints(home, manifest, {} if faults else roots)
    except Bad as bad:
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
        gone=gone,
    )


def _manifest(home: Path) -> dict[str, Any]:
    """Read segments.json and check that its segments follow one another from 0."""
    path = home / "segments.json"
    if not path.exists():
        if any((home / "checkpoints").glob("*")) or any((home / "segments").glob("*/*.parquet")):
            raise Bad(0, "segments.json is missing")
        return {"segments": [], "sealed": 0, "frontier": (0).to_bytes(8, "little").hex(), "quarantine_bytes": 0}
    head, _, body = path.read_bytes().partition(b"\n")
    if head != blake2b(body, digest_size=16).hexdigest().encode():
        raise Bad(0, "segments.json does not match its checksum")
    manifest: dict[str, Any] = json.loads(body)
    due = 0
    for segment in manifest["segments"]:
        if segment["first"] != due or segment["last"] < due:
            raise Bad(due, "segments.json leaves a gap")
        due = segment["last"] + 1
    if manifest["sealed"] != due:
        raise Bad(due, "segments.json counts other records than its segments")
    quarantine = home / "quarantine.ndjson"
    if manifest["quarantine_bytes"] > (quarantine.stat().st_size if quarantine.exists() else 0):
        raise Bad(0, "quarantine.ndjson is shorter than it was")
    return manifest


def _journal(home: Path, sealed: int) -> int:
    """Check every frame; give the acknowledged height."""
    listing = sorted((int(path.stem), path) for path in (home / "journal").glob("*.wbj"))
    mark = _mark(home, bool(listing), sealed)
    if not listing:
        if mark[2]:
            # the file that the mark stands in is never removed, and nothing can be written without it
            raise Bad(sealed, "journal files are missing")
        return sealed
    due = listing[0][0]
    if due > sealed:
        raise Bad(sealed, "journal frames are missing")
    for first, path in listing:
        if first != due:
            if first > mark[0]:
                break
            raise Bad(due, f"journal frames are missing before {path.name}")
        for end, following in _frames(path, first, mark):
            due = following
            if (first, end) == mark[:2]:
                break
    if due < mark[2]:
        raise Bad(due, "acknowledged journal frames are missing")
    return due


def _mark(home: Path, needed: bool, sealed: int) -> tuple[int, int, int]:
    """The durable mark: file, offset, height."""
    path = home / "journal" / "durable"
    if not path.exists():
        if needed:
            raise Bad(sealed, "journal/durable is missing")
        return 0, 0, 0
    raw = path.read_bytes()
    if len(raw) != _MARK.size or zlib.crc32(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
        raise Bad(sealed, "journal/durable does not match its checksum")
    _, _, file, offset, height, _, _ = _MARK.unpack(raw)
    return file, offset, height


def _frames(path: Path, first: int, mark: tuple[int, int, int]) -> Iterator[tuple[int, int]]:
    """Check the acknowledged frames of one file; give (end offset, next seq) of each."""
    due, at = first, 0
    with path.open("rb") as file:
        while (first, at) < mark[:2] and (head := file.read(_HEAD.size)):
            if len(head) < _HEAD.size:
                raise Bad(due, f"a frame of {path.name} is cut short")
            magic, version, _, seq, _, _, count, *sizes, _, digest, crc = _HEAD.unpack(head)
            if zlib.crc32(head[:-4]) != crc or magic != b"WBJF" or version != 1 or seq != due:
                raise Bad(due, f"a frame header of {path.name} was changed")
            body = file.read(sum(sizes))
            if len(body) != sum(sizes) or sha256(body).digest()[:16] != digest:
                raise Bad(due, f"a frame of {path.name} does not match its checksum")
            due, at = seq + count, at + len(head) + len(body)
            yield at, due


def _run(home: Path, manifest: dict[str, Any], processes: int | None) -> Iterator[Read]:
    """Read all pieces, in order of seq."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    several = min(cores, _PROCESSES_MAX) if processes is None else processes
    several = several if processes or manifest["sealed"] >= _ALONE else 1
    share = max(-(-manifest["sealed"] // several), 1)
    parts: list[Part] = []
    for segment in manifest["segments"]:
        first, end = segment["first"], segment["last"] + 1
        step = -(-(end - first) // -(-(end - first) // share))
        cuts = range(first, end, step)
        parts += [Part(home, segment, at, min(at + step, end) - 1, at == first) for at in cuts]
    if several < 2 or len(parts) < 2:  # noqa: PLR2004 one process, or one piece
        yield from map(read_part, parts)
    else:
        yield from read_parts(parts, min(several, len(parts)))


def _segments(
    home: Path, manifest: dict[str, Any], tree: _Tree, faults: list[Bad], run: Iterable[Read], progress: Progress
) -> tuple[dict[int, bytes], int]:
    """Grow the tree from what was read; the root at the end of each segment, and how many payloads are gone."""
    roots, gone, told = {0: tree.root()}, 0, 0
    if not manifest["sealed"]:
        return roots, 0
    if not (home / "tree" / "leaves").exists():
        raise Bad(0, "tree/leaves is missing")
    for read in run:
        if read.fault:
            faults.append(Bad(*read.fault))
        gone, told = gone + read.gone, told + read.told
        tree.append(read.head)
        tree.append(read.row, LEVELS)
        tree.append(read.tail)
        roots[read.part.last + 1] = tree.root()
        progress(read.part.last + 1, manifest["sealed"])
    if not faults:  # a changed record changes every hash above it: then the record is what to name
        faults += tree.faults
    frontier = bytes.fromhex(manifest["frontier"])
    nodes = b"".join(tree.levels[level] for level in sorted(tree.levels, reverse=True))
    if not faults and frontier != manifest["sealed"].to_bytes(8, "little") + nodes:
        faults.append(Bad(0, "the frontier of segments.json is not that of the records"))
    if not faults and gone > told:
        faults.append(Bad(0, f"{gone} payloads are gone, but the log accounts for {told}"))
    return roots, gone


def _checkpoints(home: Path, manifest: dict[str, Any], roots: dict[int, bytes]) -> str:
    """Check every kept checkpoint against the key and the roots; give the newest one's text."""
    folder, sealed = home / "checkpoints", manifest["sealed"]
    names = sorted(path for path in folder.glob("*") if path.name.isdigit())
    latest, good, text = folder / "latest", 0, ""
    if sealed and not names:
        raise Bad(0, "there is no checkpoint")
    for path in names:
        size, root, text = _note(home, path, good)
        if size != int(path.name):
            raise Bad(good, f"checkpoint {path.name} speaks of another size")
        if size > sealed:
            raise Bad(sealed, "records that a checkpoint vouches for are missing")
        if roots and roots.get(size) != root:
            raise Bad(good, f"the root of checkpoint {path.name} is not that of the records")
        good = size
    if good < sealed:
        raise Bad(good, "no checkpoint vouches for the last segments; seal again")
    if names and (not latest.exists() or latest.read_bytes() != names[-1].read_bytes()):
        raise Bad(max(good - 1, 0), "checkpoints/latest is not the newest checkpoint")
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
        raise Bad(good, f"checkpoint {path.name} is not signed by this log's key") from error
