"""A segment hashed again gives the ledger's own leaves, whole or in pieces, here or in another process."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from watchbill.ledger import manifest, merkle, rehash
from watchbill.ledger.sealing import seal


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make: Any, fill: Any) -> Path:
    folder = tmp_path_factory.mktemp("home")
    fill(folder, make(900, days=0.05), 100)
    seal(folder, final=True)
    return folder


def part(home: Path, first: int, last: int) -> rehash.Part:
    segment = json.loads((home / "segments.json").read_bytes().partition(b"\n")[2])["segments"][0]
    return rehash.Part(home, segment, first, last, first == 0)


@pytest.mark.parametrize(
    ("first", "last"), [(0, 899), (0, 300), (301, 899), (10, 20), (255, 256), (256, 511), (899, 899)]
)
def test_a_piece_gives_its_leaves_and_whole_tiles(home: Path, first: int, last: int) -> None:
    leaves = (home / "tree" / "leaves").read_bytes()
    read = rehash.read_part(part(home, first, last))
    assert (read.fault, read.gone, read.told) == (None, 0, 0)
    begin, end = first + len(read.head) // 32, last + 1 - len(read.tail) // 32
    assert read.head == leaves[32 * first : 32 * begin]
    assert read.tail == leaves[32 * end : 32 * (last + 1)]
    assert (end - begin) % 256 == 0
    tiles = range(begin, end, 256)
    assert read.row == b"".join(
        merkle.root_of([leaves[32 * i : 32 * i + 32] for i in range(at, at + 256)]) for at in tiles
    )
    assert not read.row or begin % 256 == 0


def test_as_a_program_it_answers_line_by_line(home: Path) -> None:
    asked = [part(home, 0, 449), part(home, 450, 899)]
    lines = [json.dumps({**asdict(one), "home": str(one.home)}).encode() for one in asked]
    sink = io.BytesIO()
    rehash.serve(lines, sink)
    sink.seek(0)
    for one in asked:
        told, here = json.loads(sink.readline()), rehash.read_part(one)
        assert [sink.read(size) for size in told["sizes"]] == [here.head, here.row, here.tail]
    assert list(rehash.read_parts(asked, 2)) == [rehash.read_part(one) for one in asked]


def test_a_missing_key_is_named(home: Path, tmp_path: Path) -> None:
    day = manifest.load(home).segments[0]
    key = next((home / "keys" / "days").glob("*.key"))
    kept = key.read_bytes()
    key.unlink()
    try:
        read = rehash.read_part(part(home, 3, 9))
    finally:
        key.write_bytes(kept)
    assert read.fault == (3, "the nonce of a record is missing")
    assert day.first == 0
