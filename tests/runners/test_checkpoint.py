"""Checkpoints that are damaged, too new, or that the disk does not take: what was acknowledged is there all the same."""

from __future__ import annotations

import errno
import json
import shutil
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runners.judged import opened
from runners.small import said, small_world
from runners.test_engine import START, batch, engine, ids, look
from watchbill.core.settings import Settings
from watchbill.runners import checkpoint as module
from watchbill.runners.checkpoint import VERSION, load_checkpoint, save_checkpoint
from watchbill.runners.engine import Engine
from watchbill.runners.local import replay
from watchbill.sources.base import open_source

STATE: dict[str, Any] = {
    "a/rows": np.arange(6, dtype=np.int32).reshape(2, 3),
    "b": np.zeros(0, np.uint64),
    "cells": np.zeros(2, np.dtype([("key", np.uint64), ("value", np.float32)])),
    "cases": [{"id": "c1", "posterior": 0.1 + 0.2, "名": "张三"}],
    "arrival": 1_750_000_000_123,
}


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Both hold the same."""
    assert set(one) == set(other)
    for name, value in one.items():
        if isinstance(value, np.ndarray):
            assert value.dtype == other[name].dtype
            np.testing.assert_array_equal(value, other[name])
        else:
            assert value == other[name]


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 42, STATE)
    found = load_checkpoint(tmp_path, 42)
    assert found is not None
    assert found[0] == 42
    same(found[1], STATE)


def test_the_newest_within_reach_is_taken_and_two_are_kept(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, 10) is None
    for height in (5, 7, 9):
        save_checkpoint(tmp_path, height, STATE | {"arrival": height})
    assert sorted(int(path.name) for path in (tmp_path / "state").iterdir()) == [7, 9]
    for highest, expected in ((100, 9), (9, 9), (8, 7), (6, None)):
        found = load_checkpoint(tmp_path, highest)
        assert (found and found[1]["arrival"]) == expected


@given(
    where=st.floats(0, 1, exclude_max=True),
    mask=st.integers(1, 255),
    name=st.sampled_from(["arrays.npz", "parts.json"]),
)
@settings(max_examples=60, deadline=None)
def test_a_flipped_byte_never_gives_another_state(
    tmp_path_factory: pytest.TempPathFactory, where: float, mask: int, name: str
) -> None:
    home = tmp_path_factory.mktemp("flip")
    place = save_checkpoint(home, 3, STATE) / name
    raw = bytearray(place.read_bytes())
    raw[int(where * len(raw))] ^= mask
    place.write_bytes(bytes(raw))
    found = load_checkpoint(home, 3)
    if found is not None:  # bytes that mean nothing (a time in the archive's directory, a blank)
        same(found[1], STATE)


def test_a_byte_of_the_archives_directory_never_loses_an_array(tmp_path: Path) -> None:
    """A zip's directory has no checksum of its own: every byte of its end is flipped."""
    place = save_checkpoint(tmp_path, 3, STATE) / "arrays.npz"
    raw = place.read_bytes()
    for back in range(1, 400):
        for mask in (1, 128):
            harmed = bytearray(raw)
            harmed[-back] ^= mask
            place.write_bytes(bytes(harmed))
            found = load_checkpoint(tmp_path, 3)
            if found is not None:
                same(found[1], STATE)


@given(st.integers(0, 2_000))
@settings(max_examples=30, deadline=None)
def test_a_cut_file_is_passed_over(tmp_path_factory: pytest.TempPathFactory, kept: int) -> None:
    home = tmp_path_factory.mktemp("cut")
    for name in ("arrays.npz", "parts.json"):
        place = save_checkpoint(home, 3, STATE) / name
        raw = place.read_bytes()
        place.write_bytes(raw[: min(kept, len(raw) - 1)])
        assert load_checkpoint(home, 3) is None


