"""The home that a command means, and JSON as people's programs read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from watchbill.commands.common import home_of, print_json


def test_the_home_is_the_option_then_the_environment_then_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHBILL_HOME", "/data/w")
    assert home_of(Path("mine")) == Path("mine")
    assert home_of(None) == Path("/data/w")
    monkeypatch.setenv("WATCHBILL_HOME", "")
    assert home_of(None) == Path("watchbill-home")
    monkeypatch.delenv("WATCHBILL_HOME")
    assert home_of(None) == Path("watchbill-home")


def test_json_is_one_document_with_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"account": "张三", "left": None, "list": [1, 2.5, True]}
    print_json(value)
    out = capsys.readouterr().out
    assert json.loads(out) == value
    assert "张三" in out
