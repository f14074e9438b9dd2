"""WebAuthn for proofs of presence: enrol a key, challenge it, and hand on what it proved; for the firm's systems, not for browsers.

The caller is the system whose session has to be proven: it asks for a challenge for that session, lets its own page carry it out,
and brings the answer back, authenticated by its token. So a session is proven only through itself. Refusals are JSON
{what, where, todo}; nothing that was sent stands in an answer. There is no endpoint that takes a code for presence.
Source: W3C Web Authentication Level 3; verification by py_webauthn.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AttestationFormat,
    AuthenticatorAttachment,
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialHint,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from watchbill.core.errors import SettingsError, WatchbillError
from watchbill.core.settings import fault_of
from watchbill.runners.presencekeys import PresenceKeys, fingerprint_of
from watchbill.runners.proving import Proof
from watchbill.web.authzen import PRESENCE_BASE
from watchbill.web.ingest import Rate, Refusal

if TYPE_CHECKING:
    from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
    from webauthn.registration.verify_registration_response import VerifiedRegistration

    from watchbill.runners.presencekeys import Key

TEXT_MAX: Final = 4096
_TOKEN_MIN: Final = 16
_ROOTS_BYTES_MAX: Final = 1 << 20
Hand = Callable[[Proof], None]
"""Takes a proof to the engine, durably (runners/inbox.put for the way through files); raises OSError when it cannot."""


class PresenceSettings(BaseModel):
    """`[presence]` of the settings file. `rp_id` is the domain that the pages share, `origins` are the pages' own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rp_id: str = Field(min_length=1, max_length=253)
    rp_name: str = Field(default="Watchbill", min_length=1, max_length=64)
    origins: tuple[str, ...] = Field(min_length=1, max_length=32)
    token: SecretStr | None = None
    token_env: str | None = None
    attestation: Literal["none", "direct"] = "none"
    attestation_roots: tuple[str, ...] = ()
    aaguids: tuple[str, ...] = ()
    synced_keys: bool = False
    challenge_seconds: float = Field(default=60.0, ge=10, le=300)
    challenges_max: int = Field(default=10_000, ge=1, le=1_000_000)
    challenges_an_account: int = Field(default=3, ge=1, le=100)
    body_bytes_max: int = Field(default=64 << 10, ge=4096, le=1 << 20)
    body_seconds_max: float = Field(default=10.0, gt=0)
    requests_per_second_max: float = Field(default=20.0, gt=0)

    @field_validator("origins")
    @classmethod
    def _secure(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            local = origin.startswith(("http://localhost", "http://127.0.0.1"))
            if not origin.startswith("https://") and not local:
                raise ValueError("an origin is https://host[:port]")
        return origins

    @model_validator(mode="after")
    def _makes_sense(self) -> PresenceSettings:
        if (self.aaguids or self.attestation_roots) and self.attestation == "none":
            raise ValueError('aaguids and attestation_roots mean something with attestation = "direct" only')
        if self.attestation == "direct" and not (self.aaguids and self.attestation_roots):
            raise ValueError('attestation = "direct" needs aaguids and attestation_roots')
        return self

    def token_digest(self) -> bytes:
        """SHA-256 of the token that callers send.

        Raises:
            SettingsError: there is none, or it is shorter than 16 characters.
        """
        found = self.token.get_secret_value() if self.token else os.environ.get(self.token_env or "", "")
        if len(found) < _TOKEN_MIN:
            todo = f"Set token_env, with at least {_TOKEN_MIN} characters in that variable"
            raise SettingsError("no token, or too short a one", where="[presence]", todo=todo)
        return hashlib.sha256(found.encode()).digest()

    def roots(self) -> dict[AttestationFormat, list[bytes]]:
        """Root certificates by format.

        Raises:
            SettingsError: a file cannot be read.
        """
        try:
            certificates = [_head(Path(name)) for name in self.attestation_roots]
        except OSError as error:
            raise SettingsError(
                "attestation_roots cannot be read", where="[presence]", todo="Check the path"
            ) from error
        return dict.fromkeys(AttestationFormat, certificates)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_ROOTS_BYTES_MAX)


