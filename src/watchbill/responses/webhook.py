"""An action that posts a signed event (Standard Webhooks 1.0) to an address of your own.

Receivers verify `webhook-signature` with any library of standardwebhooks.com and count each `webhook-id` once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
from typing import Any, Final

from pydantic import SecretStr, field_validator

from watchbill.core.errors import SettingsError
from watchbill.responses.base import Action, ActionSettings, Around, Order, event_of
from watchbill.responses.sending import Sender, checked_url

SECRET_MIN: Final = 24
SECRET_MAX: Final = 64


class Settings(ActionSettings):
    """Where to post, and the secret that signs."""

    kind: str = "webhook"
    url: str
    secret: SecretStr | None = None
    secret_env: str | None = None
    """Environment variable that holds the secret: whsec_ and base64 of 24 to 64 bytes."""
    secret_old_env: str | None = None
    """The one before, while receivers change over: both sign."""
    ca_file: str | None = None
    proxy: str | None = None

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        return checked_url(value)


class Webhook:
    """One receiver."""

    def __init__(self, name: str, settings: Settings, around: Around) -> None:
        self.name, self.settings, self._around = name, settings, around
        where = f"[actions.{name}]"
        given = settings.secret.get_secret_value() if settings.secret else os.environ.get(settings.secret_env or "", "")
        self._secrets = [_secret(given, where)]
        if settings.secret_old_env:
            self._secrets.append(_secret(os.environ.get(settings.secret_old_env, ""), where))
        self._sender = Sender(
            where, settings.timeout_seconds, around.monotonic, ca_file=settings.ca_file, proxy=settings.proxy
        )

    def suits(self, order: Order) -> str:  # noqa: ARG002 - the protocol's
        """Everything can be told."""
        return ""

    def apply(self, order: Order) -> None:
        """Post the event."""
        body = json.dumps(event_of(order, self.settings), ensure_ascii=False).encode()
        at = str(self._around.now_ms() // 1000)
        self._sender.post(self.settings.url, body, {
            "content-type": "application/json", "webhook-id": order.id, "webhook-timestamp": at,
            "webhook-signature": " ".join(signature(secret, order.id, at, body) for secret in self._secrets),
        })  # fmt: skip

    def undo(self, order: Order) -> None:
        """Post the event that takes it back."""
        self.apply(order)

    def describe(self, order: Order) -> dict[str, Any]:
        """Address and event."""
        return {"post": self.settings.url, "body": event_of(order, self.settings)}

    def tend(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Let go of connections."""
        self._sender.close()


def signature(secret: bytes, identity: str, at: str, body: bytes) -> str:
    """`v1,` and base64 of HMAC-SHA256 over id, time (epoch seconds) and body (Standard Webhooks 1.0)."""
    mac = hmac.digest(secret, f"{identity}.{at}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac).decode()


def _secret(text: str, where: str) -> bytes:
    """The key's bytes.

    Raises:
        SettingsError: there is none, or it is no such secret.
    """
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not SECRET_MIN <= len(key) <= SECRET_MAX:
        todo = f"Set secret_env to a variable with whsec_ and base64 of {SECRET_MIN} to {SECRET_MAX} random bytes"
        raise SettingsError("its secret is missing or no such secret", where=where, todo=todo)
    return key


def open_action(name: str, settings: ActionSettings, around: Around) -> Action:
    """The action of this kind."""
    if not isinstance(settings, Settings):
        raise SettingsError("these are no settings of a webhook", where=f"[actions.{name}]", todo="Set kind")
    return Webhook(name, settings, around)
