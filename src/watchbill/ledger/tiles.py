"""The tree's hashes on disk: the leaves and every eighth level above them, so that a proof reads a few hashes, not all.

One flat file a level; a slice of 256 hashes of it is a hash tile of C2SP tlog-tiles, byte for byte. What lies beyond the
size that the manifest vouches for does not count.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from watchbill.core.errors import LedgerError
from watchbill.ledger import files
from watchbill.ledger.merkle import HASH_BYTES, TILE_LEVELS
from watchbill.ledger.sha import hash_pairs

WIDTH: Final = 1 << TILE_LEVELS
LEVEL_MAX: Final = 63
_CHUNK: Final = 1 << 12
"""Hashes of a level made in one go when a level is filled from the one below (32 MiB of them)."""
_TILES_MAX: Final = 2_048
"""Tiles kept with all their inner hashes while one tree is read: 32 MiB."""


def level_path(home: Path, level: int) -> Path:
    """The file of a tile level: 0 the leaves, 1 the roots of each 256 leaves, 2 of each 65,536 ..."""
    return home / files.TREE / ("leaves" if level == 0 else f"level-{level}")


def write_at(path: Path, offset: int, data: bytes) -> None:
    """Put data at this offset, cut what lies behind it, and make it durable."""
    files.make_directory(path.parent)
    new = not path.exists()
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        os.ftruncate(fd, offset)
        os.lseek(fd, offset, os.SEEK_SET)
        files.write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    if new:
        files.sync_directory(path.parent)


def write_hashes(home: Path, before: int, leaves: bytes, above: Mapping[int, bytes]) -> None:
    """Write what a tree of `before` leaves grew by: its leaves, and the hashes that `Frontier.append` gave."""
    write_at(level_path(home, 0), before * HASH_BYTES, leaves)
    for level, hashes in above.items():
        write_at(level_path(home, level), (before >> TILE_LEVELS * level) * HASH_BYTES, hashes)


def fill_levels(home: Path, size: int) -> None:
    """Make the levels that a home sealed by an older release lacks; nothing to do in any other."""
    level = 1
    while (due := size >> TILE_LEVELS * level) > 0:
        path = level_path(home, level)
        have = min(path.stat().st_size // HASH_BYTES if path.exists() else 0, due)
        with level_path(home, level - 1).open("rb") as below:
            while have < due:
                below.seek(have * WIDTH * HASH_BYTES)
                count = min(due - have, _CHUNK)
                row = below.read(count * WIDTH * HASH_BYTES)
                write_at(path, have * HASH_BYTES, _fold(row, TILE_LEVELS))
                have += count
        level += 1


def _fold(row: bytes, levels: int) -> bytes:
    """The row so many levels above a row of whole subtrees."""
    for _ in range(levels):
        row = hash_pairs(row, len(row) // (2 * HASH_BYTES))
    return row


class TreeHashes:
    """Reads subtree roots of a tree of `size` leaves; open it with `with`. `node` fits `merkle.inclusion_path`."""

    def __init__(self, home: Path, size: int) -> None:
        self.home = home
        self.size = size
        self._open: dict[int, int] = {}
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        for fd in self._open.values():
            os.close(fd)
        self._open = {}

    def leaf(self, index: int) -> bytes:
        """A leaf hash."""
        return self.node(0, index)

    def node(self, level: int, index: int) -> bytes:
        """Root of the full subtree over leaves [index << level, (index + 1) << level).

        Raises:
            LedgerError: it is not whole in a tree of this size, or its hashes are missing.
        """
        if level < 0 or index < 0 or (index + 1) << level > self.size:
            raise LedgerError(f"no full subtree {index} at level {level} in a tree of {self.size}")
        stored = level // TILE_LEVELS
        while stored > 0 and not level_path(self.home, stored).exists():
            stored -= 1
        below = level - TILE_LEVELS * stored
        number = index >> (TILE_LEVELS - below) if below <= TILE_LEVELS else 0
        if below > TILE_LEVELS or (number + 1) * WIDTH > self.size >> TILE_LEVELS * stored:
            return _fold(self.hashes(stored, index << below, 1 << below), below)
        at = (index - (number << (TILE_LEVELS - below))) * HASH_BYTES
        return self._inner(stored, number)[below][at : at + HASH_BYTES]

    def _inner(self, level: int, number: int) -> list[bytes]:
        """All rows of a whole tile, from its own hashes up to its root."""
        known = self._tiles.get((level, number))
        if known is None:
            known = [self.hashes(level, number * WIDTH, WIDTH)]
            for _ in range(TILE_LEVELS):
                known.append(_fold(known[-1], 1))
            if len(self._tiles) >= _TILES_MAX:
                self._tiles.pop(next(iter(self._tiles)))
            self._tiles[level, number] = known
        return known

    def hashes(self, level: int, first: int, count: int) -> bytes:
        """Consecutive hashes of a tile level, end to end.

        Raises:
            LedgerError: they are missing.
        """
        try:
            if level not in self._open:
                self._open[level] = os.open(level_path(self.home, level), os.O_RDONLY)
            row = os.pread(self._open[level], count * HASH_BYTES, first * HASH_BYTES)
        except OSError as error:
            raise LedgerError("hashes of the tree are missing", where=f"level {level}", todo="Run verify") from error
        if len(row) != count * HASH_BYTES:
            raise LedgerError("hashes of the tree are missing", where=f"level {level}", todo="Run verify")
        return row

    def tile(self, level: int, number: int) -> bytes:
        """One hash tile of C2SP tlog-tiles, whole or partial as the tree's size has it.

        Raises:
            LedgerError: the tree has no such tile.
        """
        held = self.size >> TILE_LEVELS * level if 0 <= level <= LEVEL_MAX else 0
        width = min(held - number * WIDTH, WIDTH)
        if width <= 0 or number < 0:
            raise LedgerError(f"no tile {number} at level {level} in a tree of {self.size}")
        return self.hashes(level, number * WIDTH, width)


def tile_path(level: int, number: int, width: int = WIDTH) -> str:
    """The name of a tile as C2SP tlog-tiles writes it: tile/<L>/x001/x234/067[.p/<W>]."""
    parts = [f"{number % 1000:03d}"]
    while number := number // 1000:
        parts.append(f"x{number % 1000:03d}")
    name = "/".join([f"tile/{level}", *parts[::-1]])
    return name if width == WIDTH else f"{name}.p/{width}"
