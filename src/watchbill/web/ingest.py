"""HTTP ingest: POST /v1/records with NDJSON, answered 202 only once the records are durable.

Refusals are JSON {what, where, todo}: 400 unreadable, 401 no such token, 413 too large, 415 wrong type, 429 come back
(Retry-After), 503 nothing can be stored now. Nothing that was sent stands in an answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from watchbill.core.errors import LedgerFull
from watchbill.records.lines import BLOCK_BYTES, DamagedError, Gunzip
from watchbill.sources.http import QueueSource

if TYPE_CHECKING:
    from watchbill.records.batch import Batch

_TYPES: Final = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)
_BURST_SECONDS: Final = 10.0
_PARSING_MAX: Final = 2


class ServerSettings(BaseModel):
    """Where the server listens. Anything but loopback needs a certificate, or a proxy that has one on this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8790, ge=0, le=65_535)
    certificate: str | None = None
    certificate_key: str | None = None
    requests_max: int = Field(default=32, ge=1, le=10_000)
    body_seconds_max: float = Field(default=30.0, gt=0)
    commit_seconds_max: float = Field(default=30.0, gt=0)


class Refusal(Exception):
    """An answer other than 202."""

    def __init__(self, status: int, what: str, *, where: str = "", todo: str = "", retry_seconds: float = 0.0) -> None:
        super().__init__(what)
        self.status, self.what, self.where, self.todo = status, what, where, todo
        self.retry_seconds = retry_seconds

    def response(self) -> JSONResponse:
        """The answer with its headers."""
        headers: dict[str, str] = {}
        if self.retry_seconds > 0:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_seconds)))
        if self.status == 401:  # noqa: PLR2004 - the status' own rule (RFC 9110, 15.5.2)
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse({"what": self.what, "where": self.where, "todo": self.todo}, self.status, headers)


class Rate:
    """A leaky bucket: `per_second` on average, ten seconds' worth at once; what is over has to wait."""

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        self._rate, self._clock = per_second, clock
        self._level, self._last = 0.0, clock()

    def wait_seconds(self) -> float:
        """Seconds until something may come; 0 = now."""
        now = self._clock()
        self._level = max(0.0, self._level - (now - self._last) * self._rate)
        self._last = now
        return max(0.0, self._level / self._rate - _BURST_SECONDS)

    def add(self, amount: float) -> None:
        """Count what came."""
        self._level += amount


class Ingest:
    """The endpoint over its sources."""

    def __init__(
        self, sources: Sequence[QueueSource], settings: ServerSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sources = list(sources)
        self._settings = settings
        self._rates: Mapping[str, tuple[Rate, Rate]] = {
            s.name: (Rate(s.settings.requests_per_second_max, clock), Rate(s.settings.bytes_per_second_max, clock))
            for s in self._sources
        }
        self._inside = 0
        self._parsing = asyncio.Semaphore(_PARSING_MAX)

    async def post(self, request: Request) -> JSONResponse:
        """Take one request of NDJSON."""
        if self._inside >= self._settings.requests_max:
            return Refusal(429, "too many requests at once", todo="Send again later", retry_seconds=1).response()
        self._inside += 1
        try:
            return await self._take(request)
        except Refusal as refusal:
            return refusal.response()
        finally:
            self._inside -= 1

    async def _take(self, request: Request) -> JSONResponse:
        source = self._source(request.headers.get("authorization", ""))
        self._check_rates(source)
        packed = _check_headers(request.headers, source)
        body = await self._body(request, source)
        async with self._parsing:
            batch = await run_in_threadpool(_read, source, body, packed=packed, count=self._rates[source.name][1].add)
        height = await self._commit(source, batch)
        answer = {"accepted": batch.table.num_rows, "quarantined": len(batch.quarantined), "height": height}
        return JSONResponse(answer, 202)

    def _source(self, header: str) -> QueueSource:
        scheme, _, token = header.partition(" ")
        digest = hashlib.sha256(token.strip().encode()).digest()
        found = None
        for source in self._sources:  # all are compared, so that the time says nothing
            if hmac.compare_digest(digest, source.token_digest):
                found = source
        if found is None or scheme.lower() != "bearer":
            raise Refusal(401, "no source has this token", where="Authorization", todo="Send `Bearer <token>`")
        return found

    def _check_rates(self, source: QueueSource) -> None:
        requests, size = self._rates[source.name]
        seconds = max(requests.wait_seconds(), size.wait_seconds())
        if seconds > 0:
            raise Refusal(429, "over this source's rate", todo="Send again later", retry_seconds=seconds)
        requests.add(1.0)

    async def _body(self, request: Request, source: QueueSource) -> bytes:
        limit = source.settings.body_bytes_max
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._settings.body_seconds_max):
                async for part in request.stream():
                    size += len(part)
                    if size > limit:
                        raise _too_large("body_bytes_max", limit)
                    parts.append(part)
        except TimeoutError:
            raise Refusal(408, "the body took too long", todo="Send smaller requests") from None
        except ClientDisconnect:
            raise Refusal(400, "the body ended too early", todo="Send it again") from None
        return b"".join(parts)

    async def _commit(self, source: QueueSource, batch: Batch) -> int:
        try:
            future = source.submit(batch)
        except queue.Full:
            raise Refusal(429, "records come faster than they are stored", todo="Send again", retry_seconds=2) from None
        again = "Send it again: what is in already is counted once"
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._settings.commit_seconds_max)
        except LedgerFull:
            todo = "Make room on the ledger's disk, then send again"
            raise Refusal(503, "the ledger's disk is full", todo=todo, retry_seconds=30) from None
        except Exception:  # noqa: BLE001 - whatever went wrong inside, the sender learns only that it is not durable
            raise Refusal(503, "it is not known to be stored", todo=again, retry_seconds=5) from None


