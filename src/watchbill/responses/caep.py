"""An action that tells an identity provider: Security Event Tokens of CAEP and RISC over the Shared Signals Framework 1.0.

An ended session is `session-revoked`, a suspension `account-disabled`, its end `account-enabled`. One action is one receiver.
It makes its stream itself through the web (web/ssf.py) and is pushed to (RFC 8935) or polls (RFC 8936); or `stream = "given"`
has one from the start, for receivers that only take pushes. Each token holds exactly one event, no `sub` and no `exp`.
"""

from __future__ import annotations

import csv
import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from watchbill.core.errors import ActionError, SettingsError
from watchbill.responses.base import Action, ActionSettings, Around, Order, StepName
from watchbill.responses.sending import Sender, checked_url
from watchbill.responses.setkeys import SetKeys, canonical_subject
from watchbill.responses.streams import PUSH, Stream, Streams, Token

SESSION_REVOKED: Final = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
ACCOUNT_DISABLED: Final = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
ACCOUNT_ENABLED: Final = "https://schemas.openid.net/secevent/risc/event-type/account-enabled"
VERIFICATION: Final = "https://schemas.openid.net/secevent/ssf/event-type/verification"
EVENTS: Final = (SESSION_REVOKED, ACCOUNT_DISABLED, ACCOUNT_ENABLED)
TOKEN_MIN: Final = 16
_SUBJECTS_MAX: Final = 5_000_000
_PUSH_AT_ONCE: Final = 100
_PUSH_PAUSE_SECONDS: Final = 30.0


