"""A program of one's own: no shell, small environment, bounded in time, silent."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from watchbill.core.errors import ActionError, SettingsError
from watchbill.responses.base import Around, Order, open_action

ORDER = Order("msg_1", "apply", "step", "suspend", 1_750_000_000_000, None, "c7", "E1; touch /tmp/x")
AROUND = Around(Path("nowhere"), lambda: 0, lambda: 0.0)


def run(*argv: str, **settings: Any) -> None:
    open_action("it", {"kind": "command", "argv": list(argv), **settings}, AROUND).apply(ORDER)


def test_words_go_to_the_program_as_they_are_and_the_event_to_its_input(tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = "import json,os,sys; open(sys.argv[1],'w').write(json.dumps([sys.argv[2:], sys.stdin.read(), dict(os.environ)]))"
    os.environ["WATCHBILL_TEST_KEEP"] = "kept"
    os.environ["WATCHBILL_TEST_DROP"] = "dropped"
    try:
        run(sys.executable, "-c", code, str(out), "$HOME; `id`", environment=["WATCHBILL_TEST_KEEP"])
    finally:
        del os.environ["WATCHBILL_TEST_KEEP"], os.environ["WATCHBILL_TEST_DROP"]
    words, told, environment = json.loads(out.read_text())
    assert words == ["$HOME; `id`"]
    assert json.loads(told)["data"]["account"] == "E1; touch /tmp/x"
    assert set(environment) - {"LC_CTYPE"} == {"PATH", "LANG", "WATCHBILL_TEST_KEEP"}


def test_what_it_prints_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ActionError) as told:
        run(sys.executable, "-c", "import sys; print(sys.stdin.read()); sys.exit('E1 failed')")
    assert capfd.readouterr() == ("", "")
    assert "E1" not in str(told.value)
    assert "code 1" in str(told.value)


def test_one_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    code = "import subprocess,sys,time; subprocess.Popen([sys.executable,'-c',sys.argv[1],sys.argv[2]]); time.sleep(60)"
    child = "import sys,time; time.sleep(1.5); open(sys.argv[1],'w')"
    began = time.monotonic()
    with pytest.raises(ActionError, match="killed"):
        run(sys.executable, "-c", code, child, str(tmp_path / "late"), timeout_seconds=0.6)
    assert time.monotonic() - began < 10
    time.sleep(1.6)
    assert not (tmp_path / "late").exists()


def test_one_that_reads_nothing_is_no_failure() -> None:
    run("true")


def test_one_that_is_not_there() -> None:
    with pytest.raises(ActionError, match="cannot be started"):
        run("/nonexistent/program")


@pytest.mark.parametrize("argv", [[], [""], ["./here"], ["sub/there"], ["true", "a\0b"]])
def test_programs_that_are_not_started(argv: list[str]) -> None:
    with pytest.raises(SettingsError, match="argv"):
        run(*argv)
