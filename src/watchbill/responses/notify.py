"""An action that writes to people, by chat or mail: any service that apprise knows (Feishu, DingTalk, WeCom, Slack, mail ...).

A message holds the step, the case's id and the link to it; the account only where settings say so, never a name, a phone or
a waybill. People may get a message twice after a crash: the same id stands in both.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from watchbill.core.errors import ActionError, SettingsError
from watchbill.responses.base import Action, ActionSettings, Around, Order, link_of, who_of
from watchbill.responses.sending import is_loopback

if TYPE_CHECKING:
    from apprise import Apprise

_STEPS_ZH: Final = {
    "mask": "遮蔽显示", "ask_reason": "询问事由", "step_up": "本人验证", "throttle": "限速", "end_session": "结束会话",
    "suspend": "暂停查询",
}  # fmt: skip
_TITLES: Final = {
    ("apply", "step"): ("已采取措施：{zh}", "Step taken: {en}"),
    ("undo", "step"): ("措施已结束：{zh}", "Step ended: {en}"),
    ("apply", "page"): ("请立即查看：{zh}", "Please look now: {en}"),
    ("apply", "unattended"): ("无人查看，已自动放行：{zh}", "Nobody looked in time: {en}"),
}  # fmt: skip
_BODIES: Final = {
    ("apply", "page"): (
        "有账号被暂停。请在时限内查看案件并作出决定，否则将自动改为遮蔽显示。",
        "An account is suspended until somebody looks. Without a decision in time it goes on with masked values.",
    ),
    ("apply", "unattended"): (
        "暂停期内无人查看，账号已改为遮蔽显示。这是公司的失误，不是员工的。请接手查看。",
        "Nobody looked in time; the account goes on with masked values. The firm's failure, not the person's: take over.",
    ),
}  # fmt: skip


class Settings(ActionSettings):
    """Who is written to."""

    kind: str = "notify"
    account: bool = False
    urls: tuple[SecretStr, ...] = Field(default=(), max_length=32)
    """Addresses as apprise writes them. They hold tokens: better in a variable."""
    urls_env: str | None = None
    """Environment variable with addresses, parted by spaces."""


class Notify:
    """One group of people."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self.settings = name, settings
        self._where = f"[actions.{name}]"
        given = [url.get_secret_value() for url in settings.urls]
        given += os.environ.get(settings.urls_env or "", "").split()
        self._services = _services(given, self._where, settings.timeout_seconds)
        self._count = len(given)

    def suits(self, order: Order) -> str:  # noqa: ARG002 - the protocol's
        """Everything can be told."""
        return ""

    def apply(self, order: Order) -> None:
        """Write the message; with several addresses all must take it, else all get it again."""
        title, body = message(order, self.settings)
        try:
            done = bool(self._services.notify(body=body, title=title, body_format="text"))
        except Exception as error:  # noqa: BLE001 - a service's plug-in may raise anything; what it says may hold its token
            raise ActionError(f"failed ({type(error).__name__})", where=self._where, todo="It is tried again") from None
        if not done:
            raise ActionError("a service did not take it", where=self._where, todo="Check urls; it is tried again")

    def undo(self, order: Order) -> None:
        """Write that the step is over."""
        self.apply(order)

    def describe(self, order: Order) -> dict[str, Any]:
        """The message, and how many addresses get it (they hold tokens)."""
        title, body = message(order, self.settings)
        return {"addresses": self._count, "title": title, "body": body}

    def tend(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing is held."""


def message(order: Order, settings: ActionSettings) -> tuple[str, str]:
    """Title and body, in Chinese and English."""
    kind = (order.verb, order.why)
    words = {"zh": _STEPS_ZH.get(order.step, order.step), "en": order.step.replace("_", " ")}
    title = " / ".join(text.format(**words) for text in _TITLES[kind])
    lines = list(_BODIES.get(kind, ()))
    if order.case:
        lines.append(f"案件 / case: {order.case}")
    lines += [f"{what}: {name}" for what, name in who_of(order, settings).items()]
    if settings.link and order.case:
        lines.append(link_of(order, settings))
    return title, "\n".join([*lines, f"id: {order.id}"])


def _services(urls: list[str], where: str, timeout_seconds: float) -> Apprise:
    """What apprise makes of the addresses; none of them is shown in an error.

    Raises:
        SettingsError: there is none, apprise does not know one, or one would send in the clear beyond this machine.
    """
    from apprise import Apprise, AppriseAsset

    # its warnings name services and hold what they answered
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    asset = AppriseAsset(async_mode=False, http_redirects=False, service_timeout=timeout_seconds, storage_mode="memory")
    services = Apprise(asset=asset)
    if not urls:
        todo = "Set urls_env to a variable with addresses as apprise writes them"
        raise SettingsError("there is no address", where=where, todo=todo)
    for number, url in enumerate(urls, start=1):
        service = Apprise.instantiate(url, asset=asset)
        if service is None:
            raise SettingsError(
                f"address {number} is none that apprise knows", where=where, todo="Check how it is written"
            )
        plain: Any = service.protocol  # a word, several, or None
        clear = urlsplit(url).scheme.lower() in ({plain} if isinstance(plain, str) else set(plain or ()))
        if clear and not is_loopback(str(getattr(service, "host", "") or "")):
            todo = "Use the service's encrypted form (jsons://, mailtos:// ...)"
            raise SettingsError(f"address {number} would send in the clear", where=where, todo=todo)
        services.add(service)
    return services


def open_action(name: str, settings: ActionSettings, around: Around) -> Action:  # noqa: ARG001 - the registry's signature
    """The action of this kind."""
    if not isinstance(settings, Settings):
        raise SettingsError("these are no settings of a message", where=f"[actions.{name}]", todo="Set kind")
    return Notify(name, settings)
