"""The client over HTTP: one deadline for everything, the same request id on every attempt, and a choice for when it fails.

`HttpClient` is awaited; `BlockingClient` is the same for threads (it runs the first in one background loop, so that the
deadline is total there too). Needs `httpx` (the extra `watchbill[client]`).
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

from watchbill.client.allowance import Allowance
from watchbill.client.breaker import Breaker
from watchbill.client.courier import Courier
from watchbill.client.fallback import FEW, NO_ANSWER, Fallback
from watchbill.client.spool import Post, Spool
from watchbill.client.wire import BATCH_MAX, RECORDS_PATH, AnswerError, body_of, read_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from watchbill.client.settings import ClientSettings
    from watchbill.responses.asks import Ask, Decided

ANSWER_BYTES_MAX: Final = 4 << 20
_OK, _TOO_MANY, _ACCEPTED, _SERVER = 200, 429, 202, 500
_WONT_TAKE: Final = (400, 413, 415, 422)
_PAUSE_SECONDS: Final = 0.05
_GRACE_SECONDS: Final = 0.5


class _Outage(Exception):
    """Nobody answers: slow, down, or shedding load. `retry_seconds`: how long to leave it alone, if it said so."""

    def __init__(self, retry_seconds: float = 0.0) -> None:
        super().__init__()
        self.retry_seconds = retry_seconds


class _Refused(Exception):
    """Watchbill is up and does not take our question."""


class HttpClient:
    """Asks Watchbill; never raises for an outage. Use it in one event loop at a time; `aclose` it at the end.

    Args:
        settings: see docs/guard-your-app.md. clock: seconds that never go back. now_ns: epoch nanoseconds, for spooled
            looks. token_hex: makes ids. transport: another way to the server, for tests.
    """

    def __init__(
        self, settings: ClientSettings, *, clock: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns, token_hex: Callable[[int], str] = secrets.token_hex,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:  # fmt: skip
        self.settings = settings
        self._clock, self._transport = clock, transport
        self._url = settings.url.rstrip("/")
        self.breaker = Breaker(settings.failures_to_open, settings.open_seconds, settings.open_seconds_max, clock)
        self._spool = (
            Spool(Path(settings.spool_folder), settings.spool_bytes_max, lambda: token_hex(8))
            if settings.spool_folder
            else None
        )
        allowance = Allowance(settings.few_looks, settings.few_refill_minutes * 60, settings.few_accounts_max, clock)
        self._fallback = Fallback(settings, allowance, self._spool, now_ns, lambda: token_hex(16))
        self._courier = Courier(self._spool, self._post_records, settings.deliver_seconds) if self._spool else None
        if self._courier:
            self._courier.wake()
        self._trust = ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else True
        self._loop: asyncio.AbstractEventLoop | None = None
        self._http: httpx.AsyncClient | None = None
        self._slots = asyncio.Semaphore(settings.in_flight_max)
        self._inside = 0

    async def decide(self, asks: Sequence[Ask]) -> list[Decided]:
        """One decision for each question, in order, within `timeout_seconds` in all."""
        deadline = self._clock() + self.settings.timeout_seconds
        out: list[Decided] = []
        for first in range(0, len(asks), BATCH_MAX):
            out += await self._part(asks[first : first + BATCH_MAX], deadline)
        return out

    def closed(self, ask: Ask) -> Decided:
        """The answer without asking: masked, or a denial where the settings say so. Never a plain value."""
        return self._fallback.answer(ask, outage=False)

    async def aclose(self) -> None:
        """Close connections; what is spooled stays for the next start."""
        if self._courier:
            await asyncio.to_thread(self._courier.close)
        if self._spool:
            self._spool.close()
        if self._http is not None and self._loop is asyncio.get_running_loop():
            await self._http.aclose()
        self._http = None

    async def _part(self, asks: Sequence[Ask], deadline: float) -> list[Decided]:
        outage = True
        found: list[Decided] = []
        try:
            async with asyncio.timeout(max(0.0, deadline - self._clock())):
                found = await self._ask(asks, deadline)
        except (TimeoutError, _Outage):
            pass
        except Exception:  # noqa: BLE001 - a question or an answer that breaks the protocol, or whatever else: no outage
            outage = False
        if not found:
            return [await self._closed(ask, outage=outage) for ask in asks]
        for at, (ask, decided) in enumerate(zip(asks, found, strict=True)):
            if decided.why in NO_ANSWER:  # says nothing about the account: what was heard of it before still counts
                found[at] = await self._closed(ask, outage=True)
            else:
                self._fallback.heard(ask, decided)
        return found

    async def _closed(self, ask: Ask, *, outage: bool) -> Decided:
        if self._courier is None or self.settings.mode(ask.kind) != FEW or not outage:
            return self._fallback.answer(ask, outage=outage)
        decided = await asyncio.to_thread(self._fallback.answer, ask, outage=True)  # it may wait for the disk
        self._courier.wake()
        return decided

    async def _ask(self, asks: Sequence[Ask], deadline: float) -> list[Decided]:
        path, body = body_of(asks)
        client = self._client()
        if self._inside >= self.settings.in_flight_max + self.settings.waiting_max:
            raise _Outage
        self._inside += 1
        try:
            async with self._slots:
                return read_answers(await self._attempts(client, path, body, asks[0].request, deadline), asks)
        finally:
            self._inside -= 1

    async def _attempts(
        self, client: httpx.AsyncClient, path: str, body: bytes, request: str, deadline: float
    ) -> bytes:
        for left in reversed(range(self.settings.attempts_max)):
            if not self.breaker.allow():
                raise _Outage
            try:
                return await self._once(client, path, body, request, deadline)
            except _Outage as failure:
                pause = max(failure.retry_seconds, _PAUSE_SECONDS)
                if not left or self._clock() + pause >= deadline:
                    raise
                await asyncio.sleep(pause)
        raise _Outage  # attempts_max is at least 1

    async def _once(self, client: httpx.AsyncClient, path: str, body: bytes, request: str, deadline: float) -> bytes:
        """One attempt, and what it says about the breaker."""
        try:
            status, headers, text = await self._exchange(client, path, body, request)
        except asyncio.CancelledError:
            late = self._clock() >= deadline - _PAUSE_SECONDS
            (self.breaker.failed if late else self.breaker.abandoned)()
            raise
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            self.breaker.failed()
            raise _Outage from None
        except AnswerError:
            self.breaker.worked()
            raise
        except BaseException:
            self.breaker.abandoned()
            raise
        retry = _retry_seconds(headers)
        if status >= _SERVER:
            self.breaker.failed()
            self.breaker.hold(retry)
            raise _Outage(retry)
        if self._clock() > deadline:
            self.breaker.failed()
            raise _Outage
        self.breaker.worked()
        if status == _TOO_MANY:
            self.breaker.hold(retry)
            raise _Outage(retry)
        if status != _OK:
            raise _Refused
        _check_headers(headers, request)
        return text

    async def _exchange(
        self, client: httpx.AsyncClient, path: str, body: bytes, request: str
    ) -> tuple[int, httpx.Headers, bytes]:
        headers = {
            "Authorization": f"Bearer {self.settings.token.get_secret_value()}",
            "Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity", "X-Request-ID": request,
        }  # fmt: skip
        async with client.stream("POST", self._url + path, content=body, headers=headers) as answer:
            text = bytearray()
            async for part in answer.aiter_raw():  # as it came: nothing is unpacked past the limit
                text += part
                if len(text) > ANSWER_BYTES_MAX:
                    raise AnswerError("the answer is too large")
            return answer.status_code, answer.headers, bytes(text)

    def _client(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._http is None or self._loop is not loop:
            most = self.settings.in_flight_max
            self._loop = loop
            self._slots, self._inside = asyncio.Semaphore(most), 0
            self._http = httpx.AsyncClient(
                timeout=self.settings.timeout_seconds, follow_redirects=False, trust_env=False, transport=self._transport, verify=self._trust,
                limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
            )  # fmt: skip
        return self._http

    def _post_records(self, body: bytes) -> Post:
        """Hand spooled looks to the records' door; runs in the courier's thread."""
        token = self.settings.records_token
        headers = {
            "Authorization": f"Bearer {token.get_secret_value() if token else ''}",
            "Content-Type": "application/x-ndjson",
        }
        try:
            with httpx.Client(timeout=30.0, trust_env=False, verify=self._trust) as client:
                status = client.post(self._url + RECORDS_PATH, content=body, headers=headers).status_code
        except (httpx.HTTPError, OSError):
            return "later"
        if status == _ACCEPTED:
            return "taken"
        return "refused" if status in _WONT_TAKE else "later"


def _retry_seconds(headers: httpx.Headers) -> float:
    """Seconds that Retry-After names; its date form and nonsense count as one second."""
    text = headers.get("retry-after", "")
    if not text:
        return 0.0
    return float(text) if text.isdecimal() and len(text) < 10 else 1.0  # noqa: PLR2004 - no int of a megabyte


def _check_headers(headers: httpx.Headers, request: str) -> None:
    """An answer to somebody else's question, or no JSON at all, is no answer."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise AnswerError("the answer is not application/json")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise AnswerError("the answer is compressed, which was not asked for")
    if headers.get("x-request-id") != request:
        raise AnswerError("the answer does not carry our X-Request-ID")


