"""Kill -9 at any moment: what was acknowledged is there, and the outputs equal those of a run nobody disturbed."""

from __future__ import annotations

import random
import signal
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from runners.small import said, start_replay
from watchbill.ledger.reader import Ledger

if TYPE_CHECKING:
    from pathlib import Path

SEED = 20261122


@cache
def _undisturbed(root: str) -> tuple[dict[str, Any], float]:
    from pathlib import Path

    began = time.monotonic()
    process = start_replay(Path(root) / "home", Path(root) / "out")
    _, told = process.communicate(timeout=110)
    assert process.returncode == 0, told
    return said(Path(root) / "out"), time.monotonic() - began


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an uninterrupted replay said."""
    return _undisturbed(str(tmp_path_factory.mktemp("calm")))[0]


@pytest.mark.timeout(600)  # a dozen starts, on a busy machine with nothing compiled yet
def test_killed_again_and_again(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    """Killed after a random number of batches, ten times; then left to finish."""
    rng = random.Random(SEED)
    home, out = tmp_path / "home", tmp_path / "out"
    acknowledged = 0
    for _ in range(10):
        process = start_replay(home, out, rows=rng.choice([700, 4096, 20_000]))
        assert process.stdout is not None
        for _ in range(rng.randint(1, 4)):
            line = process.stdout.readline().strip()
            if not line.isdigit():
                break
            acknowledged = max(acknowledged, int(line))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert Ledger(home).height >= acknowledged, f"an acknowledged record is lost (seed {SEED})"
    process = start_replay(home, out)
    _, told = process.communicate(timeout=110)
    assert process.returncode == 0, told
    again = said(out)
    for part, value in undisturbed.items():
        assert again[part] == value, f"{part} differ after kills (seed {SEED})"


@pytest.mark.parametrize("rows", [997, 50_000])
def test_any_cut_into_batches(tmp_path: Path, undisturbed: dict[str, Any], rows: int) -> None:
    """Other batch sizes change nothing that is said, nor the root."""
    process = start_replay(tmp_path / "home", tmp_path / "out", rows=rows, every=1000)
    _, told = process.communicate(timeout=110)
    assert process.returncode == 0, told
    assert said(tmp_path / "out") == undisturbed


def test_a_second_replay_takes_nothing_twice(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    """The same command on a finished home changes nothing."""
    for _ in range(2):
        process = start_replay(tmp_path / "home", tmp_path / "out")
        _, told = process.communicate(timeout=110)
        assert process.returncode == 0, told
        assert said(tmp_path / "out") == undisturbed
