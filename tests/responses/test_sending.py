"""One request: only encrypted beyond this machine, no redirects, bounded."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from responses.worlds import Server
from watchbill.core.errors import ActionError
from watchbill.responses.sending import ANSWER_BYTES_MAX, Sender, checked_url


@pytest.fixture
def server() -> Iterator[Server]:
    """The other side."""
    one = Server()
    yield one
    one.close()


def post(server: Server, timeout: float = 5.0) -> bytes:
    with Sender("[actions.it]", timeout, time.monotonic) as sender:
        return sender.post(f"http://{server.host}/x", b"{}", {"a": "b"}).body


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "ftp://example.com/", "https://u:p@example.com/", "https://", "x", "https://a:99999/",
     "http://127.0.0.1.example.com/", "http://10.0.0.1/"],
)  # fmt: skip
def test_addresses_that_may_not_be_sent_to(url: str) -> None:
    with pytest.raises(ValueError):
        checked_url(url)


def test_addresses_that_may_be_sent_to() -> None:
    for url in ("https://example.com/a?b=c", "http://127.0.0.1:8/", "http://[::1]/", "http://localhost/"):
        assert checked_url(url) == url


def test_what_came_back(server: Server) -> None:
    server.body = b"y" * (ANSWER_BYTES_MAX * 8)
    assert post(server) == b"y" * ANSWER_BYTES_MAX
    assert server.requests[0][1]["a"] == "b"


@pytest.mark.parametrize(("status", "final"), [(301, False), (307, False), (400, True), (401, False), (404, False),
                                               (410, True), (429, False), (500, False)])  # fmt: skip
def test_other_answers_are_failures(server: Server, status: int, final: bool) -> None:
    server.status = status
    server.headers = {"location": f"http://{server.host}/elsewhere", "retry-after": "7"}
    with pytest.raises(ActionError, match=str(status)) as told:
        post(server)
    assert (told.value.final, len(server.requests)) == (final, 1)
    assert told.value.retry_seconds == (0 if status < 400 else 7)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Sender("it", 1.0, time.monotonic) as sender, pytest.raises(ActionError, match="no answer"):
        sender.post(f"http://127.0.0.1:{port}/", b"", {})


def test_an_answer_that_drips_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stop = threading.Event()

        def drip() -> None:
            with listening.accept()[0] as client:
                client.recv(4096)
                client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
                while not stop.wait(0.05):
                    try:
                        client.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        began = time.monotonic()
        with Sender("it", 0.5, time.monotonic) as sender:
            assert sender.post(f"http://127.0.0.1:{listening.getsockname()[1]}/", b"", {}).status == 200
        assert time.monotonic() - began < 5
        stop.set()
        thread.join()