class BlockingClient:
    """`HttpClient` for threads. It may be made before a fork: its loop starts with the first question."""

    def __init__(self, settings: ClientSettings, **more: Any) -> None:  # noqa: ANN401 - HttpClient's own arguments
        self.settings = settings
        self._more = more
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: HttpClient | None = None
        self._thread: threading.Thread | None = None

    def decide(self, asks: Sequence[Ask]) -> list[Decided]:
        """One decision for each question, in order."""
        loop, client = self._running()
        future = asyncio.run_coroutine_threadsafe(client.decide(asks), loop)
        try:
            return future.result(self.settings.timeout_seconds + _GRACE_SECONDS)
        except TimeoutError:  # the loop itself hangs: no plain look rests on it
            future.cancel()
            return [client.closed(ask) for ask in asks]

    def close(self) -> None:
        """Close connections and the loop."""
        with self._lock:
            loop, client, thread = self._loop, self._client, self._thread
            self._loop = self._client = self._thread = None
        if loop is None or client is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(client.aclose(), loop).result(_GRACE_SECONDS * 10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_GRACE_SECONDS * 10)
        loop.close()

    def _running(self) -> tuple[asyncio.AbstractEventLoop, HttpClient]:
        with self._lock:
            if self._loop is None or self._client is None or self._thread is None or not self._thread.is_alive():
                self._loop = asyncio.new_event_loop()
                self._client = HttpClient(self.settings, **self._more)
                self._thread = threading.Thread(target=self._loop.run_forever, name="watchbill-client", daemon=True)
                self._thread.start()
            return self._loop, self._client
