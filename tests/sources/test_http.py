"""The http source's queue: bounded, drained in groups, answered once."""

from __future__ import annotations

import queue
import threading

import pytest
from pydantic import SecretStr

from watchbill.core.errors import LedgerFull, SettingsError
from watchbill.sources.base import open_source
from watchbill.sources.http import QueueSource, Settings

LINE = b'{"time":1760000000000,"kind":"view","account":"E%d"}\n'


def make(**kwargs: object) -> QueueSource:
    return QueueSource("s", Settings(token=SecretStr("t" * 16), **kwargs))  # type: ignore[arg-type]


def test_several_requests_are_one_commit() -> None:
    source = make()
    futures = [source.submit(source.parse(LINE % i)) for i in range(3)]
    stopped: list[int] = []
    reading = source.read({"requests": 7}, stop=lambda: bool(stopped))
    batch = next(reading)
    assert batch.table.column("account").to_pylist() == ["E0", "E1", "E2"]
    assert batch.position == {"requests": 10}
    assert not any(f.done() for f in futures)
    source.acknowledge(42)
    assert [f.result(0) for f in futures] == [42, 42, 42]
    late = source.submit(source.parse(LINE % 9))
    stopped.append(1)
    assert list(reading) == []
    with pytest.raises(ConnectionAbortedError):
        late.result(0)
    with pytest.raises(queue.Full):
        source.submit(source.parse(LINE % 9))


def test_the_queue_is_bounded_and_errors_reach_the_sender() -> None:
    source = make(waiting_max=2)
    futures = [source.submit(source.parse(LINE % i)) for i in range(2)]
    with pytest.raises(queue.Full):
        source.submit(source.parse(LINE % 3))
    for delivery in source.drain(rows_max=1, seconds=0.01):
        delivery.done(LedgerFull("full"))
        delivery.done(5)
    with pytest.raises(LedgerFull):
        futures[0].result(0)
    assert not futures[1].done()
    assert source.drain(rows_max=10, seconds=0.01)[0].batch.table.num_rows == 1
    assert source.drain(rows_max=10, seconds=0.01) == []


def test_a_request_sent_again_has_the_same_ids() -> None:
    source = make()
    first, second = source.parse(LINE % 1), source.parse(LINE % 1)
    assert first.table.column("id").to_pylist() == second.table.column("id").to_pylist()
    assert first.derived is not None
    assert not first.derived.any()
    assert source.parse(LINE % 2).table.column("id").to_pylist() != first.table.column("id").to_pylist()


def test_reading_in_a_thread_ends_with_stop() -> None:
    source = make()
    stop = threading.Event()
    thread = threading.Thread(target=lambda: list(source.read(None, stop=stop.is_set)))
    thread.start()
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in ({"kind": "http"}, {"kind": "http", "token": "short"}, {"kind": "http", "token_env": "WB_NO_SUCH"}):
        with pytest.raises(SettingsError, match="token is missing or too short"):
            open_source("s", settings)
    monkeypatch.setenv("WB_T", "a-token-of-some-length")
    source = open_source("s", {"kind": "http", "token_env": "WB_T"})
    assert isinstance(source, QueueSource)
    assert len(source.token_digest) == 32
