from __future__ import annotations

import json
from pathlib import Path

import pytest

from watchbill.commands.show import percent, read_json, read_lines, say, table, time_ms, when
from watchbill.core.errors import LedgerError, SettingsError


def test_times() -> None:
    assert time_ms("2025-03-09", "--from") == time_ms("2025-03-09T00:00:00+08:00", "--from") == 1741449600000
    assert time_ms("1741449600000", "--from") == 1741449600000
    assert time_ms(None, "--from") is None
    assert when(1741449600000) == "2025-03-09 00:00:00"
    with pytest.raises(SettingsError):
        time_ms("soon", "--from")


def test_logged_text_is_no_markup(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    say("[red]a[/red] [sources.crm]")
    table("[b]t", ("x", "#n"), [("[/no]", 12345), (None, "-")])
    out = capsys.readouterr().out
    assert "[red]a[/red] [sources.crm]" in out
    assert "[/no]" in out
    assert "12,345" in out


def test_logged_text_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[31mb\x9b2J", "x\u202egnp.exe", "\U0001f469\u200d\U0001f4bb")
    table("t\x1b]0;u\x07", ("x",), [("\x1b[2J\u2066",)])
    out = capsys.readouterr().out
    assert not set(out) & set("\x1b\x07\x9b\u202e\u2066")
    assert "a\\x1b[31mb\\x9b2J" in out
    assert "x\\u202egnp.exe" in out
    assert "\U0001f469\u200d\U0001f4bb" in out


def test_shares() -> None:
    assert (percent(None), percent(0.125)) == ("-", "12.5%")


def test_what_the_runner_keeps(tmp_path: Path) -> None:
    assert read_json(tmp_path / "a.json") == {}
    assert read_lines(tmp_path / "a.ndjson") == []
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(LedgerError):
        read_json(tmp_path / "a.json")
    with pytest.raises(LedgerError):
        read_lines(tmp_path / "a.json")


def test_a_line_ends_at_its_newline_only(tmp_path: Path) -> None:
    """JSON leaves other line separators as they are; an account may be named with one."""
    (tmp_path / "a.ndjson").write_text(json.dumps({"account": "a\u2028\x85b"}, ensure_ascii=False) + "\n")
    assert read_lines(tmp_path / "a.ndjson") == [{"account": "a\u2028\x85b"}]
