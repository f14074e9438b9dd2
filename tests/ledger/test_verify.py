"""Verify finds one changed byte anywhere, names the seq, and imports nothing of ours."""

from __future__ import annotations

import ast
import random
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from watchbill.ledger import manifest, rehash
from watchbill.ledger import verify as module
from watchbill.ledger.sealing import seal
from watchbill.ledger.verify import verify

COUNTED = (
    "journal/*.wbj",
    "journal/durable",
    "segments/*/*",
    "tree/*",
    "checkpoints/*",
    "segments.json",
    "keys/days/*",
    "keys/origin.pub",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make: Any, fill: Any) -> Path:
    folder = tmp_path_factory.mktemp("home")
    fill(folder, make(700, days=1.5), 50)
    seal(folder, rows_max=200, upto=300, final=True)
    seal(folder, rows_max=200, upto=600, final=True)
    return folder


@pytest.fixture
def copy(home: Path, tmp_path: Path) -> Path:
    shutil.copytree(home, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_whole_home_is_well(home: Path) -> None:
    told: list[tuple[int, int]] = []
    report = verify(home, lambda done, total: told.append((done, total)))
    assert (report.ok, report.first_bad, report.reason) == (True, None, "")
    assert (report.height, report.sealed) == (700, 600)
    assert "\n600\n" in report.checkpoint
    assert told[-1] == (600, 600)


@pytest.mark.parametrize("pattern", COUNTED)
def test_one_changed_byte_is_found(copy: Path, pattern: str) -> None:
    rng = random.Random(pattern)
    paths = sorted(copy.glob(pattern))
    assert paths
    for _ in range(12):
        path = rng.choice(paths)
        data = path.read_bytes()
        at = rng.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ rng.randrange(1, 256)]) + data[at + 1 :])
        report = verify(copy)
        assert not report.ok, f"{path.name} at {at} of {len(data)}"
        assert report.first_bad is not None
        assert report.reason
        path.write_bytes(data)
    assert verify(copy).ok


def test_a_changed_leaf_names_its_seq(copy: Path) -> None:
    path = copy / "tree" / "leaves"
    data = bytearray(path.read_bytes())
    data[32 * 417 + 5] ^= 4
    path.write_bytes(data)
    assert verify(copy).first_bad == 417


def test_a_changed_value_names_its_seq_even_when_digests_are_made_to_fit(copy: Path) -> None:
    found = manifest.load(copy)
    segment = found.segments[1]
    path = segment.path(copy)
    table = pq.read_table(path, partitioning=None)
    row = 50
    outcomes = table["source"].to_pylist()
    outcomes[row] = "api2"
    seq = table["seq"][row].as_py()
    pq.write_table(table.set_column(0, "source", [outcomes]), path)
    segment.digests["parquet"] = module.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    manifest.save(copy, found)
    report = verify(copy)
    assert (report.first_bad, report.reason) == (seq, "a record and its leaf differ")


@pytest.mark.parametrize(
    "harm",
    [
        lambda home: sorted((home / "journal").glob("*.wbj"))[1].unlink(),
        lambda home: max((home / "journal").glob("*.wbj")).unlink(),
        lambda home: (home / "segments.json").unlink(),
        lambda home: (home / "tree" / "leaves").unlink(),
        lambda home: (home / "tree" / "level-1").unlink(),
        lambda home: shutil.rmtree(home / "checkpoints"),
        lambda home: next((home / "segments").rglob("*.parquet")).unlink(),
        lambda home: next((home / "segments").rglob("*.idx")).unlink(),
        lambda home: (home / "quarantine.ndjson").write_bytes(b""),
        lambda home: (home / "journal" / "durable").unlink(),
    ],
)
def test_a_missing_file_is_found(copy: Path, harm: Callable[[Path], None]) -> None:
    harm(copy)
    report = verify(copy)
    assert not report.ok
    assert report.first_bad is not None


def test_a_journal_that_is_gone_is_found_though_all_is_sealed(copy: Path) -> None:
    seal(copy, rows_max=200, upto=700, final=True)
    assert verify(copy).ok
    for path in (copy / "journal").glob("*.wbj"):
        path.unlink()
    assert verify(copy).reason == "journal files are missing"


def test_an_unfinished_write_is_no_damage(copy: Path) -> None:
    with max((copy / "journal").glob("*.wbj")).open("ab") as file:
        file.write(b"WBJF and then the power went")
    assert verify(copy).ok


def test_it_stands_alone() -> None:
    for source in (module, rehash):
        tree = ast.parse(Path(str(source.__file__)).read_text())
        names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        ours = [name for name in names if name.startswith(("watchbill", "numpy", "numba"))]
        assert ours == (["watchbill.ledger.rehash"] if source is module else [])


@pytest.mark.parametrize("processes", [2, 3])
def test_several_processes_say_the_same(copy: Path, processes: int) -> None:
    assert verify(copy, processes=processes) == verify(copy)
    leaves = copy / "tree" / "leaves"
    data = bytearray(leaves.read_bytes())
    data[32 * 417 + 5] ^= 4
    leaves.write_bytes(data)
    assert verify(copy, processes=processes) == verify(copy)
    assert verify(copy, processes=processes).first_bad == 417


def test_its_encoder_equals_the_ledgers(make: Any) -> None:
    from watchbill.ledger.canonical import canonical

    table = make(500).append_column("seq", [list(range(500))])
    data, ends = canonical(table, None)
    texts = [data[start:end].tobytes() for start, end in pairwise(ends)]
    inner = [text for batch in table.to_batches() for text in rehash.canonical(batch).to_pylist()]
    assert [b"{%b}" % text[1:] for text in inner] == texts
