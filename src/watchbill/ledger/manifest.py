"""The manifest: which segments hold which seqs, and the state of the tree at the end of them. One atomic file.

Replacing `segments.json` is the moment at which a segment counts; whatever else a killed sealer left is not in it and
is overwritten by the next.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from watchbill.core.errors import LedgerError
from watchbill.ledger import files
from watchbill.ledger.files import Mark
from watchbill.ledger.keys import day_name
from watchbill.ledger.merkle import Frontier

NAME: Final = "segments.json"
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Segment:
    """One sealed run of consecutive seqs.

    Attributes:
        day: UTC day of arrival, days since 1970.
        first: first seq.
        last: last seq (included).
        digests: BLAKE2b-128 of each file, by its ending ("parquet", "waybill.idx" ...), as hex.
        arrival: (lowest, highest) arrival, epoch milliseconds.
    """

    day: int
    first: int
    last: int
    digests: dict[str, str]
    arrival: tuple[int, int]

    @property
    def rows(self) -> int:
        """Records in it."""
        return self.last - self.first + 1

    def path(self, home: Path, ending: str = "parquet") -> Path:
        """The segment's file with this ending."""
        return home / files.SEGMENTS / day_name(self.day) / f"{self.first:020d}-{self.last:020d}.{ending}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is sealed.

    Attributes:
        segments: in order of seq, without a gap from 0.
        frontier: the tree after them (`Frontier.to_bytes`).
        cursor: journal position behind the last frame whose quarantined lines are kept aside.
        quarantine_bytes: length of quarantine.ndjson that counts.
    """

    segments: tuple[Segment, ...] = ()
    frontier: bytes = field(default_factory=lambda: Frontier().to_bytes())
    cursor: Mark = field(default_factory=lambda: Mark(0, 0, 0, 0))
    quarantine_bytes: int = 0

    @property
    def sealed(self) -> int:
        """Next seq that is not sealed."""
        return self.segments[-1].last + 1 if self.segments else 0

    def with_segment(self, segment: Segment, frontier: bytes) -> Manifest:
        """This manifest and one segment more."""
        return replace(self, segments=(*self.segments, segment), frontier=frontier)


def load(home: Path) -> Manifest:
    """Read the manifest; an empty one when nothing was sealed yet.

    Raises:
        LedgerError: it is damaged.
    """
    path = home / NAME
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return Manifest()
    head, _, body = raw.partition(b"\n")
    if head != _digest(body).encode():
        raise LedgerError("the manifest of segments does not match its checksum", where=str(path), todo="Run verify")
    try:
        return _from_json(json.loads(body))
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerError("the manifest of segments cannot be read", where=str(path), todo="Run verify") from error


def save(home: Path, manifest: Manifest) -> None:
    """Replace the manifest in one step."""
    body = json.dumps(
        {
            "version": VERSION,
            "sealed": manifest.sealed,
            "frontier": manifest.frontier.hex(),
            "cursor": asdict(manifest.cursor),
            "quarantine_bytes": manifest.quarantine_bytes,
            "segments": [asdict(segment) for segment in manifest.segments],
        },
        separators=(",", ":"),
    ).encode()
    files.write_atomic(home / NAME, _digest(body).encode() + b"\n" + body)


def _digest(body: bytes) -> str:
    return blake2b(body, digest_size=16).hexdigest()


def _from_json(data: dict[str, Any]) -> Manifest:
    if data["version"] != VERSION:
        raise LedgerError(f"a manifest of version {data['version']}", todo="Use a newer Watchbill to read it")
    segments = tuple(
        Segment(item["day"], item["first"], item["last"], item["digests"], (item["arrival"][0], item["arrival"][1]))
        for item in data["segments"]
    )
    return Manifest(segments, bytes.fromhex(data["frontier"]), Mark(**data["cursor"]), data["quarantine_bytes"])
