"""The server: where it may listen, and that a real one answers."""

from __future__ import annotations

import json
import threading

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette

from watchbill.core.errors import SettingsError
from watchbill.sources.http import QueueSource, Settings
from watchbill.web.door import open_door, server
from watchbill.web.ingest import ServerSettings

TOKEN = "token-of-the-desk"  # noqa: S105 - it opens nothing
LINE = b'{"id":"1","time":1760000000000,"kind":"view","account":"E1"}\n'
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/x-ndjson"}


def test_the_server_listens_here_or_with_a_certificate() -> None:
    app = Starlette()
    assert server(app, ServerSettings()).config.host == "127.0.0.1"
    assert server(app, ServerSettings(host="::1")).config.port == 8790
    for host in ("0.0.0.0", "example.org"):  # noqa: S104 - that it is refused is the test
        with pytest.raises(SettingsError, match="in the clear"):
            server(app, ServerSettings(host=host))


def test_a_real_server_takes_a_real_request() -> None:
    source = QueueSource("desk", Settings(token=SecretStr(TOKEN)))
    running = open_door([source], {"port": 0})
    thread = threading.Thread(target=running.run)
    batches = source.read(None, stop=lambda: False)
    taking = threading.Thread(target=lambda: (next(batches), source.acknowledge(9)))
    thread.start()
    taking.start()
    while not running.started:
        thread.join(0.01)
    host, port = running.address()
    answer = httpx.post(f"http://{host}:{port}/v1/records", content=LINE, headers=HEADERS)
    running.should_exit = True
    thread.join()
    taking.join()
    assert json.loads(answer.text)["height"] == 9
    assert "server" not in answer.headers


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="port"):
        open_door([], {"port": "many"})
