"""The local runner: places that cannot be, interruption between batches, several sources, retried lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from runners.test_engine import START, batch, ids, look
from watchbill.core.errors import LedgerBusy, SettingsError, SourceError
from watchbill.core.settings import Settings
from watchbill.ledger.journal import Journal
from watchbill.ledger.verify import verify
from watchbill.records.batch import Batch
from watchbill.runners.clock import ManualClock
from watchbill.runners.local import Progress, check_places, ingest_lines, masking_of, replay
from watchbill.sources.base import open_source


class Listed:
    """A source of given batches; the position is the number of the next one."""

    def __init__(self, name: str, *batches: list[dict[str, Any]], fails: bool = False) -> None:
        self.name, self.batches, self.fails = name, batches, fails

    def read(self, position: Mapping[str, object] | None, *, stop: Callable[[], bool]) -> Iterator[Batch]:  # noqa: ARG002
        first = int(str(position["line"])) if position else 0
        for number, rows in list(enumerate(self.batches))[first:]:
            yield batch(*rows, source=self.name, position=number + 1)
        if self.fails:
            raise SourceError("the disk is gone", where=self.name)


BATCHES = [[look(10 * n + m) for m in range(5)] for n in range(4)]


def run(tmp_path: Path, *sources: Listed, stop_after: int = 100) -> Any:
    """A replay that is asked to stop after some batches."""
    seen: list[int] = []
    telling = Progress(on_batch=lambda engine, _: seen.append(engine.done), stop=lambda: len(seen) >= stop_after)
    return replay(
        list(sources), tmp_path / "home", tmp_path / "out", Settings(), clock=ManualClock(START), progress=telling
    )


def test_stopped_between_batches_it_goes_on_to_the_same_result(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", Listed("desk", *BATCHES))
    assert whole.finished
    parts = [run(tmp_path / "parts", Listed("desk", *BATCHES), stop_after=1) for _ in range(2)]
    assert [part.finished for part in parts] == [False] * 2
    assert [part.summary["looks"] for part in parts] == [5, 10]
    last = run(tmp_path / "parts", Listed("desk", *BATCHES))
    assert last.finished
    for name in ("records", "looks", "decisions", "cases", "interventions", "ledger_root", "ledger_height", "sources"):
        assert last.summary[name] == whole.summary[name], name
    for name in ("cases.ndjson", "interventions.ndjson", "quarantine.ndjson"):
        assert (tmp_path / "parts" / "out" / name).read_bytes() == (tmp_path / "whole" / "out" / name).read_bytes()


def test_a_source_that_fails_leaves_what_was_taken_in(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="the disk is gone"):
        run(tmp_path, Listed("desk", *BATCHES[:2], fails=True))
    assert len(ids(tmp_path / "home")) == 10
    assert verify(tmp_path / "home").ok
    assert run(tmp_path, Listed("desk", *BATCHES)).summary["looks"] == 20


def test_sources_are_read_in_order_and_each_goes_on_where_it_was(tmp_path: Path) -> None:
    first, second = Listed("desk", *BATCHES[:2]), Listed("hub", *BATCHES[2:])
    assert run(tmp_path, first, second, stop_after=3).finished is False
    ran = run(tmp_path, first, second)
    assert (ran.finished, ran.summary["looks"]) == (True, 20)
    assert list(ran.summary["sources"]) == ["desk", "hub"]
    assert ids(tmp_path / "home") == [row["id"] for rows in BATCHES for row in rows]


def test_places_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home, out, what in (
        (tmp_path / "file", tmp_path / "o", "is not a folder"),
        (tmp_path / "h", tmp_path / "file", "is not a folder"),
        (tmp_path / "h", tmp_path / "x" / ".." / "h", "same folder"),
    ):
        with pytest.raises(SettingsError, match=what):
            check_places(home, out)
    check_places(tmp_path / "h", tmp_path / "h" / "out")


def test_the_masking_of_a_source_is_what_its_settings_say(tmp_path: Path) -> None:
    table = {"paths": [str(tmp_path)]}
    assert masking_of(open_source("a", table)) == "known"
    assert masking_of(open_source("a", table | {"masking": "unknown"})) == "unknown"
    assert masking_of(Listed("a")) == "known"


def test_lines_that_were_refused_once_are_taken_in_once(tmp_path: Path) -> None:
    lines = [(f"f.log@1234:{n}", json.dumps(look(n)).encode()) for n in (7, 9)]
    assert ingest_lines(tmp_path, "desk", lines) == 2
    assert ingest_lines(tmp_path, "desk", [*lines, ("f.log@1234:11", b"not json")]) == 0
    assert ids(tmp_path) == ["r7", "r9"]
    with Journal.open(tmp_path), pytest.raises(LedgerBusy):
        ingest_lines(tmp_path, "desk", lines)


def test_peak_memory_is_this_process_own() -> None:
    """Not what a large parent once held: ru_maxrss survives exec."""
    import subprocess
    import sys

    ballast = bytearray(300 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    script = "from watchbill.runners.local import peak_memory_bytes as p; print(p())"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert 20 << 20 < int(told) < 300 << 20
    del ballast
