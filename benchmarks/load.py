"""A load generator over loopback HTTP/1.1: open loop (a fixed rate, latency from the moment a request was due) or closed.

Kept small on purpose, so that it takes little of the CPU that it shares with the server. Bounded in time and connections.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast


@dataclass
class Result:
    """What came back: per request seconds from due to answered, by status; `bodies` is kept only where `keep` was asked for."""

    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    bodies: list[tuple[int, bytes]] = field(default_factory=list)
    failed: int = 0
    took: float = 0.0


class _Line(asyncio.Protocol):
    """One keep-alive connection with one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.waiting: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, gap, rest = self.buffer.partition(b"\r\n\r\n")
        if not gap:
            return
        low = head.lower()
        if b"transfer-encoding: chunked" in low:
            whole = len(rest) if rest.endswith(b"0\r\n\r\n") else -1
        else:
            whole = int(low.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0] or b"0")
        if not 0 <= whole <= len(rest) or self.waiting is None or self.waiting.done():
            return
        self.buffer = rest[whole:]
        self.waiting.set_result((int(head[9:12]), rest[:whole]))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(ConnectionResetError())


async def _open(host: str, port: int) -> _Line:
    _, line = await asyncio.get_running_loop().create_connection(_Line, host, port)
    return line


async def _send(line: _Line, request: bytes) -> tuple[int, bytes]:
    assert line.transport is not None
    line.waiting = asyncio.get_running_loop().create_future()
    line.transport.write(request)
    return await line.waiting


async def _run(
    host: str, port: int, make: Callable[[int], bytes], count: int, rate: float, lines: int, keep: bool
) -> Result:
    free: asyncio.Queue[_Line] = asyncio.Queue()
    for _ in range(lines):
        free.put_nowait(await _open(host, port))
    result = Result()
    begin = time.perf_counter() + 0.05

    async def one(number: int, due: float) -> None:
        line = await free.get()
        try:
            status, body = await _send(line, make(number))
        except (ConnectionError, OSError):
            result.failed += 1
            return
        result.seconds.append(time.perf_counter() - due)
        result.statuses[status] = result.statuses.get(status, 0) + 1
        if keep:
            result.bodies.append((number, body))
        free.put_nowait(line)

    if rate > 0:
        tasks = set()
        for number in range(count):
            due = begin + number / rate
            pause = due - time.perf_counter()
            if pause > 0:
                await asyncio.sleep(pause)
            task = asyncio.ensure_future(one(number, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            if result.failed:
                break
        if tasks:
            await asyncio.wait(tasks, timeout=30)
    else:
        numbers = iter(range(count))

        async def worker() -> None:
            for number in numbers:
                await one(number, time.perf_counter())
                if result.failed:
                    return

        await asyncio.gather(*(worker() for _ in range(lines)))
    result.took = time.perf_counter() - begin
    return result


def run(
    address: tuple[str, int],
    make: Callable[[int], bytes],
    *,
    count: int,
    rate: float = 0.0,
    lines: int = 64,
    keep: bool = False,
) -> Result:
    """Send `count` requests; `rate` a second (0 = as fast as `lines` connections answer).

    Args:
        make: number -> the whole request's bytes. keep: also gather the bodies.
    """
    try:
        import uvloop

        return uvloop.run(_run(*address, make, count, rate, lines, keep))
    except ImportError:
        return asyncio.run(_run(*address, make, count, rate, lines, keep))


def post(path: str, body: bytes, *headers: str) -> bytes:
    """A POST as bytes."""
    more = "".join(f"{line}\r\n" for line in headers)
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def quantile(seconds: list[float], share: float) -> float:
    """In milliseconds."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else float("nan")


def until(ready: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for a server to be there."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError("it did not start in time")
        time.sleep(0.05)