class Settings(ActionSettings):
    """One receiver of security events."""

    kind: str = "caep"
    on: tuple[StepName, ...] = ("end_session", "suspend")
    issuer: str
    """Our address as receivers know it: https, no query; the same in all actions of this kind."""
    audience: str = Field(min_length=1, max_length=1_000)
    """`aud` of its tokens, as agreed with the receiver."""
    token: SecretStr | None = None
    token_env: str | None = None
    """Variable with the token by which the receiver shows itself at our endpoints; without one it only takes pushes."""
    push_urls: tuple[str, ...] = Field(default=(), max_length=16)
    """Addresses that the receiver may ask to be pushed to: no other is ever sent to."""
    push_header_env: str | None = None
    """Variable with the Authorization header of pushes on a given stream."""
    stream: Literal["asked", "given"] = "asked"
    subject_format: Literal["email", "iss_sub"] = "iss_sub"
    subject: str = Field(default="{account}", max_length=1_000)
    """How the receiver calls an account: a text with {account} in it."""
    subject_issuer: str = ""
    """`iss` of iss_sub: who gave the name, usually the identity provider."""
    subjects_file: str | None = None
    """CSV with the columns account and subject; an account that is not in it cannot be told of."""
    streams_max: int = Field(default=4, ge=1, le=100)
    verification_seconds: int = Field(default=60, ge=0, le=86_400)
    """Least time between two verifications that the receiver asks for."""
    key_days: float = Field(default=90.0, gt=8, le=3_650)
    """Age of a signing key at which the next is made."""
    ca_file: str | None = None
    proxy: str | None = None

    @field_validator("push_urls")
    @classmethod
    def _urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(checked_url(url) for url in value)

    @field_validator("issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        checked_url(value)
        if "?" in value or "#" in value or value.endswith("/"):
            raise ValueError("has a query, a fragment or a slash at its end")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Settings:
        if self.subject_format == "iss_sub" and not self.subject_issuer:
            raise ValueError("subject_issuer is missing (who gave the names of accounts)")
        if self.subjects_file is None and "{account}" not in self.subject:
            raise ValueError("subject holds no {account}: all accounts would be one")
        if self.stream == "given" and not self.push_urls:
            raise ValueError("a given stream needs push_urls")
        return self


class Caep:
    """One receiver with its streams."""

    def __init__(self, name: str, settings: Settings, around: Around) -> None:
        self.name, self.settings, self._around = name, settings, around
        self._where = f"[actions.{name}]"
        self.token_digest = _token_digest(settings, self._where)
        self.streams = Streams(around.home)
        self.keys = SetKeys(around.home, days=settings.key_days)
        self._subjects = _Subjects(settings, self._where)
        self._sender = Sender(
            self._where, settings.timeout_seconds, around.monotonic, ca_file=settings.ca_file, proxy=settings.proxy
        )
        self._turned = self._pushed = float("-inf")

    # -- the protocol of actions -------------------------------------------------------------------------------

    def suits(self, order: Order) -> str:
        """Only accounts have a subject at an identity provider, and only two steps an event."""
        if order.device:
            return "devices have no subject there"
        return "" if order.step in ("end_session", "suspend") else "no event stands for this step"

    def apply(self, order: Order) -> None:
        """Put the event into every stream that asks for it, and push it where it is pushed."""
        kind = event_type(order)
        if kind is None:
            return  # a session that was ended cannot be given back: signing in again is what restores it
        streams = self.all_streams()
        if not streams:
            todo = "Let the receiver make a stream, or set stream = 'given'"
            raise ActionError("its receiver has no stream yet", where=self._where, todo=todo)
        failed: ActionError | None = None
        for stream in streams:
            try:
                self._tell(stream, kind, order)
            except ActionError as error:  # the other streams are told all the same
                failed = error
        if failed is not None:
            raise failed

    def undo(self, order: Order) -> None:
        """Say that the account is enabled again."""
        self.apply(order)

    def describe(self, order: Order) -> dict[str, Any]:
        """Receivers' streams and the claims of the token; needs no key and makes none."""
        kind = event_type(order)
        if kind is None:
            return {"streams": 0, "claims": None}
        there = (self._around.home / "ssf.sqlite").exists()
        streams = len(self.streams.of(self.name)) if there else int(self.settings.stream == "given")
        return {"streams": streams, "claims": self._claims(order.id, kind, order)}

    def tend(self) -> None:
        """Change keys where it is time, and push what was held: verifications, and what came while a stream was paused."""
        now = self._around.monotonic()
        if now - self._turned > _PUSH_PAUSE_SECONDS:
            self.keys.turn(self._around.now_ms())
            self._turned = now
        if now < self._pushed:
            return
        for stream in self.all_streams():
            if stream.method == PUSH and stream.status == "enabled":
                self._push_held(stream)

    def close(self) -> None:
        """Let go of connections and the store; the web opens it anew."""
        self._sender.close()
        self.streams.close()

    # -- streams and tokens ------------------------------------------------------------------------------------

    def all_streams(self) -> list[Stream]:
        """The receiver's streams; a given one is made on first use."""
        streams = self.streams.of(self.name)
        if self.settings.stream == "given":
            header = os.environ.get(self.settings.push_header_env or "", "")
            given = Stream(f"given-{self.name}", self.name, PUSH, self.settings.push_urls[0], header)
            at = next((one for one in streams if one.id == given.id), None)
            wanted = replace(given, status=at.status, verified=at.verified) if at else given
            if at != wanted:
                self.streams.keep(wanted)
                streams = self.streams.of(self.name)
        return streams

    def verification(self, stream: Stream, state: str | None) -> None:
        """Put a verification event into a stream (SSF 1.0); it goes out by push or poll like the others.

        Raises:
            ActionError: too much waits in it, or there is no key.
        """
        now = self._around.now_ms()
        jti = f"ver_{hashlib.blake2b(f'{stream.id}|{now}|{state}'.encode(), digest_size=16).hexdigest()}"
        claims = {
            "iss": self.settings.issuer, "jti": jti, "iat": now // 1000, "aud": self.settings.audience,
            "sub_id": {"format": "opaque", "id": stream.id},
            "events": {VERIFICATION: {} if state is None else {"state": state}},
        }  # fmt: skip
        kept = "held" if stream.method == PUSH else "ready"
        self.streams.verify(stream, Token(jti, self._sign(claims, now), kept), now)

    def since_verified_ms(self, stream: Stream) -> int:
        """How long ago a verification of this stream was last asked for."""
        return self._around.now_ms() - stream.verified

    def _tell(self, stream: Stream, kind: str, order: Order) -> None:
        if stream.status == "disabled" or (stream.events is not None and kind not in stream.events):
            return
        subject = canonical_subject(self._subjects.of(order.account))
        if self.streams.is_removed(stream.id, subject):
            return
        # jti: one a stream and order, so that a receiver counts each once however often it is sent
        jti = f"{order.id}.{hashlib.blake2b(stream.id.encode(), digest_size=6).hexdigest()}"
        now = self._around.now_ms()
        token = self.streams.find(stream.id, jti)
        if token is None:
            state = "held" if stream.method == PUSH and stream.status == "paused" else "ready"
            signed = self._sign(self._claims(jti, kind, order), now)
            token = self.streams.put(stream.id, Token(jti, signed, state), now)
        if stream.method == PUSH and token.state == "ready":
            self._push(stream, token)

    def _sign(self, claims: dict[str, Any], now: int) -> str:
        self.keys.turn(now)
        return self.keys.sign(claims, now)

    def _claims(self, jti: str, kind: str, order: Order) -> dict[str, Any]:
        seconds = order.time // 1000
        event: dict[str, Any] = {}
        if kind == SESSION_REVOKED:
            case = order.case or "-"  # the interoperability profile wants a reason always; which one stands in the case
            reason = {"en": f"Containment step, case {case}", "zh": f"风控措施，案件 {case}"}
            event = {"event_timestamp": seconds, "initiating_entity": "policy", "reason_admin": reason}
        return {
            "iss": self.settings.issuer, "jti": jti, "iat": self._around.now_ms() // 1000, "aud": self.settings.audience,
            "txn": order.txn or order.id, "sub_id": self._subjects.of(order.account), "events": {kind: event},
        }  # fmt: skip

    def _push_held(self, stream: Stream) -> None:
        """In the order in which they were held; a failure waits a while."""
        for token in self.streams.waiting(stream.id, ("held",), _PUSH_AT_ONCE):
            try:
                self._push(stream, token)
            except ActionError:
                self._pushed = self._around.monotonic() + _PUSH_PAUSE_SECONDS
                raise

    def _push(self, stream: Stream, token: Token) -> None:
        """RFC 8935: 202 means that the receiver has it."""
        if stream.endpoint not in self.settings.push_urls:
            todo = "Add it to push_urls, or let the receiver change its stream"
            raise ActionError("a stream's address is not in push_urls", where=self._where, todo=todo)
        headers = {"content-type": "application/secevent+jwt", "accept": "application/json"}
        if stream.header:
            headers["authorization"] = stream.header
        self._sender.post(stream.endpoint, token.token.encode(), headers)
        self.streams.done(stream.id, [token.jti])


def event_type(order: Order) -> str | None:
    """The event that says this, None where none does."""
    if order.step == "suspend":
        return ACCOUNT_DISABLED if order.verb == "apply" else ACCOUNT_ENABLED
    return SESSION_REVOKED if order.verb == "apply" else None


class _Subjects:
    """How the receiver calls an account; a file is read again when it changes."""

    def __init__(self, settings: Settings, where: str) -> None:
        self._settings, self._where = settings, where
        self._path = Path(settings.subjects_file) if settings.subjects_file else None
        self._stamp: tuple[int, int] | None = None
        self._names: dict[str, str] = {}
        if self._path is not None:
            self._refresh(self._path)

    def of(self, account: str) -> dict[str, Any]:
        """The subject identifier (RFC 9493).

        Raises:
            ActionError: the file does not name the account.
        """
        name = self._settings.subject.replace("{account}", account)
        if self._path is not None:
            self._refresh(self._path)
            if account not in self._names:
                todo = "Add the account to it; `watchbill actions retry` then sends"
                raise ActionError("an account is not in subjects_file", where=self._where, todo=todo)
            name = self._names[account]
        if self._settings.subject_format == "email":
            return {"format": "email", "email": name}
        return {"format": "iss_sub", "iss": self._settings.subject_issuer, "sub": name}

    def _refresh(self, path: Path) -> None:
        try:
            stat = path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            if stamp == self._stamp:
                return
            with path.open(encoding="utf-8-sig", newline="") as file:
                self._names = _names(file)
        except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
            todo = "CSV with the columns account and subject"
            raise ActionError(
                f"subjects_file cannot be read ({type(error).__name__})", where=self._where, todo=todo
            ) from None
        self._stamp = stamp


def _names(file: Any) -> dict[str, str]:  # noqa: ANN401 - any text stream
    names: dict[str, str] = {}
    for row in csv.DictReader(file):
        names[row["account"]] = row["subject"]
        if len(names) > _SUBJECTS_MAX:
            raise KeyError("too many")
    return names


def _token_digest(settings: Settings, where: str) -> bytes | None:
    """SHA-256 of the receiver's token; None: it has none, and so no endpoint.

    Raises:
        SettingsError: it is named and missing, or too short.
    """
    if settings.token is None and settings.token_env is None:
        return None
    text = settings.token.get_secret_value() if settings.token else os.environ.get(settings.token_env or "", "")
    if len(text) < TOKEN_MIN:
        todo = f"Set token_env to a variable with a token of at least {TOKEN_MIN} characters"
        raise SettingsError("its token is missing or too short", where=where, todo=todo)
    return hashlib.sha256(text.encode()).digest()


def open_action(name: str, settings: ActionSettings, around: Around) -> Action:
    """The action of this kind."""
    where = f"[actions.{name}]"
    if not isinstance(settings, Settings):
        raise SettingsError("these are no settings of a receiver of events", where=where, todo="Set kind")
    try:
        return Caep(name, settings, around)
    except ActionError as error:
        raise SettingsError(error.what, where=where, todo=error.todo) from None
