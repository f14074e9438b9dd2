from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watchbill.core.settings import Settings
from watchbill.inquiry.rings import others
from watchbill.lab.attacks.base import AttackSpec
from watchbill.lab.simulator.settings import HonestStress
from watchbill.lab.simulator.world import build_world
from watchbill.runners.local import replay
from watchbill.sources.base import open_source


@pytest.fixture(scope="module")
def seed_case(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The seed case in small: five numbers in turn on two devices; the home, and the numbers."""
    folder = tmp_path_factory.mktemp("seed-case")
    world = build_world(
        folder / "w", seed=23, days=2, outlets=6, scale=0.3, honest_stress=HonestStress.none(),
        attacks=[AttackSpec("numbers_in_turn", day=1, params={"looks_turn": 40})],
    )  # fmt: skip
    source = open_source("files", {"paths": [str(world.out / "records")]})
    replay([source], folder / "home", folder / "out", Settings(), reference=world.out / "reference")
    return folder / "home", list(world.attacks[0]["accounts"])


def test_two_known_numbers_name_the_other_three_and_nobody_else(
    seed_case: tuple[Path, list[str]], run: Callable[..., Any]
) -> None:
    home, ring = seed_case
    said = run("ring", *ring[:2], "--home", home, "--json").json
    assert {one["account"] for one in said["named"]} == set(ring[2:])
    assert said["near"] == []
    assert said["height"] > 0
    assert all("one after another" in one["reasons"][0] for one in said["named"])
    assert set(others(home, ring[:2])) == set(ring[2:])
    told = run("ring", *ring[:2], "--home", home).out
    assert "3 accounts named" in told
    assert ring[2] in told


def test_an_honest_account_has_no_ring(seed_case: tuple[Path, list[str]], run: Callable[..., Any]) -> None:
    home, ring = seed_case
    said = run("ring", "nobody", "--home", home, "--json").json
    assert said["named"] == said["near"] == []
    early = run("ring", *ring[:2], "--to", "2025-03-03", "--home", home, "--json").json
    assert early["named"] == []
