"""The signed webhook, judged by the standard's own library."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from responses.worlds import SECRET, Server
from watchbill.core.errors import SettingsError
from watchbill.responses.base import Around, Order, open_action

OTHER = "whsec_" + "WldWVVRTUlFQT05NTEtKSUhHRkVEQ0JBWlla"
ORDER = Order("msg_1", "apply", "step", "suspend", 1_750_000_000_000, None, "c7", "E1")


def around() -> Around:
    return Around(Path("nowhere"), lambda: time.time_ns() // 1_000_000, time.monotonic)


def sent(**settings: Any) -> tuple[dict[str, str], bytes]:
    server = Server()
    try:
        open_action("it", {"kind": "webhook", "url": f"http://{server.host}/", **settings}, around()).apply(ORDER)
    finally:
        server.close()
    _, headers, body = server.requests[0]
    return headers, body


def test_the_signature_verifies_and_a_changed_body_does_not() -> None:
    headers, body = sent(secret=SECRET)
    assert Webhook(SECRET).verify(body, headers)["data"]["account"] == "E1"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"E1", b"E2"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(body, headers)
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["id"] == headers["webhook-id"] == "msg_1"


def test_while_the_secret_changes_both_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEW", OTHER)
    monkeypatch.setenv("OLD", SECRET)
    headers, body = sent(secret_env="NEW", secret_old_env="OLD")  # noqa: S106 - names of variables
    for secret in (SECRET, OTHER):
        assert Webhook(secret).verify(body, headers)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%", None])
def test_without_a_proper_secret_it_does_not_open(secret: str | None) -> None:
    with pytest.raises(SettingsError, match="secret") as told:
        open_action("it", {"kind": "webhook", "url": "https://example.com/", "secret": secret}, around())
    assert "c2hvcnQ" not in str(told.value)