def read_presence(table: Mapping[str, object]) -> PresenceSettings:
    """`[presence]` of a settings file.

    Raises:
        SettingsError: says what is wrong.
    """
    try:
        return PresenceSettings.model_validate(dict(table))
    except ValidationError as error:
        raise SettingsError(fault_of(error), where="[presence]", todo="See docs/presence.md") from None


@dataclass(frozen=True, slots=True)
class Challenge:
    """What was asked, until when (monotonic seconds): to enrol with an invitation, or to prove a session of an account."""

    challenge: bytes
    account: str
    until: float
    invite: str = ""
    session: str = ""
    device: str = ""


class Challenges:
    """Open challenges: each is answered once, in time, or gone. Bounded in all and an account; gone with the process."""

    def __init__(self, settings: PresenceSettings, clock: Callable[[], float]) -> None:
        self._settings, self._clock = settings, clock
        self._open: dict[str, Challenge] = {}
        self._lock = threading.Lock()

    def put(self, account: str, **more: str) -> tuple[str, Challenge]:
        """A new challenge and its id; the account's oldest gives way to it.

        Raises:
            Refusal: too many are open.
        """
        now = self._clock()
        made = Challenge(secrets.token_bytes(32), account, now + self._settings.challenge_seconds, **more)
        with self._lock:
            # in order of their end, since all last equally long
            for name in [name for name, one in self._open.items() if one.until <= now]:
                del self._open[name]
            mine = [name for name, one in self._open.items() if one.account == account]
            for name in mine[: len(mine) - self._settings.challenges_an_account + 1]:
                del self._open[name]
            if len(self._open) >= self._settings.challenges_max:
                raise Refusal(429, "too many challenges are open", todo="Ask again later", retry_seconds=5)
            identity = secrets.token_urlsafe(16)
            self._open[identity] = made
        return identity, made

    def take(self, identity: str) -> Challenge:
        """The challenge, which is gone with this.

        Raises:
            Refusal: there is none, it was answered, or its time is over.
        """
        with self._lock:
            found = self._open.pop(identity, None)
        if found is None or found.until <= self._clock():
            raise Refusal(409, "no such challenge is open", where="id", todo="Begin again")
        return found


