"""One HTTP request to another system: encrypted unless it stays on this machine, no redirects, everything bounded."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import httpx

from watchbill.core.errors import ActionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ANSWER_BYTES_MAX: Final = 16 << 10
"""More of an answer is not read; nothing of it is ever shown."""
RETRY_SECONDS_MAX: Final = 3_600.0
_FINAL: Final = frozenset({400, 410, 413, 414, 415, 422})
"""What the same bytes will not change: no retry. 401, 403 and 404 may be a mistake that somebody corrects."""


def checked_url(url: str) -> str:
    """The address, if it may be sent to.

    Raises:
        ValueError: not https beyond this machine, a password in it, or no host.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is no address") from None
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise ValueError("is no address")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user name or password; use a header or a secret")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must begin with https:// (http:// only on this machine)")
    return url


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, and the beginning of the body."""

    status: int
    body: bytes


class Sender:
    """Sends requests with one set of limits; used by the one thread of its action."""

    def __init__(
        self, where: str, timeout_seconds: float, monotonic: Callable[[], float], *, ca_file: str | None = None,
        proxy: str | None = None,
    ) -> None:  # fmt: skip
        self._where, self._timeout, self._monotonic = where, timeout_seconds, monotonic
        self._ca_file, self._proxy = ca_file, proxy
        self._client: httpx.Client | None = None

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST and give a 2xx answer.

        Raises:
            ActionError: anything else came, or nothing in time.
        """
        try:
            with self._open().stream("POST", url, content=body, headers=dict(headers)) as response:
                answer = Answer(response.status_code, self._read(response))
                wait = _retry_after(response.headers.get("retry-after", ""))
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            todo = "It is tried again; check the address, the network and its certificate"
            raise ActionError(f"no answer ({type(error).__name__})", where=self._where, todo=todo) from None
        self._check(answer.status, wait)
        return answer

    def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> httpx.Client:
        if self._client is None:
            try:
                trust = ssl.create_default_context(cafile=self._ca_file)
            except OSError:
                raise ActionError("ca_file cannot be read", where=self._where, todo="Check the path") from None
            # trust_env off: a proxy from the environment must not see what the settings did not send through it
            self._client = httpx.Client(
                timeout=self._timeout, follow_redirects=False, verify=trust, trust_env=False, proxy=self._proxy,
                headers={"user-agent": "watchbill"}, limits=httpx.Limits(max_keepalive_connections=0),
            )  # fmt: skip
        return self._client

    def _read(self, response: httpx.Response) -> bytes:
        """The beginning of the body; one that drips ends at the deadline."""
        end = self._monotonic() + self._timeout
        parts: list[bytes] = []
        size = 0
        for part in response.iter_raw():
            parts.append(part)
            size += len(part)
            if size > ANSWER_BYTES_MAX or self._monotonic() > end:
                break
        return b"".join(parts)[:ANSWER_BYTES_MAX]

    def _check(self, status: int, wait: float) -> None:
        if 200 <= status < 300:  # noqa: PLR2004 - RFC 9110, 15.3
            return
        if 300 <= status < 400:  # noqa: PLR2004 - RFC 9110, 15.4
            raise ActionError(
                f"answered {status}: redirects are not followed", where=self._where, todo="Set the final address"
            )
        raise ActionError(
            f"answered {status}", where=self._where, todo="Look at the other side", final=status in _FINAL,
            retry_seconds=wait,
        )  # fmt: skip


def _retry_after(text: str) -> float:
    """Seconds that the other side asks for; a date is not read, the usual pause does."""
    return min(float(text), RETRY_SECONDS_MAX) if text.isdecimal() and len(text) < 9 else 0.0  # noqa: PLR2004 - years
