"""The HTTP server of `watchbill run`: one port, one event loop, the routes of every service that settings ask for."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette

from watchbill.core.errors import SettingsError
from watchbill.core.settings import fault_of
from watchbill.web.decide import decide_routes
from watchbill.web.ingest import ServerSettings, ingest_routes
from watchbill.web.ssf import CONNECTIONS_EACH
from watchbill.web.ssf import routes as ssf_routes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchbill.runners.live import Services
    from watchbill.sources.http import QueueSource


def server(app: Starlette, settings: ServerSettings, connections_max: int = 128) -> uvicorn.Server:
    """A server for `app`, to be run by the caller (`run()` blocks; set `should_exit` to stop it).

    Raises:
        SettingsError: it would listen beyond this machine without a certificate.
    """
    if not settings.certificate and not _is_loopback(settings.host):
        todo = "Set certificate and certificate_key, or listen on 127.0.0.1 behind a proxy"
        raise SettingsError("tokens would cross the network in the clear", where=f"host = {settings.host}", todo=todo)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.certificate_key,
        access_log=False,
        server_header=False,
        log_level="warning",
        limit_concurrency=connections_max,
        timeout_keep_alive=15,
    )
    return uvicorn.Server(config)


class Door(uvicorn.Server):
    """A server that leaves signals to the command it runs in, and knows where it listens."""

    def install_signal_handlers(self) -> None:
        """None: the command owns the signals."""

    def address(self) -> tuple[str, int]:
        """Host and port, once started."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return str(host), int(port)


def open_door(sources: Sequence[QueueSource], table: Mapping[str, object], services: Services | None = None) -> Door:
    """The server of a settings file; `table` is its [http].

    Raises:
        SettingsError: a setting is wrong.
    """
    try:
        settings = ServerSettings.model_validate(dict(table))
    except ValidationError as error:
        raise SettingsError(fault_of(error), where="[http]", todo="See docs/connect-your-logs.md") from None
    routes, connections_max = ingest_routes(sources, settings), settings.requests_max * 4
    if services is not None and services.desk is not None:
        routes += decide_routes(services.desk)
        connections_max += 2 * services.desk.settings.waiting_max
    if services is not None and services.receivers:
        routes += ssf_routes(services.receivers)
        connections_max += CONNECTIONS_EACH * len(services.receivers)
    if services is not None and services.presence is not None:
        from watchbill.web import presence  # its libraries are loaded where they are asked for only

        own, read = services.presence, presence.read_presence(services.presence.table)
        routes += presence.routes(own.keys, read, own.hand, now_ms=own.now_ms)
        connections_max += int(read.requests_per_second_max * read.body_seconds_max)
    return Door(server(Starlette(routes=routes), settings, connections_max).config)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
