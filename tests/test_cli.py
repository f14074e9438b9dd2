"""The command line as a whole: every command is there, and errors are one line with the right exit code."""

from __future__ import annotations

import errno
import sys

import pytest

from watchbill import __version__, cli
from watchbill.core.errors import LedgerBusy, NotFoundError, SettingsError

COMMANDS = (
    "replay", "run", "status", "cases", "case", "saw", "who-saw", "verify", "quarantine", "detectors", "config", "assess",
    "world", "demo", "trial",
)  # fmt: skip


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of a command line."""
    monkeypatch.setattr(sys, "argv", ["watchbill", *words])
    monkeypatch.setenv("COLUMNS", "200")
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_help_lists_every_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--help") == 0
    said = capsys.readouterr().out
    for name in COMMANDS:
        assert f" {name} " in said, name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, name, "--help") == 0
    usage = capsys.readouterr().out.strip().splitlines()[0]
    assert usage.split()[:3] == ["Usage:", "watchbill", name]


def test_the_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == __version__ + "\n"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (NotFoundError("there is none", where="case show", todo="Look"), 1, "case show: there is none. Look"),
        (SettingsError("two\nlines [red]", where="w", todo="Mend"), 2, "w: two lines [red]. Mend"),
        (LedgerBusy("busy", where="h", todo="Wait"), 2, "h: busy. Wait"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 2, "/x: Permission denied. Check the path"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "No space left on device. Check the path"),
        (KeyboardInterrupt(), 130, "interrupted; the same command goes on"),
    ],
)
def test_an_error_is_one_line(
    error: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(cli, "_mount", lambda: None)
    assert call(monkeypatch) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(line)
    assert said.err.count("\n") == 1


def test_a_word_that_is_no_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "no-such-command") == 2
    assert "no-such-command" in capsys.readouterr().err
