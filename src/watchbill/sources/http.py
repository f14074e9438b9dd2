"""HTTP ingest, the source's side: requests wait in a bounded queue, the runner commits several at once and says so.

The web room (web/ingest.py) parses a request and calls `submit`; the answer goes out only after `done(height)`.
"""

from __future__ import annotations

import hashlib
import os
import queue
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field, SecretStr

from watchbill.core.errors import SettingsError
from watchbill.records.batch import Batch, merge
from watchbill.sources.base import STOP_LOOK_SECONDS, LineParser, Source, SourceSettings

_TOKEN_MIN = 16


class Settings(SourceSettings):
    """One sender's door: its token and how much it may send."""

    kind: str = "http"
    token: SecretStr | None = None
    token_env: str | None = None
    """Environment variable that holds the token (better than writing it into the settings)."""
    body_bytes_max: int = Field(default=16 << 20, ge=1024)
    unpacked_bytes_max: int = Field(default=64 << 20, ge=1024, le=1 << 28)
    requests_per_second_max: float = Field(default=50.0, gt=0)
    bytes_per_second_max: float = Field(default=50e6, gt=0)
    """Unpacked bytes; both limits allow bursts of ten seconds' worth."""
    waiting_max: int = Field(default=64, ge=1, le=10_000)
    """Requests that may wait for the runner; more are told to come back."""


@dataclass
class Delivery:
    """A request's records on their way to the journal. Call `done` once, from any thread."""

    batch: Batch
    height: Future[int] = field(default_factory=Future)

    def done(self, result: int | Exception) -> None:
        """Say the height at which it is durable, or why it is not (LedgerFull, say)."""
        if self.height.done():
            return
        if isinstance(result, Exception):
            self.height.set_exception(result)
        else:
            self.height.set_result(result)


class QueueSource:
    """Requests of one sender, in the order of their arrival, through a queue of at most `waiting_max`."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self.settings = name, settings
        self.parser = LineParser(name, settings)
        self._token = hashlib.sha256(_token(name, settings).encode()).digest()
        self._waiting: queue.Queue[Delivery] = queue.Queue(settings.waiting_max)
        self._given: list[Delivery] = []
        self._requests = 0
        self._closed = False

    @property
    def token_digest(self) -> bytes:
        """SHA-256 of the token: compared in constant time, and the token itself is not kept."""
        return self._token

    def parse(self, body: bytes) -> Batch:
        """A request's records. Ids that are absent are made from the body's own hash: sent again, it counts once."""
        identity = hashlib.blake2b(body, digest_size=8).hexdigest()
        batch = self.parser.parse(body, f"http-{identity}", 1).batch(self.name, {})
        batch.derived = np.zeros(batch.table.num_rows, dtype=np.bool_)
        return batch

    def submit(self, batch: Batch) -> Future[int]:
        """Put a request in the queue; the future gives its height once it is durable.

        Raises:
            queue.Full: the runner is behind, or has stopped; nothing was taken.
        """
        if self._closed:
            raise queue.Full
        delivery = Delivery(batch)
        self._waiting.put_nowait(delivery)
        return delivery.height

    def drain(self, *, rows_max: int, seconds: float) -> list[Delivery]:
        """All requests that wait (up to about `rows_max` records); waits `seconds` for the first."""
        found: list[Delivery] = []
        rows = 0
        try:
            while rows < rows_max:
                delivery = self._waiting.get(timeout=seconds) if not found else self._waiting.get_nowait()
                found.append(delivery)
                rows += delivery.batch.table.num_rows + len(delivery.batch.quarantined)
        except queue.Empty:
            pass
        for delivery in found:
            self._requests += 1
            delivery.batch.position = {"requests": self._requests}
        return found

    def read(self, position: Mapping[str, object] | None, *, stop: Callable[[], bool]) -> Iterator[Batch]:
        """Groups of requests as one batch each, for one commit; call `acknowledge` after each.

        When the caller goes on to the next batch without it, or stops, the requests are told that nothing is known.
        """
        self._requests = int(str(position.get("requests", 0))) if position else 0
        self._closed = False
        try:
            while not stop():
                self._given = self.drain(rows_max=self.settings.batch_rows, seconds=STOP_LOOK_SECONDS)
                if self._given:
                    yield merge([delivery.batch for delivery in self._given])
        finally:
            self.close()

    def acknowledge(self, result: int | Exception) -> None:
        """Tell the senders of the batch that `read` gave last: its height, or why it is not durable."""
        given, self._given = self._given, []
        for delivery in given:
            delivery.done(result)

    def close(self) -> None:
        """Take no more, and send away those who wait."""
        self._closed = True
        self.acknowledge(ConnectionAbortedError("the runner stopped"))
        for delivery in self.drain(rows_max=1 << 62, seconds=0.001):
            delivery.done(ConnectionAbortedError("the runner stopped"))


def _token(name: str, settings: Settings) -> str:
    """The sender's token.

    Raises:
        SettingsError: there is none, or it is too short.
    """
    text = settings.token.get_secret_value() if settings.token else os.environ.get(settings.token_env or "", "")
    if len(text) < _TOKEN_MIN:
        todo = f"Set token_env to an environment variable with a token of at least {_TOKEN_MIN} characters"
        raise SettingsError("its token is missing or too short", where=f"[sources.{name}]", todo=todo)
    return text


def open_source(name: str, settings: SourceSettings) -> Source:
    """The source of this kind."""
    if not isinstance(settings, Settings):
        raise SettingsError("these are no settings of an http source", where=f"[sources.{name}]", todo="Set kind")
    return QueueSource(name, settings)
