"""A small carrier with one rented account, replayed into a home once; commands are run on it as a person would."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from watchbill import cli
from watchbill.core.settings import Settings
from watchbill.lab.attacks.base import AttackSpec
from watchbill.lab.simulator.settings import HonestStress
from watchbill.lab.simulator.world import WorldReport, build_world
from watchbill.runners.local import replay
from watchbill.sources.base import open_source

BAD = [
    b'{"kind":"view","account":"E1","device":"D","time":"yesterday"}\n',
    b"not json\n",
]


@dataclass
class Told:
    """What a command said: exit code, standard output and error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Told]:
    """A function (words of the command line) -> Told."""
    monkeypatch.setenv("COLUMNS", "200")
    mounted: list[bool] = []

    def command(*words: object) -> Told:
        if mounted:
            monkeypatch.setattr(cli, "_mount", lambda: None)
        mounted.append(True)
        monkeypatch.setattr(sys, "argv", ["watchbill", *map(str, words)])
        capsys.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return Told(code, said.out, said.err)

    return command


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> WorldReport:
    """Two days of a small carrier; one account is rented out on the second."""
    return build_world(
        tmp_path_factory.mktemp("carrier") / "w", seed=21, days=2, outlets=6, scale=0.4,
        attacks=[AttackSpec("blatant_lease", day=1)], honest_stress=HonestStress.none(),
    )  # fmt: skip


@pytest.fixture(scope="session")
def home(world: WorldReport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home after a replay of that world, with two refused lines at the end."""
    folder = tmp_path_factory.mktemp("home")
    bad = folder / "bad.ndjson"
    bad.write_bytes(b"".join(BAD))
    sources = [
        open_source("files", {"paths": [str(world.out / "records")]}),
        open_source("late", {"paths": [str(bad)]}),
    ]
    replay(sources, folder / "home", folder / "out", Settings(), reference=world.out / "reference")
    return folder / "home"
