"""Files once and followed: every record exactly once, whatever happens to the files or to us."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
import zstandard

from watchbill.core.errors import SourceError
from watchbill.records.batch import Batch
from watchbill.sources.base import open_source
from watchbill.sources.files import FilesSource, Settings


def line(n: object, **more: object) -> bytes:
    return (
        json.dumps(
            {"id": str(n), "time": 1760000000000, "kind": "view", "account": "E1"} | more, separators=(",", ":")
        ).encode()
        + b"\n"
    )


def source(*paths: Path, **kwargs: Any) -> FilesSource:
    return FilesSource("s", Settings(paths=list(paths), **kwargs))


def ids(batches: list[Batch]) -> list[str]:
    return [i for b in batches for i in b.table.column("id").to_pylist()]


def refused(batches: list[Batch]) -> list[str]:
    return [f"{q.position} {q.reason}" for b in batches for q in b.quarantined]


def once(*paths: Path, position: dict[str, object] | None = None, **kwargs: Any) -> list[Batch]:
    return list(source(*paths, **kwargs).read(position, stop=lambda: False))


class Follower:
    """A followed source, looked at one scan at a time (no thread, no waiting)."""

    def __init__(self, *paths: Path, position: dict[str, object] | None = None) -> None:
        self.source = source(*paths, follow=True)
        self.source.read(position, stop=lambda: True).close()  # type: ignore[attr-defined]
        self.position = position

    def scan(self) -> list[str]:
        batches = list(self.source._scan(lambda: False))
        if batches:
            self.position = json.loads(json.dumps(batches[-1].position))
        return ids(batches) + refused(batches)


def test_every_format_gives_the_same_records(tmp_path: Path) -> None:
    data = b"".join(line(i, page=i, subjects=["a", "b"], zone="z") for i in range(50))
    (tmp_path / "a.ndjson").write_bytes(data)
    (whole,) = once(tmp_path / "a.ndjson")
    sent = whole.table.drop_columns(["source", "arrival", "extra"]).append_column("zone", pa.array(["z"] * 50))
    pq.write_table(sent, tmp_path / "b.parquet", row_group_size=20)
    with pa.ipc.new_file(str(tmp_path / "c.arrow"), sent.schema) as writer:
        writer.write_table(sent)
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(data))
    (tmp_path / "e.log.zst").write_bytes(zstandard.compress(data))
    (tmp_path / "f.parquet.gz").write_bytes(gzip.compress((tmp_path / "b.parquet").read_bytes()))
    rows = "".join(f'{i},1760000000000,view,E1,{i},"[""a"",""b""]",z\n' for i in range(50))
    (tmp_path / "g.csv").write_text("id,time,kind,account,page,subjects,zone\n" + rows)
    (tmp_path / "h.csv.gz").write_bytes(gzip.compress((tmp_path / "g.csv").read_bytes()))
    for path in sorted(tmp_path.iterdir()):
        batches = once(path)
        assert not refused(batches)
        assert pa.concat_tables([b.table for b in batches]).to_pylist() == whole.table.to_pylist(), path.name


def test_folders_by_path_and_unknown_names_said_once(tmp_path: Path) -> None:
    for name in ("b.ndjson", "a/z.ndjson", "a.ndjson", "B.ndjson", ".hidden.ndjson", ".git/x.ndjson"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(line(name))
    (tmp_path / "README").write_text("x")
    batches = once(tmp_path)
    assert ids(batches) == ["B.ndjson", "a.ndjson", "a/z.ndjson", "b.ndjson"]
    assert refused(batches) == ["README its format is not known by its name"]


@pytest.mark.parametrize("name", ["a.ndjson", "a.ndjson.gz", "a.csv", "a.parquet", "a.arrow.zst"])
def test_reading_goes_on_exactly_after_a_kill(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    table = pa.table({"id": [str(i) for i in range(40)], "time": [1760000000000] * 40, "kind": ["view"] * 40,
                      "account": ["E"] * 40})  # fmt: skip
    if "parquet" in name:
        pq.write_table(table, path)
    elif "arrow" in name:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, 7)
        path.write_bytes(zstandard.compress(sink.getvalue().to_pybytes()))
    elif "csv" in name:
        text = "\n".join(f'{i},1760000000000,view,"E,\n1"' for i in range(40))
        path.write_text("id,time,kind,account\n" + text)
    else:
        data = b"".join(line(i) for i in range(40))
        path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("watchbill.records.lines.BLOCK_BYTES", 300)
        patch.setattr("watchbill.records.lines.CHUNK_BYTES", 300)
        patch.setattr(
            "watchbill.records.lines.LineReader.__init__.__kwdefaults__", {"offset": 0, "line": 1, "chunk_bytes": 300}
        )
        whole = once(path, batch_rows=5)
        assert ids(whole) == [str(i) for i in range(40)]
        assert len(whole) > 3
        for k in range(len(whole)):
            position = json.loads(json.dumps(whole[k].position))
            rest = once(path, position=position, batch_rows=5)
            assert ids(whole[: k + 1]) + ids(rest) == ids(whole)
            assert not refused(rest)


def test_a_truncated_gzip_gives_what_it_has(tmp_path: Path) -> None:
    packed = gzip.compress(b"".join(line(i) for i in range(1000)), 0)
    (tmp_path / "a.ndjson.gz").write_bytes(packed[: len(packed) // 2])
    batches = once(tmp_path)
    found = ids(batches)
    assert found == [str(i) for i in range(len(found))]
    assert len(found) > 450
    assert len(refused(batches)) == 1
    assert "the gzip stream ends too early" in refused(batches)[0]
    again = once(tmp_path, position=batches[-1].position)
    assert ids(again) == []
    assert refused(again) == []


def test_damaged_typed_files_are_said_once(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nonsense")
    (tmp_path / "b.arrow").write_bytes(b"ARROW1 nonsense")
    (tmp_path / "c.parquet.gz").write_bytes(gzip.compress(b"x" * 5000)[:-9])
    (tmp_path / "d.csv").write_bytes(b"a,,b\n1,2,3\n")
    (tmp_path / "e.ndjson").write_bytes(line(1))
    batches = once(tmp_path)
    assert ids(batches) == ["1"]
    assert len(refused(batches)) == 4


def test_a_bad_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        once(tmp_path / "none.ndjson")
    for i in range(3):
        (tmp_path / f"{i}.ndjson").write_bytes(line(i))
    with pytest.raises(SourceError, match="files_max"):
        once(tmp_path, files_max=2)


def test_equal_files_are_read_both_when_read_once(tmp_path: Path) -> None:
    for name in ("a.ndjson", "b.ndjson"):
        (tmp_path / name).write_bytes(b'{"time":1760000000000,"kind":"view","account":"E1"}\n')
    first, second = ids(once(tmp_path))
    assert first.replace(":", "-2:") == second


@pytest.mark.parametrize("ending", [".ndjson", ".csv", ".ndjson.gz"])
def test_a_file_that_only_begins_like_one_that_was_read_is_another(tmp_path: Path, ending: str) -> None:
    """Exports of two days may begin with the same heartbeat or banner; neither may be lost."""

    def written(name: str, *numbers: int) -> Path:
        text = b"".join(line(n) for n in (0, *numbers))
        if ending == ".csv":
            rows = "".join(f"{n},1760000000000,view,E1\n" for n in (0, *numbers))
            text = f"id,time,kind,account\n{rows}".encode()
        path = tmp_path / f"{name}{ending}"
        path.write_bytes(gzip.compress(text) if ending.endswith("gz") else text)
        return path

    first = once(written("monday", *range(1, 9)))
    position = json.loads(json.dumps(first[-1].position))
    second = once(written("tuesday", *range(11, 30)), position=position)
    assert ids(second) == ["0", *map(str, range(11, 30))]
    (tmp_path / f"monday{ending}").rename(tmp_path / f"moved{ending}")
    assert ids(once(tmp_path / f"moved{ending}", position=position)) == []


def test_a_file_that_grew_since_it_was_read_once_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    append(path, 1, 2)
    first = once(path)
    assert ids(once(path, position=first[-1].position)) == []
    append(path, 3)
    second = once(path, position=first[-1].position)
    assert ids(second) == ["3"]
    assert ids(once(path, position=second[-1].position)) == []


def test_a_long_last_line_does_not_make_a_moved_file_new(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(line(1) + b"x" * (3 << 20))
    first = once(path)
    assert len(refused(first)) == 1
    path.rename(tmp_path / "b.ndjson")
    assert once(tmp_path / "b.ndjson", position=first[-1].position) == []


def test_growing_and_new_files(tmp_path: Path) -> None:
    follower = Follower(tmp_path)
    path = tmp_path / "a.log"
    assert follower.scan() == []
    path.write_bytes(line(1) + line(2)[:20])
    assert follower.scan() == ["1"]
    with path.open("ab") as file:
        file.write(line(2)[20:] + line(3))
    assert follower.scan() == ["2", "3"]
    assert follower.scan() == []
    (tmp_path / "b.log").write_bytes(line(4))
    assert follower.scan() == ["4"]
    resumed = Follower(tmp_path, position=follower.position)
    assert resumed.scan() == []


def append(path: Path, *numbers: int) -> None:
    with path.open("ab") as file:
        file.write(b"".join(line(n) for n in numbers))


@pytest.mark.parametrize("restart", [False, True])
def test_rotation_by_rename_and_compression(tmp_path: Path, restart: bool) -> None:
    path = tmp_path / "a.log"
    append(path, 1, 2)
    follower = Follower(tmp_path)
    assert follower.scan() == ["1", "2"]
    append(path, 3)
    path.rename(tmp_path / "a.log.1")
    append(path, 4)
    if restart:
        follower = Follower(tmp_path, position=follower.position)
    assert sorted(follower.scan()) == ["3", "4"]
    append(tmp_path / "a.log.1", 5)
    (tmp_path / "a.log.2.gz").write_bytes(gzip.compress((tmp_path / "a.log.1").read_bytes()))
    (tmp_path / "a.log.1").unlink()
    append(path, 6)
    assert sorted(follower.scan()) == ["5", "6"]
    assert follower.scan() == []


@pytest.mark.parametrize("seen_between", [False, True])
def test_rotation_by_copy_and_truncate(tmp_path: Path, seen_between: bool) -> None:
    path = tmp_path / "a.log"
    append(path, 1, 2)
    follower = Follower(tmp_path)
    assert follower.scan() == ["1", "2"]
    append(path, 3)
    (tmp_path / "a.log.1").write_bytes(path.read_bytes())
    found = follower.scan() if seen_between else []
    os.truncate(path, 0)
    append(path, 4)
    found += follower.scan()
    found += follower.scan()
    assert sorted(found) == ["3", "4"]


def test_truncated_and_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    append(path, 1, 2, 3)
    follower = Follower(tmp_path)
    assert follower.scan() == ["1", "2", "3"]
    path.write_bytes(line(7))
    assert follower.scan() == ["7"]
    path.write_bytes(b"")
    assert follower.scan() == []
    append(path, 8)
    assert follower.scan() == ["8"]


def test_a_gzip_being_written_is_looked_at_again(tmp_path: Path) -> None:
    packed = gzip.compress(b"".join(line(i) for i in range(200)), 0)
    path = tmp_path / "a.log.gz"
    path.write_bytes(packed[:9000])
    follower = Follower(tmp_path)
    first = follower.scan()
    assert not any("early" in text for text in first)
    path.write_bytes(packed)
    assert first + follower.scan() == [str(i) for i in range(200)]


def test_following_ends_when_told(tmp_path: Path) -> None:
    append(tmp_path / "a.log", 1)
    told: list[int] = []
    reading: Iterator[Batch] = source(tmp_path, follow=True, poll_seconds=0.01).read(None, stop=lambda: bool(told))
    assert ids([next(reading)]) == ["1"]
    append(tmp_path / "a.log", 2)
    assert ids([next(reading)]) == ["2"]
    told.append(1)
    assert list(reading) == []


def test_closing_a_followed_source_ends_its_thread(tmp_path: Path) -> None:
    append(tmp_path / "a.log", 1)
    before = threading.active_count()
    reading = source(tmp_path, follow=True, poll_seconds=3600).read(None, stop=lambda: False)
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_a_mapping_over_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("who,at_ms\nE1,1760000000000\nE2,x\n")
    sql = "SELECT 'login' AS kind, who AS account, CAST(at_ms AS BIGINT) AS time FROM input"
    batches = list(open_source("s", {"paths": [str(tmp_path)], "mapping": sql}).read(None, stop=lambda: False))
    assert [a for b in batches for a in b.table.column("account").to_pylist()] == ["E1"]
    assert len(refused(batches)) == 1
