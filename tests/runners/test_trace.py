from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from runners.small import small_world
from watchbill.context.events import EVENT, LOOK
from watchbill.core.settings import Settings
from watchbill.responses.presence import WHENCE
from watchbill.runners.local import replay
from watchbill.runners.trace import SCORES, Trace, kept_fields, read_trace
from watchbill.sources.base import open_source


def test_what_is_written_is_read(tmp_path: Path) -> None:
    events = np.zeros(5, EVENT)
    events["seq"], events["role"], events["account"] = np.arange(5), [0, 1, 0, 2, 1], [3, 1, 4, 1, 5]
    numbers = [(np.arange(5) / k).astype(np.float32) for k in (1, 4)]
    kinds = np.array([0, 1, 0, 0, 1], np.uint8)
    whence = np.zeros(5, WHENCE)
    whence["device"], whence["how"] = np.uint64(2**64 - 1) - np.arange(5, dtype=np.uint64), np.arange(5)
    trace = Trace(tmp_path / "t.parquet")
    for part in (slice(0, 3), slice(3, 3), slice(3, 5)):
        one, other = (column[part] for column in numbers)
        trace.write(events[part], one, other, np.array([1, 0, 1], np.uint8), other, one, kinds[part], whence[part])
    trace.close()
    pieces = list(read_trace(tmp_path / "t.parquet"))
    for name in kept_fields():
        assert np.concatenate([rows[name] for rows, _ in pieces]).tolist() == events[name].tolist()
    found = {name: np.concatenate([scores[name] for _, scores in pieces]) for name in SCORES}
    assert found["guarantee"].tolist() == numbers[0].tolist()
    assert found["left"].tolist() == numbers[1].tolist()
    assert found["may"].tolist() == [1, 0, 1, 1, 0]
    assert found["sure"].tolist() == numbers[1].tolist()
    assert found["evidence"].tolist() == kinds.tolist()
    assert found["joined"].tolist() == numbers[0].tolist()
    assert {name: found[f"whence.{name}"].tolist() for name in WHENCE.names or ()} == {
        name: whence[name].tolist() for name in WHENCE.names or ()
    }


def test_nothing_written_is_nothing_to_read(tmp_path: Path) -> None:
    Trace(tmp_path / "t.parquet").close()
    assert list(read_trace(tmp_path / "t.parquet")) == []


def test_a_replay_traces_each_look_once_and_names_nobody(tmp_path: Path) -> None:
    world = small_world()
    source = open_source("files", {"kind": "files", "paths": [str(world / "records")]})
    replay(
        [source],
        tmp_path / "home",
        tmp_path / "out",
        Settings(),
        reference=world / "reference",
        trace=tmp_path / "t.parquet",
    )
    verdicts = pq.read_table(tmp_path / "out" / "verdicts.parquet", columns=["seq", "left"])
    looks = np.concatenate([rows["seq"][rows["kind"] == LOOK] for rows, _ in read_trace(tmp_path / "t.parquet")])
    assert looks.tolist() == verdicts.column("seq").to_pylist()
    assert all(str(kind) not in {"string", "large_string"} for kind in pq.read_schema(tmp_path / "t.parquet").types)
