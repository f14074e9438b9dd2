"""The guard without a framework: what a route says it shows, the question that follows from an answer, and its masked form.

Fails closed: an answer that is not JSON, or not built as declared, becomes a refusal; nothing of it leaves.
"""

from __future__ import annotations

import http
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import unquote

from watchbill.client.paths import Path, PathError, Spot
from watchbill.client.refusals import ASK_HEADER, DECISION_HEADER, STEP_HEADER, Refusal, refusal
from watchbill.client.sweep import Sweep
from watchbill.core.errors import SettingsError
from watchbill.responses.asks import LOOK_KINDS, Ask
from watchbill.responses.masks import HIDDEN, PLAIN

if TYPE_CHECKING:
    from watchbill.client.look import Look

LOGGER: Final = logging.getLogger("watchbill.client")
F = TypeVar("F", bound=Callable[..., Any])
Headers = list[tuple[str, str]]
_DECLARED: Final = "__watchbill_shows__"
_KEPT_ON_ERRORS: Final = frozenset({"location", "www-authenticate", "retry-after", "allow", "set-cookie", "vary"})
_DROPPED: Final = frozenset(
    {"content-length", "etag", "content-md5", "digest", "content-digest", "repr-digest", "last-modified", "accept-ranges",
     "cache-control", "transfer-encoding"}
)  # fmt: skip
TEXT_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class Person:
    """Who looks: an account (work number), or a device alone; the rest helps to judge."""

    account: str = ""
    device: str = ""
    ip: str = ""
    session: str = ""
    app: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """What the request adds: the path's parameters, a typed reason, a ticket."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    ticket: str = ""


class Undeclared(ValueError):  # a statement, not an error's name: what the answer is
    """The answer is not what its route declares; the text names the declaration, never a value."""


class Shows:
    """What a route shows.

    Args:
        fields: field -> where it stands in the JSON answer, one path or several (client/paths.py).
        kind: view, search, export or print.
        waybill: "{name}" of a path parameter, or a path in the answer. subjects: path of the customers' ids in the answer.

    Raises:
        SettingsError: it says nothing that can be asked about.
    """

    def __init__(
        self, fields: Mapping[str, str | Sequence[str]], *, kind: str = "view", waybill: str = "", subjects: str = ""
    ) -> None:
        where = "Shows(...)"
        if kind not in LOOK_KINDS:
            raise SettingsError("kind is no look", where=where, todo="One of " + ", ".join(LOOK_KINDS))
        if not fields or not (waybill or subjects):
            todo = "Name the fields, and waybill or subjects; a route without customers' data is `shows_nothing`"
            raise SettingsError("declares nothing to ask about", where=where, todo=todo)
        self.kind = kind
        self.fields = {
            name: tuple(Path.of(text) for text in ((paths,) if isinstance(paths, str) else paths))
            for name, paths in fields.items()
        }
        self.parameter = waybill[1:-1] if waybill.startswith("{") and waybill.endswith("}") else ""
        self.waybill = Path.of(waybill) if waybill and not self.parameter else None
        self.subjects = Path.of(subjects) if subjects else None

    def __call__(self, endpoint: F) -> F:
        """As a decorator of the route's function or class."""
        setattr(endpoint, _DECLARED, self)
        return endpoint


def shows(
    fields: Mapping[str, str | Sequence[str]], *, kind: str = "view", waybill: str = "", subjects: str = ""
) -> Shows:
    """Decorator: this route shows these fields (see `Shows`)."""
    return Shows(fields, kind=kind, waybill=waybill, subjects=subjects)


def shows_nothing(endpoint: F) -> F:
    """Decorator: this route shows no customer's data, or masks it itself (`guard.look`). Its answer passes as it is."""
    setattr(endpoint, _DECLARED, None)
    return endpoint


def declared(endpoint: object) -> tuple[bool, Shows | None]:
    """(whether it declares anything, what)."""
    found = getattr(endpoint, _DECLARED, declared)
    return (False, None) if found is declared else (True, found if isinstance(found, Shows) else None)


