"""Stored levels equal the tree hashed from its leaves, in any steps of growth; tiles are named as C2SP names them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.errors import LedgerError
from watchbill.ledger import merkle, tiles

COUNT = 70_000
LEAVES = b"".join(sha256(number.to_bytes(4, "big")).digest() for number in range(COUNT))


def grow(home: Path, sizes: list[int]) -> merkle.Frontier:
    frontier, before = merkle.Frontier(), 0
    for size in sizes:
        part = LEAVES[32 * before : 32 * size]
        tiles.write_hashes(home, before, part, frontier.append(part))
        before = size
    return frontier


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    grow(folder, [1, 255, 256, 300, 65_535, 65_537, COUNT])
    return folder


def test_sizes_are_those_of_the_specification(grown: Path) -> None:
    # c2sp.org/tlog-tiles: 70,000 leaves are 273 full and one partial (112) level 0 tiles, one full and one partial (17) level 1
    # tile, and one partial (1) level 2 tile
    assert [tiles.level_path(grown, level).stat().st_size // 32 for level in range(3)] == [70_000, 273, 1]
    with tiles.TreeHashes(grown, COUNT) as tree:
        assert [len(tree.tile(0, 272)) // 32, len(tree.tile(0, 273)) // 32] == [256, 112]
        assert [len(tree.tile(1, 0)) // 32, len(tree.tile(1, 1)) // 32, len(tree.tile(2, 0)) // 32] == [256, 17, 1]
        for level, number in ((0, 274), (1, 2), (2, 1), (3, 0), (0, -1), (-1, 0), (64, 0)):
            with pytest.raises(LedgerError):
                tree.tile(level, number)


@given(st.integers(0, 16), st.data())
def test_a_node_is_the_root_of_its_leaves(grown: Path, level: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, (COUNT >> level) - 1))
    first = index << level
    row = LEAVES[32 * first : 32 * (first + (1 << level))]
    frontier = merkle.Frontier()
    frontier.append(row)
    with tiles.TreeHashes(grown, COUNT) as tree:
        assert tree.node(level, index) == frontier.root()


@given(st.lists(st.integers(1, 3_000), max_size=5))
def test_steps_of_growth_change_nothing(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    folder = tmp_path_factory.mktemp("steps")
    grow(folder, [*sorted(set(cuts)), 3_001])
    whole = tmp_path_factory.mktemp("whole")
    grow(whole, [3_001])
    for level in range(2):
        assert tiles.level_path(folder, level).read_bytes() == tiles.level_path(whole, level).read_bytes()


def test_proofs_from_stored_levels(grown: Path) -> None:
    with tiles.TreeHashes(grown, COUNT) as tree:
        root = merkle.range_root(0, COUNT, tree.node)
        for index in (0, 255, 256, 65_535, 65_536, COUNT - 1):
            path = merkle.inclusion_path(index, COUNT, tree.node)
            assert merkle.verify_inclusion(index, COUNT, tree.leaf(index), path, root)
        for size in (1, 256, 300, 65_536, COUNT):
            path = merkle.consistency_path(size, COUNT, tree.node)
            older = merkle.range_root(0, size, tree.node)
            assert merkle.verify_consistency(size, COUNT, older, root, path)
        with pytest.raises(LedgerError):
            tree.node(17, 0)
        with pytest.raises(LedgerError):
            merkle.consistency_path(0, COUNT, tree.node)


def test_a_home_of_an_older_release_gets_its_levels(grown: Path, tmp_path: Path) -> None:
    tiles.write_at(tiles.level_path(tmp_path, 0), 0, LEAVES)
    with tiles.TreeHashes(tmp_path, COUNT) as tree, tiles.TreeHashes(grown, COUNT) as other:
        assert tree.node(9, 3) == other.node(9, 3)
    tiles.fill_levels(tmp_path, COUNT)
    for level in (1, 2):
        assert tiles.level_path(tmp_path, level).read_bytes() == tiles.level_path(grown, level).read_bytes()
    tiles.level_path(tmp_path, 1).write_bytes(tiles.level_path(grown, 1).read_bytes()[:320])
    tiles.fill_levels(tmp_path, COUNT)
    assert tiles.level_path(tmp_path, 1).read_bytes() == tiles.level_path(grown, 1).read_bytes()


def test_missing_hashes_are_told(tmp_path: Path) -> None:
    with tiles.TreeHashes(tmp_path, 10) as tree, pytest.raises(LedgerError):
        tree.leaf(0)
    tiles.write_at(tiles.level_path(tmp_path, 0), 0, LEAVES[:64])
    with tiles.TreeHashes(tmp_path, 10) as tree, pytest.raises(LedgerError):
        tree.leaf(5)


def test_tiles_are_named_as_c2sp_names_them() -> None:
    assert tiles.tile_path(0, 1_234_067) == "tile/0/x001/x234/067"
    assert tiles.tile_path(1, 0, 17) == "tile/1/000.p/17"
    assert tiles.tile_path(2, 999) == "tile/2/999"
