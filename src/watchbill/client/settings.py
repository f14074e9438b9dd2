"""Settings of the caller's side: where Watchbill is, how long to wait, and what happens when no answer comes."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from watchbill.core.errors import SettingsError
from watchbill.responses.asks import LOOK_KINDS

Mode = Literal["masked", "deny", "few"]
Kind = Literal["view", "search", "export", "print"]
DEFAULT_MODES: Mapping[Kind, Mode] = {"view": "masked", "search": "masked", "export": "masked", "print": "masked"}


class ClientSettings(BaseModel):
    """How one system asks. Times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    """Where Watchbill listens, as https://watchbill.example.com; plain http only on this machine."""
    token: SecretStr = Field(min_length=16)
    ca_file: str | None = None
    """PEM file of the authority that signed Watchbill's certificate; None: those that everybody trusts."""
    timeout_seconds: float = Field(default=1.0, gt=0, le=60)
    """Total: waiting for a free slot, connecting, all attempts, reading the answer."""
    attempts_max: int = Field(default=2, ge=1, le=5)
    in_flight_max: int = Field(default=32, ge=1, le=1000)
    waiting_max: int = Field(default=256, ge=0, le=100_000)
    failures_to_open: int = Field(default=5, ge=1, le=1000)
    open_seconds: float = Field(default=2.0, gt=0, le=600)
    open_seconds_max: float = Field(default=60.0, gt=0, le=3600)
    on_failure: Mapping[Kind, Mode] = DEFAULT_MODES
    few_looks: int = Field(default=5, ge=1, le=1000)
    few_refill_minutes: float = Field(default=12.0, gt=0)
    few_accounts_max: int = Field(default=10_000, ge=1, le=1_000_000)
    spool_folder: str | None = None
    spool_bytes_max: int = Field(default=16 << 20, ge=4096)
    records_token: SecretStr | None = Field(default=None, min_length=16)
    """Token of the http source that takes the spooled looks (docs/connect-your-logs.md)."""
    deliver_seconds: float = Field(default=5.0, gt=0)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("url is no http(s) address without query")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError("url is plain http beyond this machine: the token would cross the network in the clear")
        tokens = [token.get_secret_value() for token in (self.token, self.records_token) if token]
        if not all(text.isascii() and text.isprintable() and " " not in text for text in tokens):
            raise ValueError("a token holds something else than printable ASCII without spaces")
        if "few" in self.on_failure.values() and not (self.spool_folder and self.records_token):
            raise ValueError("on_failure says few: set spool_folder and records_token too")
        return self

    def mode(self, kind: str) -> Mode:
        """What happens to a look of this kind when no answer comes."""
        return next((mode for name, mode in self.on_failure.items() if name == kind), "masked")


def client_settings(**given: Any) -> ClientSettings:  # noqa: ANN401 - pydantic reads and checks the values
    """Settings, checked; `url` and `token` at least.

    Raises:
        SettingsError: a value is wrong; the text names it and holds no value.
    """
    try:
        return ClientSettings.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        todo = "See docs/guard-your-app.md, section Settings"
        raise SettingsError(str(first["msg"]), where=name or "client settings", todo=todo) from None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


if set(DEFAULT_MODES) != set(LOOK_KINDS):  # pragma: no cover - a kind that was added to the contract and forgotten here
    raise AssertionError("each kind of look needs its mode")


class GuardSettings(BaseModel):
    """How the middleware behaves (docs/guard-your-app.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    app: str = Field(default="", max_length=200)
    guarded: tuple[str, ...] = ("/",)
    """Paths under which a route that declares nothing is refused."""
    challenge_url: str = ""
    """Where a person shows that it is him; `{id}` becomes the decision's id."""
    ask_reason: Literal["refuse", "mask"] = "refuse"
    """While a reason is asked: a refusal (422), or the masked answer with a header that says so."""
    step_up_status: Literal[401, 403] = 401
    body_bytes_max: int = Field(default=8 << 20, ge=1024, le=1 << 30)
    sweep: bool = True