@pytest.mark.parametrize(
    "change", [{"version": VERSION + 1}, {"height": 4}, {"check": 0}, {"parts": []}, {"version": None}]
)
def test_another_version_or_another_height_is_passed_over(tmp_path: Path, change: dict[str, Any]) -> None:
    save_checkpoint(tmp_path, 2, STATE)
    place = save_checkpoint(tmp_path, 3, STATE) / "parts.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | change))
    found = load_checkpoint(tmp_path, 3)
    assert found is not None
    assert found[0] == 2


def test_a_disk_that_does_not_take_it_leaves_the_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, 2, STATE)
    monkeypatch.setattr(module.np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(tmp_path, 3, STATE)
    assert [path.name for path in (tmp_path / "state").iterdir()] == [f"{2:020d}"]


def full(*_: object, **__: object) -> None:
    """A disk without room."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_at_a_checkpoint_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = engine(tmp_path)
    said: list[str] = []
    one.on_full = said.append
    one.take(batch(look(1), look(2)))
    with monkeypatch.context() as patch:
        patch.setattr(module, "save_checkpoint", full)
        assert one.checkpoint() is False
    assert "No space" in said[0]
    one.take(batch(look(3)))
    one.close()  # as a crash would: no checkpoint was ever written
    two = engine(tmp_path)
    assert two.counts.looks == 3
    assert two.checkpoint() is True
    two.close()
    assert ids(tmp_path) == ["r1", "r2", "r3"]


def test_one_that_is_written_beside_is_what_stood_when_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, began = threading.Event(), threading.Event()

    def slow(home: Path, height: int, state: dict[str, Any]) -> Path:
        began.set()
        assert go.wait(20)
        return save_checkpoint(home, height, state)

    one = engine(tmp_path)
    one.take(batch(look(1), look(2)))
    monkeypatch.setattr(module, "save_checkpoint", slow)
    assert one.checkpoint(wait=False)
    assert began.wait(20)
    one.take(batch(look(3)))  # goes on meanwhile
    assert one.checkpoint(wait=False)  # and asks for no second one
    go.set()
    one.close()
    found = load_checkpoint(tmp_path, 100)
    assert found is not None
    assert (found[0], found[1]["counts"]["looks"], found[1]["positions"]) == (3, 2, {"desk": {"line": 0}})
    two = engine(tmp_path)
    assert two.counts.looks == 3
    two.close()


def test_a_full_disk_beside_is_told_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = engine(tmp_path)
    said: list[str] = []
    one.on_full = said.append
    one.take(batch(look(1)))
    with monkeypatch.context() as patch:
        patch.setattr(module, "save_checkpoint", full)
        assert one.checkpoint(wait=False)
        while one._writer.busy:
            time.sleep(0.01)
    assert one.checkpoint() is False
    assert "No space" in said[0]
    assert one.checkpoint() is True
    one.close()


def damage_newest(home: Path) -> None:
    """Half of the newest checkpoint's arrays are gone."""
    newest = max(path for path in (home / "state").iterdir() if path.name.isdigit())
    place = newest / "arrays.npz"
    place.write_bytes(place.read_bytes()[: place.stat().st_size // 2])


def remove_all(home: Path) -> None:
    """No checkpoint is left: the journal tells everything."""
    shutil.rmtree(home / "state")


def nothing(home: Path) -> None:
    """All is well."""


@pytest.mark.parametrize("harm", [nothing, damage_newest, remove_all])
def test_older_checkpoints_and_the_journal_give_the_same_state(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    one = engine(tmp_path)
    one.declare("desk", "unknown")
    for step in range(4):
        rows = [look(10 * step + number, time=START + step * 3_600_000 + number) for number in range(5)]
        one.take(batch(*rows, rows[0], {"kind": "view"}, position=step))
        if step < 3:
            one.checkpoint()
    said = state_of(one)
    one.close()
    harm(tmp_path)
    two = engine(tmp_path)
    assert state_of(two) == said
    two.take(batch(look(3, time=START + 3), look(99)))
    assert (two.counts.duplicates, two.counts.looks) == (5, 21)
    two.checkpoint()
    two.outputs.publish(tmp_path / "out")
    two.close()
    import pyarrow.parquet as pq

    assert pq.read_table(tmp_path / "out" / "verdicts.parquet").column("seq").to_pylist() == list(range(2, 23))


def state_of(one: Engine) -> dict[str, Any]:
    """What an engine knows of its home."""
    return {
        "counts": vars(one.counts), "positions": one.positions, "heard": one.heard, "masking": one.masking,
        "arrival": one.arrival, "done": one.done, "settings": one.kept.in_force,
    }  # fmt: skip


def test_frames_without_a_record_are_not_counted_again(tmp_path: Path) -> None:
    one = engine(tmp_path)
    one.take(batch(look(1)))
    one.take(batch({"kind": "view"}, look(1)))
    one.checkpoint()
    assert (one.counts.quarantined, one.counts.duplicates) == (1, 1)
    one.close()
    for _ in range(2):
        two = engine(tmp_path)
        assert (two.counts.quarantined, two.counts.duplicates) == (1, 1)
        two.checkpoint()
        two.close()


@pytest.mark.parametrize("harm", [damage_newest, remove_all])
def test_after_a_damaged_checkpoint_a_whole_replay_says_the_same(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    world = small_world(2, 3)
    home, out = tmp_path / "home", tmp_path / "out"

    def run() -> dict[str, Any]:
        source = open_source("files", {"paths": [str(world / "records")], "batch_rows": 2000})
        replay([source], home, out, Settings(), reference=world / "reference", checkpoint_seconds=0.05)
        return said(out)

    before = run()
    assert len(list((home / "parts").iterdir())) > 1, "checkpoints were written on the way"
    harm(home)
    after = run()
    for part, value in before.items():
        assert after[part] == value, part


LIFE = (
    "lines", "into", "apart", "reviewing", "assigned", "due", "due_set", "begun", "looked", "step", "notices", "delay", "appeals",
    "corrections", "history", "steps_listed",
)  # fmt: skip
"""Fields of a case that releases before the life of cases did not write."""


@pytest.mark.parametrize("version", [4, 5])
def test_a_state_of_an_older_version_loads_without_what_it_had_not(tmp_path: Path, version: int) -> None:
    made = opened(tmp_path)
    made.take(batch(look(21), look(22)))
    made.checkpoint()
    (number,) = made.pipeline.book.cases
    height, steps = made.done, made.pipeline.standing.copy()
    made.close()
    place = tmp_path / "state" / f"{height:020d}"
    saved = json.loads((place / "parts.json").read_text())
    with np.load(place / "arrays.npz") as arrays:
        older = {name: arrays[name] for name in arrays.files if version > 4 or name != "presence"}
    assert len(older) == len(arrays.files) - (version == 4)
    np.savez(place / "arrays.npz", **older)
    saved["version"], names = version, sorted(name.replace("|", "/") for name in older)
    for one in saved["parts"]["cases"]:
        for name in LIFE:
            del one[name]
    saved["check"] = zlib.crc32(json.dumps([saved["parts"], names], ensure_ascii=False).encode())
    (place / "parts.json").write_text(json.dumps(saved))
    found = load_checkpoint(tmp_path, height)
    assert found is not None
    assert found[0] == height
    again = engine(tmp_path)
    assert [one["what"] for one in again.pipeline.book.cases[number].history] == ["opened"]
    np.testing.assert_array_equal(again.pipeline.standing, steps)
    again.take(batch(look(22), look(23)))
    assert again.counts.duplicates == 1
    again.close()
    saved["version"] = 3
    (place / "parts.json").write_text(json.dumps(saved))
    found = load_checkpoint(tmp_path, height)
    assert found is None or found[0] < height
