"""The Shared Signals Framework 1.0 over HTTP: how receivers find us, manage their streams, and poll (RFC 8936).

Each receiver is one `[actions.NAME]` of kind caep and shows itself by its bearer token; it sees its own streams only. What it
may be pushed to stands in settings, so a stolen token cannot turn us against another host. Errors are JSON {err, description}.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import inspect
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from watchbill.core.errors import ActionError, SettingsError
from watchbill.responses.caep import EVENTS, Caep
from watchbill.responses.setkeys import canonical_subject
from watchbill.responses.streams import POLL, PUSH, STATUSES, Stream

SPEC_VERSION: Final = "1_0"
WELL_KNOWN: Final = "/.well-known/ssf-configuration"
BODY_BYTES_MAX: Final = 64 << 10
BODY_SECONDS_MAX: Final = 10.0
TEXT_MAX: Final = 1_000
EVENTS_MAX: Final = 100
ACKS_MAX: Final = 1_000
POLL_EVENTS_MAX: Final = 100
POLL_SECONDS_MAX: Final = 20.0
"""How long a poll that does not ask for an answer at once may wait for the first event."""
POLLS_MAX: Final = 2
"""Polls of one stream that may wait at the same time."""
CONNECTIONS_EACH: Final = 16
"""Connections that a receiver may need: polls that wait on each of its streams, and a few more."""
_LOOK_SECONDS: Final = 0.25
_OURS: Final = ("iss", "aud", "events_supported", "events_delivered", "min_verification_interval")
_NO_STORE: Final = {"Cache-Control": "no-store"}


class _Refusal(Exception):
    """An answer other than success; the text never holds what was sent."""

    def __init__(self, status: int, err: str, what: str) -> None:
        super().__init__(what)
        self.status, self.err, self.what = status, err, what


class Ssf:
    """The endpoints over their receivers."""

    def __init__(self, receivers: Sequence[Caep], monotonic: Callable[[], float] = time.monotonic) -> None:
        issuers = {receiver.settings.issuer for receiver in receivers}
        if len(issuers) != 1:
            raise SettingsError("issuer differs between actions", where="[actions]", todo="Set the same one in all")
        self.receivers = list(receivers)
        self.issuer = issuers.pop()
        self._monotonic = monotonic
        self._waiting: dict[str, int] = {}

    # -- open to all -------------------------------------------------------------------------------------------

    async def metadata(self, _request: Request) -> Response:
        """Transmitter configuration metadata."""
        base = self.issuer + "/ssf"
        return JSONResponse({
            "spec_version": SPEC_VERSION, "issuer": self.issuer, "jwks_uri": base + "/jwks.json",
            "delivery_methods_supported": [PUSH, POLL], "configuration_endpoint": base + "/streams",
            "status_endpoint": base + "/status", "add_subject_endpoint": base + "/subjects:add",
            "remove_subject_endpoint": base + "/subjects:remove", "verification_endpoint": base + "/verify",
            "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}, {"spec_urn": "urn:ietf:rfc:6750"}], "default_subjects": "ALL",
        })  # fmt: skip

    async def jwks(self, _request: Request) -> Response:
        """The public keys; all receivers share them."""
        keys = await run_in_threadpool(self.receivers[0].keys.jwks)
        return JSONResponse(keys, headers={"Cache-Control": "max-age=3600"})

    # -- stream configuration ----------------------------------------------------------------------------------

    def create(self, who: Caep, told: dict[str, Any]) -> Response:
        """POST: make a stream."""
        given = _receivers_part(told, who)
        if len(who.all_streams()) >= who.settings.streams_max:
            raise _Refusal(409, "conflict", "this receiver has as many streams as it may")
        stream = Stream(id=secrets.token_hex(16), receiver=who.name, **given)
        who.streams.keep(stream)
        return JSONResponse(self.said(who, stream), 201, _NO_STORE)

    def read(self, who: Caep, told: dict[str, Any]) -> Response:
        """GET: one stream, or all."""
        if "stream_id" not in told:
            return JSONResponse([self.said(who, one) for one in who.all_streams()], headers=_NO_STORE)
        return JSONResponse(self.said(who, _stream(who, told)), headers=_NO_STORE)

    def update(self, who: Caep, told: dict[str, Any]) -> Response:
        """PATCH: change what is named."""
        return self._change(who, told, whole=False)

    def replace(self, who: Caep, told: dict[str, Any]) -> Response:
        """PUT: change everything that is the receiver's."""
        return self._change(who, told, whole=True)

    def _change(self, who: Caep, told: dict[str, Any], *, whole: bool) -> Response:
        stream = _stream(who, told)
        _not_given(stream)
        before = self.said(who, stream)
        for name in _OURS:
            if name in told and told[name] != before[name]:
                raise _Refusal(400, "invalid_request", f"{name} is the transmitter's and differs")
        given = _receivers_part(told, who)
        if not whole:
            names = {"events": "events_requested", "description": "description"}
            given = {name: value for name, value in given.items() if names.get(name, "delivery") in told}
        if given.get("method", stream.method) != stream.method:
            # what waits was signed for one way of delivery; a new stream is clearer than a changed one
            raise _Refusal(400, "invalid_request", "delivery.method cannot be changed; make another stream")
        changed = replace(stream, **given)
        who.streams.keep(changed)
        return JSONResponse(self.said(who, changed), headers=_NO_STORE)

    def delete(self, who: Caep, told: dict[str, Any]) -> Response:
        """DELETE: a stream with what waits in it."""
        stream = _stream(who, told)
        _not_given(stream)
        who.streams.drop(stream.id)
        return Response(status_code=204, headers=_NO_STORE)

    def said(self, who: Caep, stream: Stream) -> dict[str, Any]:
        """A stream's configuration as its receiver reads it."""
        delivery = {"method": stream.method, "endpoint_url": stream.endpoint or f"{self.issuer}/ssf/poll/{stream.id}"}
        if stream.header:
            delivery["authorization_header"] = stream.header
        requested = EVENTS if stream.events is None else stream.events
        return {
            "stream_id": stream.id, "iss": self.issuer, "aud": who.settings.audience, "delivery": delivery,
            "events_supported": list(EVENTS), "events_requested": list(requested),
            "events_delivered": [event for event in EVENTS if event in requested],
            "min_verification_interval": who.settings.verification_seconds,
            **({"description": stream.description} if stream.description else {}),
        }  # fmt: skip

    # -- status, subjects, verification ------------------------------------------------------------------------

    def status(self, who: Caep, told: dict[str, Any]) -> Response:
        """GET: a stream's status."""
        return JSONResponse(_status(_stream(who, told)), headers=_NO_STORE)

    def set_status(self, who: Caep, told: dict[str, Any]) -> Response:
        """POST: enable, pause (events are held) or disable (events are dropped)."""
        stream = _stream(who, told)
        if told.get("status") not in STATUSES:
            raise _Refusal(400, "invalid_request", "status is none of " + ", ".join(STATUSES))
        changed = replace(stream, status=told["status"], reason=_text(told, "reason"))
        who.streams.keep(changed)
        return JSONResponse(_status(changed), headers=_NO_STORE)

    def add_subject(self, who: Caep, told: dict[str, Any]) -> Response:
        """POST: send about a subject again (all are sent about from the start)."""
        who.streams.add_subject(_stream(who, told).id, _subject(told))
        return Response(status_code=200, headers=_NO_STORE)

    def remove_subject(self, who: Caep, told: dict[str, Any]) -> Response:
        """POST: send nothing more about a subject. The answer does not say whether we know it."""
        if not who.streams.remove_subject(_stream(who, told).id, _subject(told)):
            raise _Refusal(429, "too_many", "this stream names as many subjects as it may")
        return Response(status_code=204, headers=_NO_STORE)

    def verify(self, who: Caep, told: dict[str, Any]) -> Response:
        """POST: ask for a verification event."""
        stream = _stream(who, told)
        state = _text(told, "state") if "state" in told else None
        if who.since_verified_ms(stream) < who.settings.verification_seconds * 1000:
            raise _Refusal(429, "too_many", "min_verification_interval is not over")
        who.verification(stream, state)
        return Response(status_code=204, headers=_NO_STORE)

    # -- polling (RFC 8936) ------------------------------------------------------------------------------------

    async def poll(self, who: Caep, told: dict[str, Any]) -> Response:
        """POST: acknowledge what arrived, and give what waits."""
        most = told.get("maxEvents", POLL_EVENTS_MAX)
        if isinstance(most, bool) or not isinstance(most, int) or most < 0:
            raise _Refusal(400, "invalid_request", "maxEvents is not a count")
        done = _acknowledged(told)
        stream = await run_in_threadpool(_stream, who, told)
        if stream.method != POLL:
            raise _Refusal(404, "not_found", "there is no such stream to poll")
        if done:
            await run_in_threadpool(who.streams.done, stream.id, done)
        at_once = told.get("returnImmediately", False) is not False or most == 0
        tokens, more = await self._wait(who, stream, min(most, POLL_EVENTS_MAX), at_once=at_once)
        return JSONResponse({"sets": tokens, "moreAvailable": more}, headers=_NO_STORE)

    async def _wait(self, who: Caep, stream: Stream, most: int, *, at_once: bool) -> tuple[dict[str, str], bool]:
        end = self._monotonic() + POLL_SECONDS_MAX
        patient = not at_once and self._waiting.get(stream.id, 0) < POLLS_MAX
        self._waiting[stream.id] = self._waiting.get(stream.id, 0) + 1
        try:
            while True:
                tokens, more = await run_in_threadpool(_waiting, who, stream.id, most)
                if tokens or not patient or self._monotonic() > end:
                    return tokens, more
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            self._waiting[stream.id] -= 1
            if not self._waiting[stream.id]:
                del self._waiting[stream.id]

    # -- asking ------------------------------------------------------------------------------------------------

    def endpoint(self, **methods: Callable[[Caep, dict[str, Any]], Any]) -> Callable[[Request], Awaitable[Response]]:
        """A route's function: who asks, what they told, and the answer or refusal."""

        async def answer(request: Request) -> Response:
            try:
                who = self._who(request.headers.get("authorization", ""))
                told = await _told(request)
                method = methods[request.method.lower().replace("head", "get")]
                if inspect.iscoroutinefunction(method):
                    response = await method(who, told)
                else:
                    response = await run_in_threadpool(method, who, told)
            except _Refusal as refusal:
                headers = {**_NO_STORE, **({"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {})}  # noqa: PLR2004 - RFC 9110, 15.5.2
                return JSONResponse({"err": refusal.err, "description": refusal.what}, refusal.status, headers)
            except ActionError:
                told_so = {"err": "unavailable", "description": "it cannot be stored now; try again"}
                return JSONResponse(told_so, 503, {**_NO_STORE, "Retry-After": "5"})
            assert isinstance(response, Response)  # noqa: S101 - tells the type checker what the methods give
            return response

        return answer

    def _who(self, header: str) -> Caep:
        scheme, _, token = header.partition(" ")
        digest = hashlib.sha256(token.strip().encode()).digest()
        found = None
        for receiver in self.receivers:  # all are compared, so that the time says nothing
            known = receiver.token_digest
            if hmac.compare_digest(digest, known or bytes(32)) and known is not None:
                found = receiver
        if found is None or scheme.lower() != "bearer":
            raise _Refusal(401, "authentication_failed", "no receiver has this token")
        return found


def routes(receivers: Sequence[Caep], monotonic: Callable[[], float] = time.monotonic) -> list[Route]:
    """The routes of all receivers; none where there is no receiver.

    The issuer's path, if it has one, stands before them; a proxy that strips it has to put it back.

    Raises:
        SettingsError: the receivers know us by different addresses.
    """
    if not receivers:
        return []
    ssf = Ssf(receivers, monotonic)
    path = urlsplit(ssf.issuer).path
    base = path + "/ssf"
    end = ssf.endpoint
    return [
        Route(WELL_KNOWN + path, ssf.metadata, methods=["GET"]),
        Route(base + "/jwks.json", ssf.jwks, methods=["GET"]),
        Route(
            base + "/streams", methods=["GET", "POST", "PATCH", "PUT", "DELETE"],
            endpoint=end(get=ssf.read, post=ssf.create, patch=ssf.update, put=ssf.replace, delete=ssf.delete),
        ),
        Route(base + "/status", end(get=ssf.status, post=ssf.set_status), methods=["GET", "POST"]),
        Route(base + "/subjects:add", end(post=ssf.add_subject), methods=["POST"]),
        Route(base + "/subjects:remove", end(post=ssf.remove_subject), methods=["POST"]),
        Route(base + "/verify", end(post=ssf.verify), methods=["POST"]),
        Route(base + "/poll/{stream_id}", end(post=ssf.poll), methods=["POST"]),
    ]  # fmt: skip


# -- what was told ------------------------------------------------------------------------------------------------


async def _told(request: Request) -> dict[str, Any]:
    """The query of a GET or DELETE, the JSON object of the others; the path's stream before both."""
    if request.method in ("GET", "HEAD", "DELETE"):
        return {name: value for name, value in request.query_params.items() if len(value) <= TEXT_MAX}
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for part in request.stream():
                size += len(part)
                if size > BODY_BYTES_MAX:
                    raise _Refusal(413, "invalid_request", f"the body is larger than {BODY_BYTES_MAX} bytes")
                parts.append(part)
        told = json.loads(b"".join(parts) or b"{}")
        json.dumps(told, ensure_ascii=False).encode()  # half a character can be kept nowhere
    except (TimeoutError, ClientDisconnect):
        raise _Refusal(408, "invalid_request", "the body took too long") from None
    except (ValueError, RecursionError):
        raise _Refusal(400, "invalid_request", "the body is not JSON") from None
    if not isinstance(told, dict):
        raise _Refusal(400, "invalid_request", "the body is not an object")
    return {**told, **request.path_params}


def _stream(who: Caep, told: dict[str, Any]) -> Stream:
    name = told.get("stream_id")
    if not isinstance(name, str):
        raise _Refusal(400, "invalid_request", "stream_id is missing")
    found = next((one for one in who.all_streams() if one.id == name), None)
    if found is None:
        raise _Refusal(404, "not_found", "there is no such stream")
    return found


def _not_given(stream: Stream) -> None:
    if stream.id.startswith("given-"):
        raise _Refusal(403, "access_denied", "this stream is set up in the transmitter's settings")


def _receivers_part(told: dict[str, Any], who: Caep) -> dict[str, Any]:
    """What of a stream is the receiver's to say, checked."""
    delivery = told.get("delivery", {"method": POLL})
    if not isinstance(delivery, dict):
        raise _Refusal(400, "invalid_request", "delivery is not an object")
    method = delivery.get("method")
    if method not in (PUSH, POLL):
        raise _Refusal(400, "invalid_request", "delivery.method is not supported")
    endpoint = header = ""
    if method == PUSH:
        endpoint, header = _text(delivery, "endpoint_url"), _text(delivery, "authorization_header")
        if endpoint not in who.settings.push_urls:
            raise _Refusal(400, "invalid_request", "delivery.endpoint_url is not among those agreed")
        if not header.isprintable() or not header.isascii():
            raise _Refusal(400, "invalid_request", "delivery.authorization_header is no header")
    return {
        "method": method, "endpoint": endpoint, "header": header, "events": _events(told),
        "description": _text(told, "description"),
    }  # fmt: skip


def _events(told: dict[str, Any]) -> tuple[str, ...] | None:
    events = told.get("events_requested")
    if events is None:
        return None
    if not isinstance(events, list) or len(events) > EVENTS_MAX:
        raise _Refusal(400, "invalid_request", f"events_requested is not an array of at most {EVENTS_MAX}")
    if not all(isinstance(event, str) and len(event) <= TEXT_MAX for event in events):
        raise _Refusal(400, "invalid_request", "events_requested holds something else than event types")
    return tuple(events)


def _text(told: dict[str, Any], name: str) -> str:
    value = told.get(name, "")
    if not isinstance(value, str) or len(value) > TEXT_MAX:
        raise _Refusal(400, "invalid_request", f"{name} is not a text of at most {TEXT_MAX} characters")
    return value


def _subject(told: dict[str, Any]) -> str:
    subject = told.get("subject")
    if not isinstance(subject, dict) or not isinstance(subject.get("format"), str):
        raise _Refusal(400, "invalid_request", "subject is no subject identifier")
    return canonical_subject(subject)


def _status(stream: Stream) -> dict[str, Any]:
    return {"stream_id": stream.id, "status": stream.status, **({"reason": stream.reason} if stream.reason else {})}


def _acknowledged(told: dict[str, Any]) -> list[str]:
    """The ids that need not come again: acknowledged, or refused with an error that trying again would not help."""
    acks, errors = told.get("ack", []), told.get("setErrs", {})
    if not isinstance(acks, list) or not isinstance(errors, dict) or len(acks) + len(errors) > ACKS_MAX:
        raise _Refusal(400, "invalid_request", f"ack and setErrs are not at most {ACKS_MAX} ids")
    if not all(isinstance(one, str) for one in acks):
        raise _Refusal(400, "invalid_request", "ack holds something else than ids")
    return [*acks, *errors]


def _waiting(who: Caep, stream: str, most: int) -> tuple[dict[str, str], bool]:
    """Tokens of an enabled stream by their id, and whether more wait."""
    found = next((one for one in who.streams.of(who.name) if one.id == stream), None)
    if found is None or found.status != "enabled":
        return {}, False
    waiting = who.streams.waiting(stream, ("ready", "held"), most + 1)
    return {token.jti: token.token for token in waiting[:most]}, len(waiting) > most
