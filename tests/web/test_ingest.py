"""HTTP ingest: every answer, and that 202 comes only once the records are durable."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette

from watchbill.core.errors import LedgerFull
from watchbill.sources.http import QueueSource, Settings
from watchbill.web.ingest import Rate, ServerSettings, ingest_routes

TOKEN = "token-of-the-desk"  # noqa: S105 - it opens nothing
LINE = b'{"id":"%d","time":1760000000000,"kind":"view","account":"E1"}\n'
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/x-ndjson"}
Result = Callable[[int], int | Exception]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make(**kwargs: Any) -> QueueSource:
    return QueueSource("desk", Settings(token=SecretStr(TOKEN), **kwargs))


@contextmanager
def committing(source: QueueSource, result: Result = lambda n: n) -> Iterator[list[int]]:
    """A runner that commits every group; the list holds the rows of each."""
    stop, groups = threading.Event(), list[int]()

    def run() -> None:
        for n, batch in enumerate(source.read(None, stop=stop.is_set), start=1):
            groups.append(batch.table.num_rows)
            source.acknowledge(result(n))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield groups
    finally:
        stop.set()
        thread.join()


def send(source: QueueSource, *bodies: Any, headers: dict[str, str] | None = None, clock: Clock | None = None,
         settings: ServerSettings | None = None) -> list[httpx.Response]:  # fmt: skip
    """Post bodies at the same time."""
    app = Starlette(routes=ingest_routes([make_other(), source], settings, clock or Clock()))

    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            posts = [client.post("/v1/records", content=body, headers=HEADERS | (headers or {})) for body in bodies]
            return list(await asyncio.gather(*posts))

    return asyncio.run(run())


def make_other() -> QueueSource:
    return QueueSource("other", Settings(token=SecretStr("token-of-another")))


def test_accepted_once_durable() -> None:
    source = make()
    with committing(source, lambda _: 77) as groups:
        (answer,) = send(source, LINE % 1 + b"rubbish\n" + LINE % 2)
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 2, "quarantined": 1, "height": 77}
    assert groups == [2]


def test_nothing_is_acknowledged_that_is_not_stored() -> None:
    source = make()
    (answer,) = send(source, LINE % 1, settings=ServerSettings(commit_seconds_max=0.05))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    full = make()
    with committing(full, lambda _: LedgerFull("disk")):
        (answer,) = send(full, LINE % 1)
    assert answer.status_code == 503
    assert "full" in answer.json()["what"]
    broken = make()
    with committing(broken, lambda _: RuntimeError("secret inside")):
        (answer,) = send(broken, LINE % 1)
    assert answer.status_code == 503
    assert "secret" not in answer.text


def test_gzip_and_its_dangers() -> None:
    source = make(unpacked_bytes_max=100_000)
    gz = {"Content-Encoding": "gzip"}
    with committing(source):
        good, bomb, cut, plain = send(
            source, gzip.compress(LINE % 1), gzip.compress(b"\n" * 50_000_000), gzip.compress(LINE % 2)[:-4], LINE % 3,
            headers=gz,
        )  # fmt: skip
    assert good.status_code == 202
    assert (bomb.status_code, bomb.json()["what"]) == (413, "larger than unpacked_bytes_max = 100000 bytes")
    assert cut.status_code == 400
    assert plain.status_code == 400


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Authorization": "Bearer wrong"}, LINE % 1, 401),
        ({"Authorization": f"Basic {TOKEN}"}, LINE % 1, 401),
        ({"Authorization": ""}, LINE % 1, 401),
        ({"Authorization": "Bearer " + TOKEN + "x"}, LINE % 1, 401),
        ({"Content-Type": "application/json"}, LINE % 1, 415),
        ({"Content-Type": ""}, LINE % 1, 415),
        ({"Content-Encoding": "br"}, LINE % 1, 415),
        ({}, b"", 400),
        ({}, b"\n \n", 400),
        ({}, b"x" * 5000, 413),
    ],
)
def test_refusals_say_what_where_and_todo(headers: dict[str, str], body: bytes, status: int) -> None:
    source = make(body_bytes_max=4096)
    (answer,) = send(source, body, headers=headers)
    assert answer.status_code == status
    assert set(answer.json()) == {"what", "where", "todo"}
    assert answer.json()["todo"]
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_a_body_without_length_is_counted_as_it_comes() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    (answer,) = send(make(body_bytes_max=4096), endless())
    assert answer.status_code == 413


def test_a_slow_body_is_cut_off() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(30)

    (answer,) = send(make(), slow(), settings=ServerSettings(body_seconds_max=0.05))
    assert answer.status_code == 408


def test_pressure_is_429_with_retry_after() -> None:
    source = make(waiting_max=1)
    one, two = send(source, LINE % 1, LINE % 2, settings=ServerSettings(commit_seconds_max=0.3))
    assert sorted([one.status_code, two.status_code]) == [429, 503]
    assert int(one.headers["Retry-After"]) >= 1
    (crowd, *_) = sorted(
        send(make(), *[LINE % i for i in range(3)], settings=ServerSettings(requests_max=1, commit_seconds_max=0.1)),
        key=lambda answer: answer.status_code,
    )
    assert crowd.status_code == 429


def test_rate_of_a_source() -> None:
    source, clock = make(requests_per_second_max=0.2), Clock()
    with committing(source):
        app_answers = send(source, *[LINE % i for i in range(5)], clock=clock)
    statuses = sorted(answer.status_code for answer in app_answers)
    assert statuses == [202, 202, 202, 429, 429]
    rate = Rate(10.0, clock)
    rate.add(150.0)
    assert rate.wait_seconds() == pytest.approx(5.0)
    clock.now = 5.0
    assert rate.wait_seconds() == 0.0


def test_requests_in_flight_share_commits() -> None:
    source = make()
    with committing(source) as groups:
        answers = send(source, *[LINE % i for i in range(20)])
    assert all(answer.status_code == 202 for answer in answers)
    assert sum(groups) == 20
    assert len(groups) <= 20


def test_other_ways_in_are_closed() -> None:
    async def run() -> list[int]:
        transport = httpx.ASGITransport(Starlette(routes=ingest_routes([make()])))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [(await client.get("/v1/records")).status_code, (await client.post("/")).status_code]

    assert asyncio.run(run()) == [405, 404]
