"""The store of streams: a token once, bounded, dropped with its stream."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from responses.closing import closed  # noqa: F401 - a fixture that runs by itself
from watchbill.core.errors import ActionError
from watchbill.responses import streams
from watchbill.responses.streams import KEPT_MS, PUSH, Stream, Streams, Token

ONE = Stream("s1", "idp", PUSH, "https://idp.example.com/", "Bearer x", ("e1", "e2"), "words")


def test_a_stream_comes_back_as_it_was(tmp_path: Path) -> None:
    Streams(tmp_path).keep(ONE)
    store = Streams(tmp_path)
    assert store.of("idp") == [ONE]
    assert store.get("other", "s1") is None
    store.keep(replace(ONE, status="paused", events=None))
    assert store.get("idp", "s1") == replace(ONE, status="paused", events=None)
    assert (tmp_path / "ssf.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_token_is_put_once_and_its_text_forgotten_when_it_arrived(tmp_path: Path) -> None:
    store = Streams(tmp_path)
    store.keep(ONE)
    assert store.put("s1", Token("j1", "first"), 0).token == "first"  # noqa: S105 - no password
    assert store.put("s1", Token("j1", "second"), 0).token == "first"  # noqa: S105 - no password
    store.put("s1", Token("j2", "other", "held"), 0)
    assert [token.jti for token in store.waiting("s1", ("ready",), 9)] == ["j1"]
    assert [token.jti for token in store.waiting("s1", ("ready", "held"), 1)] == ["j1"]
    store.done("s1", ["j1", "unknown"])
    assert store.find("s1", "j1") == Token("j1", "", "done")
    assert store.put("s1", Token("j1", "again"), 1).state == "done"
    store.put("s1", Token("j3", "x"), KEPT_MS + 2)
    assert store.find("s1", "j1") is None


def test_disabled_drops_what_waits_and_a_dropped_stream_leaves_nothing(tmp_path: Path) -> None:
    store = Streams(tmp_path)
    store.keep(ONE)
    store.put("s1", Token("j1", "x"), 0)
    store.remove_subject("s1", "p")
    store.keep(replace(ONE, status="disabled"))
    assert store.waiting("s1", ("ready", "held"), 9) == []
    store.drop("s1")
    assert store.of("idp") == []
    assert not store.is_removed("s1", "p")


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "TOKENS_MAX", 2)
    monkeypatch.setattr(streams, "SUBJECTS_MAX", 1)
    store = Streams(tmp_path)
    for number in range(2):
        store.put("s1", Token(str(number), "x"), 0)
    with pytest.raises(ActionError, match="wait in a stream"):
        store.put("s1", Token("3", "x"), 0)
    store.done("s1", ["0"])
    assert store.put("s1", Token("3", "x"), 0).token == "x"  # noqa: S105 - no password
    assert store.remove_subject("s1", "p")
    assert not store.remove_subject("s1", "q")
    store.add_subject("s1", "p")
    assert store.remove_subject("s1", "q")


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "ssf.sqlite").write_bytes(b"x" * 5000)
    with pytest.raises(ActionError, match="cannot be used"):
        Streams(tmp_path).of("idp")