def _too_large(name: str, limit: int) -> Refusal:
    return Refusal(413, f"larger than {name} = {limit} bytes", where="body", todo="Send it in several requests")


def _check_headers(headers: Mapping[str, str], source: QueueSource) -> bool:
    """Whether the body is gzip.

    Raises:
        Refusal: a wrong type or encoding, or a length over the limit.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _TYPES and source.parser.mapped is None:
        raise Refusal(415, "not NDJSON", where="Content-Type", todo="Send application/x-ndjson")
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise Refusal(415, "an encoding other than gzip", where="Content-Encoding", todo="Send gzip, or none")
    length = headers.get("content-length", "")
    if length.isdecimal() and (len(length) > 15 or int(length) > source.settings.body_bytes_max):  # noqa: PLR2004
        raise _too_large("body_bytes_max", source.settings.body_bytes_max)
    return encoding == "gzip"


def _read(source: QueueSource, body: bytes, *, packed: bool, count: Callable[[float], None]) -> Batch:
    """Unpack and parse a body; a bomb ends at the limit, without having been held."""
    text = _unpack(body, source.settings.unpacked_bytes_max) if packed else body
    count(float(len(text)))
    if not text.strip():
        raise Refusal(400, "the body holds no record", where="body", todo="Send one record a line")
    return source.parse(text)


class _Bytes:
    """Bytes as a stream."""

    def __init__(self, data: bytes) -> None:
        self._view, self._at = memoryview(data), 0

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes."""
        part = bytes(self._view[self._at : self._at + size])
        self._at += len(part)
        return part


def _unpack(body: bytes, limit: int) -> bytes:
    stream = Gunzip(_Bytes(body))
    parts: list[bytes] = []
    size = 0
    try:
        while part := stream.read(BLOCK_BYTES):
            size += len(part)
            if size > limit:
                raise _too_large("unpacked_bytes_max", limit)
            parts.append(part)
    except DamagedError as error:
        raise Refusal(400, str(error), where="body", todo="Send it again, whole") from None
    return b"".join(parts)


def ingest_routes(
    sources: Sequence[QueueSource], settings: ServerSettings | None = None, clock: Callable[[], float] = time.monotonic
) -> list[Route]:
    """POST /v1/records for all http sources (the token says which)."""
    ingest = Ingest(sources, settings or ServerSettings(), clock)
    return [Route("/v1/records", ingest.post, methods=["POST"])]