def under(path: str, prefixes: Sequence[str]) -> bool:
    """Whether a path lies under one of the guarded ones; a prefix ends at a slash."""
    return any(path == prefix or path.startswith(prefix.rstrip("/") + "/") for prefix in prefixes)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the application, or ours in its place."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """The first value of a header, or ""."""
        return next((value for key, value in self.headers if key.lower() == name), "")


def refused(what: Refusal, accept: str = "") -> Reply:
    """A refusal as an answer."""
    status, headers, body = what.rendered(accept)
    return Reply(status, [*headers.items(), ("Content-Length", str(len(body)))], body)


@dataclass(slots=True)
class Page:
    """A JSON answer, opened: where its declared values stand and what has to be asked (None: it shows no value)."""

    reply: Reply
    document: Any
    spots: dict[str, list[Spot]]
    ask: Ask | None


def open_page(declares: Shows, reply: Reply, person: Person, given: Given, request: str) -> Page:
    """Read an answer.

    Raises:
        Undeclared: it is not JSON, or not built as declared.
    """
    box = [_json(reply)]
    try:
        spots = {
            name: [spot for path in paths for spot in path.spots(box[0])] for name, paths in declares.fields.items()
        }
        filled = tuple(name for name, found in spots.items() if any(spot.value not in (None, "") for spot in found))
        if not filled:
            return Page(reply, box, spots, None)
        waybill = _waybill(declares, box[0], given)
        subjects = _texts(declares.subjects, box[0])
    except PathError as error:
        raise Undeclared(str(error)) from None
    if not waybill and not subjects:
        raise Undeclared("neither waybill nor customer is where it is declared")
    ask = Ask(
        request, person.account, declares.kind, person.device, person.ip, person.session, person.app, waybill, subjects,
        filled, given.ticket, given.reason, results=len(subjects) if declares.kind in ("search", "export") else None,
    )  # fmt: skip
    return Page(reply, box, spots, ask)


def _json(reply: Reply) -> Any:  # noqa: ANN401 - a JSON value
    kind = reply.header("content-type").partition(";")[0].strip().lower()
    if not (kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))):
        raise Undeclared("the answer is not JSON")
    if reply.header("content-encoding") not in ("", "identity") or reply.status == http.HTTPStatus.PARTIAL_CONTENT:
        raise Undeclared("the answer is compressed or a part: put the guard inside of what does that")
    try:
        return json.loads(reply.body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Undeclared("the answer is not JSON") from None


def _no_constant(_name: str) -> object:
    raise ValueError("not a JSON number")


def _waybill(declares: Shows, document: object, given: Given) -> str:
    if declares.parameter:
        if declares.parameter not in given.parameters:
            raise Undeclared("the declared path parameter is not in the route")
        return str(given.parameters[declares.parameter])[:TEXT_MAX]
    found = _texts(declares.waybill, document)
    return found[0] if len(found) == 1 else ""


def _texts(path: Path | None, document: object) -> tuple[str, ...]:
    """The distinct values at a path, in order."""
    values = (spot.value for spot in path.spots(document)) if path else ()
    return tuple(dict.fromkeys(str(value) for value in values if value not in (None, "")))


def close_page(page: Page, look: Look | None, *, sweep: bool, accept: str = "") -> Reply:
    """The answer as it may leave. `look` is None only where nothing had to be asked.

    Raises:
        Undeclared: its masked form is no text.
    """
    headers = [(key, value) for key, value in page.reply.headers if key.lower() not in _DROPPED]
    headers.append(("Cache-Control", "no-store"))
    if look is not None:
        if look.refusal is not None:
            return refused(look.refusal, accept)
        covered = _cover(page, look)
        cleaner = Sweep(covered)
        if sweep and covered:
            page.document = cleaner.document(page.document)
        headers = [(key, value) for key, value in headers if cleaner.text(value) == value]
        if look.decided.id.isascii() and look.decided.id.isprintable() and look.decided.id:
            headers.append((DECISION_HEADER, look.decided.id))
        if look.asks_reason:
            headers.append((ASK_HEADER, "reason"))
        if look.decided.step != "none":
            end = f"; until={look.decided.until}" if look.decided.until else ""
            headers.append((STEP_HEADER, look.decided.step + end))
    try:
        body = json.dumps(page.document[0], ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise Undeclared("the answer cannot be written as UTF-8") from None
    headers.append(("Content-Length", str(len(body))))
    return replace(page.reply, headers=headers, body=body)


def _cover(page: Page, look: Look) -> set[str]:
    """Mask in place; the plain values that must not be seen elsewhere either."""
    covered: set[str] = set()
    for name, spots in page.spots.items():
        level = look.level(name)
        if level == PLAIN:
            continue
        for spot in spots:
            if spot.value is not None:
                covered.add(_text_of(spot.value))
                spot.put("" if level == HIDDEN else look.show(name, _text_of(spot.value)))
    return covered


def _text_of(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def of_errors(reply: Reply) -> Reply:
    """An answer that is no success: its status and the headers that say where to go; nothing of its body leaves."""
    body = b""
    headers = [(key, value) for key, value in reply.headers if key.lower() in _KEPT_ON_ERRORS]
    if reply.status >= http.HTTPStatus.BAD_REQUEST:
        phrase = http.HTTPStatus(reply.status).phrase if reply.status in set(http.HTTPStatus) else "Error"
        body = json.dumps({"code": reply.status, "reason": {"en": phrase}}).encode()
        headers.append(("Content-Type", "application/json"))
    return Reply(reply.status, [*headers, ("Content-Length", str(len(body)))], body)


def undeclared(accept: str, why: str) -> Reply:
    """Nothing leaves, and the log says which declaration to correct (no value stands in it)."""
    LOGGER.error("an answer was held back: %s (docs/guard-your-app.md)", why)
    return refused(refusal("undeclared"), accept)


def header_text(value: str) -> str:
    """A typed reason or ticket from a header, percent-encoded UTF-8; cut at 1,024 characters."""
    return unquote(value, errors="replace")[:TEXT_MAX]


def is_success(status: int) -> bool:
    """Whether an answer with this status can hold what its route declares."""
    return http.HTTPStatus.OK <= status < http.HTTPStatus.MULTIPLE_CHOICES and status != http.HTTPStatus.NO_CONTENT