class PresenceDoor:
    """The four endpoints over the keys of a home; `now_ms` stamps what they do, `clock` is monotonic."""

    def __init__(
        self, keys: PresenceKeys, settings: PresenceSettings, hand: Hand, *, now_ms: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.keys, self.settings, self.hand, self.now_ms = keys, settings, hand, now_ms
        self.challenges = Challenges(settings, clock)
        self._digest, self._roots = settings.token_digest(), settings.roots()
        self._rate = Rate(settings.requests_per_second_max, clock)

    # -- enrolment ---------------------------------------------------------------------------------------------

    def enrol_begin(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """{account, invite} -> {id, options}: options for navigator.credentials.create()."""
        account, code = _text(given, "account"), _text(given, "invite")
        invite = self.keys.find_invite(account, code, self.now_ms())
        if invite is None:
            raise Refusal(
                403, "no open invitation", where="invite", todo="A supervisor makes one: watchbill presence invite"
            )
        identity, made = self.challenges.put(account, invite=invite.id)
        own = AuthenticatorAttachment.PLATFORM if invite.device else None
        hints = (
            [PublicKeyCredentialHint.CLIENT_DEVICE]
            if invite.device
            else [PublicKeyCredentialHint.HYBRID, PublicKeyCredentialHint.SECURITY_KEY]
        )
        options = generate_registration_options(
            rp_id=self.settings.rp_id, rp_name=self.settings.rp_name, user_name=account, user_id=secrets.token_bytes(32),
            challenge=made.challenge, timeout=int(self.settings.challenge_seconds * 1000), hints=hints,
            attestation=AttestationConveyancePreference(self.settings.attestation),
            authenticator_selection=AuthenticatorSelectionCriteria(
                authenticator_attachment=own, resident_key=ResidentKeyRequirement.DISCOURAGED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=_descriptors([key for key in self.keys.keys(account) if key.living]),
        )  # fmt: skip
        return {"id": identity, "options": json.loads(options_to_json(options))}

    def enrol_finish(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """{id, credential} -> {key, fingerprint, confirmed: false}: what the second person has to confirm."""
        asked = self._asked(given, "invite")
        found = self._registered(asked, given)
        if not self.settings.synced_keys and found.credential_device_type != CredentialDeviceType.SINGLE_DEVICE:
            todo = "Use a security key or one that stays in its device, or allow synced_keys"
            raise Refusal(403, "the key is not bound to a device", where="credential", todo=todo)
        if self.settings.aaguids and found.aaguid not in self.settings.aaguids:
            raise Refusal(
                403, "the authenticator's model is not allowed", where="credential", todo="See aaguids in [presence]"
            )
        key = self.keys.add(
            asked.invite,
            found.credential_id,
            found.credential_public_key,
            found.sign_count,
            found.aaguid,
            self.now_ms(),
        )
        return {"key": key.id, "fingerprint": fingerprint_of(key.public), "confirmed": False}

    def _registered(self, asked: Challenge, given: Mapping[str, Any]) -> VerifiedRegistration:
        try:
            found = verify_registration_response(
                credential=_credential(given), expected_challenge=asked.challenge, expected_rp_id=self.settings.rp_id,
                expected_origin=list(self.settings.origins), require_user_verification=True,
                pem_root_certs_bytes_by_fmt=self._roots or None,
            )  # fmt: skip
        except Exception:  # noqa: BLE001 - hostile input fails in many ways inside; all mean the same
            raise Refusal(403, "the key could not be verified", where="credential", todo="Begin again") from None
        if self.settings.attestation == "direct" and found.fmt == AttestationFormat.NONE:
            raise Refusal(
                403, "the key says nothing of its maker", where="credential", todo="Use a key that is allowed"
            )
        return found

    # -- proof -------------------------------------------------------------------------------------------------

    def proof_begin(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """{account, session, device?} -> {id, options}: options for navigator.credentials.get()."""
        account, session = _text(given, "account"), _text(given, "session")
        device = _text(given, "device") if "device" in given else ""
        usable = [key for key in self.keys.keys(account) if key.counts and key.device in ("", device)]
        if not usable:
            todo = "Prove presence by a scan or from the outlet's network, or enrol a key"
            raise Refusal(404, "no key can prove this session", where="account", todo=todo)
        identity, made = self.challenges.put(account, session=session, device=device)
        options = generate_authentication_options(
            rp_id=self.settings.rp_id, challenge=made.challenge, timeout=int(self.settings.challenge_seconds * 1000),
            allow_credentials=_descriptors(usable), user_verification=UserVerificationRequirement.REQUIRED,
        )  # fmt: skip
        return {"id": identity, "options": json.loads(options_to_json(options))}

    def proof_finish(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """{id, credential} -> {proven, proof}: the proof is on its way into the journal; ask for the decision again."""
        asked = self._asked(given, "session")
        credential = _credential(given)
        key = self._key_of(asked, credential)
        found = self._signed(asked, key, credential)
        now = self.now_ms()
        if not self.keys.sign(key.id, found.new_sign_count, now):
            raise Refusal(403, "the key counts no more", where="credential", todo="See watchbill presence list")
        place = {"device": key.device} if key.device else {"session": asked.session}
        proof = Proof.model_validate(
            {"id": secrets.token_hex(16), "account": asked.account, "credential": key.id, "time": now, **place}
        )
        try:
            self.hand(proof)
        except OSError:
            raise Refusal(503, "the proof cannot be stored now", todo="Begin again later", retry_seconds=10) from None
        return {"proven": True, "proof": proof.id}

    def _key_of(self, asked: Challenge, credential: Mapping[str, Any]) -> Key:
        try:
            raw = base64url_to_bytes(str(credential.get("rawId"))[:TEXT_MAX])
        except ValueError:
            raw = b""
        for key in self.keys.keys(asked.account):
            if key.counts and key.device in ("", asked.device) and hmac.compare_digest(key.credential, raw):
                return key
        raise Refusal(403, "no key of this account that counts here", where="credential", todo="Begin again")

    def _signed(self, asked: Challenge, key: Key, credential: dict[str, Any]) -> VerifiedAuthentication:
        try:
            return verify_authentication_response(
                credential=credential, expected_challenge=asked.challenge, expected_rp_id=self.settings.rp_id,
                expected_origin=list(self.settings.origins), credential_public_key=key.public,
                credential_current_sign_count=key.signs, require_user_verification=True,
            )  # fmt: skip
        except Exception:  # noqa: BLE001 - hostile input fails in many ways inside; all mean the same
            raise Refusal(403, "the answer could not be verified", where="credential", todo="Begin again") from None

    def _asked(self, given: Mapping[str, Any], purpose: str) -> Challenge:
        found = self.challenges.take(_text(given, "id"))
        if not getattr(found, purpose):
            raise Refusal(409, "that challenge was for something else", where="id", todo="Begin again")
        return found

    # -- http --------------------------------------------------------------------------------------------------

    async def answer(self, request: Request, does: Callable[[Mapping[str, Any]], dict[str, Any]]) -> JSONResponse:
        """One request: who asks, how often, what; then `does`, off the loop."""
        try:
            self._check(request)
            given = await self._body(request)
            return JSONResponse(await run_in_threadpool(does, given), headers={"Cache-Control": "no-store"})
        except Refusal as refusal:
            return refusal.response()
        except sqlite3.Error:
            return Refusal(503, "the keys cannot be read or written now", todo="Try again", retry_seconds=10).response()
        except WatchbillError as error:
            return Refusal(409, error.what, where=error.where, todo=error.todo).response()

    def _check(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(hashlib.sha256(token.strip().encode()).digest(), self._digest)
        if not same or scheme.lower() != "bearer":
            raise Refusal(401, "no such token", where="Authorization", todo="Send `Bearer <token>`")
        seconds = self._rate.wait_seconds()
        if seconds > 0:
            raise Refusal(429, "over the rate", todo="Ask again later", retry_seconds=seconds)
        self._rate.add(1.0)

    async def _body(self, request: Request) -> Mapping[str, Any]:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refusal(415, "not JSON", where="Content-Type", todo="Send application/json")
        body = b""
        try:
            async with asyncio.timeout(self.settings.body_seconds_max):
                async for part in request.stream():
                    body += part
                    if len(body) > self.settings.body_bytes_max:
                        raise Refusal(413, f"over {self.settings.body_bytes_max} bytes", where="body", todo="Send less")
        except (TimeoutError, ClientDisconnect):
            raise Refusal(408, "the body took too long or ended early", todo="Send it again") from None
        try:
            given = json.loads(body)
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            raise Refusal(400, "not a JSON object", where="body", todo="See docs/presence.md")
        return given


def _descriptors(keys: list[Key]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=key.credential) for key in keys]


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_MAX or "\0" in value:
        raise Refusal(400, f"not a text of 1 to {TEXT_MAX} characters", where=name, todo="See docs/presence.md")
    return value


def _credential(given: Mapping[str, Any]) -> dict[str, Any]:
    value = given.get("credential")
    if not isinstance(value, dict):
        raise Refusal(400, "not a JSON object", where="credential", todo="Send what the browser gave, as toJSON() does")
    return value


def routes(
    keys: PresenceKeys, settings: PresenceSettings, hand: Hand, *, now_ms: Callable[[], int],
    clock: Callable[[], float] = time.monotonic,
) -> list[Route]:  # fmt: skip
    """POST /presence/v1/{enrol,proof}/{begin,finish}, for the app that holds them.

    Raises:
        SettingsError: the token or the root certificates are missing.
    """
    door = PresenceDoor(keys, settings, hand, now_ms=now_ms, clock=clock)

    def post(path: str, does: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Route:
        async def endpoint(request: Request) -> JSONResponse:
            return await door.answer(request, does)

        return Route(f"{PRESENCE_BASE}/{path}", endpoint, methods=["POST"])

    return [
        post("enrol/begin", door.enrol_begin), post("enrol/finish", door.enrol_finish),
        post("proof/begin", door.proof_begin), post("proof/finish", door.proof_finish),
    ]  # fmt: skip
