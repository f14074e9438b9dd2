"""What a person gets instead of data: a status, its headers and a few words in Chinese and English, as JSON or a page."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from watchbill.responses.asks import ACR_PRESENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchbill.responses.asks import Decided

REASON_HEADER: Final = "X-Look-Reason"
TICKET_HEADER: Final = "X-Look-Ticket"
DECISION_HEADER: Final = "X-Watchbill-Decision"
ASK_HEADER: Final = "X-Watchbill-Ask"
STEP_HEADER: Final = "X-Watchbill-Step"
"""The step that the account is under, with its end in epoch milliseconds where it has one: for the page to tell the person."""
_TEXTS: Final = {
    "ask_reason": (
        422, "请填写查询事由或工单号后重试", "Say why you need this, or name the ticket, and ask again",
    ),
    "step_up": (401, "请本人验证后继续", "Show that it is you, then go on"),
    "throttle": (429, "查询过快，请稍后再试", "Too many looks just now; try again shortly"),
    "deny": (403, "暂时不能查询，如有疑问请联系主管", "You cannot look just now; ask your supervisor"),
    "unavailable": (503, "查询服务暂时不可用，请稍后再试", "Looks are not available just now; try again shortly"),
    "obligation": (403, "本系统无法按要求展示，请联系管理员", "This system cannot show it as required; tell its administrator"),
    "end_session": (401, "会话已结束，请重新登录并验证", "The session has ended; log in again and show that it is you"),
    "no_person": (401, "请先登录", "Log in first"),
    "undeclared": (500, "页面未声明展示内容，已拦截", "This page does not say what it shows, so nothing is shown"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer without data."""

    status: int
    code: str
    zh: str
    en: str
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def json(self) -> bytes:
        """As JSON: {"code", "reason": {"zh", "en"}, ...}."""
        body = {"code": self.code, "reason": {"zh": self.zh, "en": self.en}, **self.more}
        return json.dumps(body, ensure_ascii=False).encode()

    def html(self) -> bytes:
        """As a page in both languages, without script."""
        link = str(self.more.get("challenge", ""))
        way = f'<p><a href="{html.escape(link)}">验证 / Verify</a></p>' if link else ""
        return (
            '<!doctype html><html lang="zh"><head><meta charset="utf-8"><title>Watchbill</title></head>'
            f'<body><main><p>{html.escape(self.zh)}</p><p lang="en">{html.escape(self.en)}</p>{way}</main></body></html>'
        ).encode()

    def rendered(self, accept: str) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) in the form that the Accept header asks for: a page for browsers, else JSON."""
        page = "text/html" in accept and "application/json" not in accept
        kind = "text/html; charset=utf-8" if page else "application/json"
        headers = {"Content-Type": kind, "Cache-Control": "no-store", **self.headers}
        return self.status, headers, self.html() if page else self.json()


def refusal(code: str, **more: Any) -> Refusal:  # noqa: ANN401 - JSON values
    """One that is not made from a decision: no_person, undeclared, unavailable."""
    status, chinese, english = _TEXTS[code]
    return Refusal(status, code, chinese, english, more=more)


def refusal_of(decided: Decided, *, challenge_url: str = "", step_up_status: int = 401) -> Refusal | None:
    """The refusal that a decision asks for; None when something may be shown, if only masked."""
    if decided.decision in ("allow", "mask"):
        return None
    code = decided.decision
    if code == "deny":
        code = decided.why if decided.why in ("unavailable", "obligation") else code
        code = "end_session" if decided.step == "end_session" else code
    status, chinese, english = _TEXTS[code]
    headers: dict[str, str] = {DECISION_HEADER: decided.id} if _header_safe(decided.id) else {}
    more: dict[str, Any] = {"id": decided.id, "step": decided.step}
    if decided.until:
        more["until"] = decided.until
    if code == "ask_reason":
        more["send"] = {"headers": [REASON_HEADER, TICKET_HEADER], "encoding": "percent-encoded UTF-8"}
    if code in ("throttle", "unavailable"):
        more["retry_seconds"] = max(1, decided.retry_seconds)
        headers["Retry-After"] = str(more["retry_seconds"])
    if code == "end_session":
        headers["Clear-Site-Data"] = '"cookies"'
    if code in ("step_up", "end_session"):
        status = step_up_status
        _challenge(decided, challenge_url, headers, more)
    return Refusal(status, code, chinese, english, headers, more)


def _challenge(decided: Decided, url: str, headers: dict[str, str], more: dict[str, Any]) -> None:
    """How to show presence: RFC 9470's header for programs, a link for people."""
    headers["WWW-Authenticate"] = f'Bearer error="insufficient_user_authentication", acr_values="{ACR_PRESENCE}"'
    more["acr_values"] = ACR_PRESENCE
    if url:
        more["challenge"] = url.replace("{id}", quote(decided.id, safe=""))
        headers["Link"] = f'<{quote(more["challenge"], safe=":/?#[]@!$&()*+,;=%~-._")}>; rel="authenticate"'


def _header_safe(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable()
