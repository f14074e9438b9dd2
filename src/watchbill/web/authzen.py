"""AuthZEN Authorization API 1.0 as pure functions: a JSON body to asks, decisions to a JSON body.

Source: OpenID Authorization API 1.0 (final, January 2026), Obligations Profile draft 1 (July 2026). Unknown members are
ignored; a wrong type is a `ProtocolError` (400). A caller that says which obligations it can carry out, and cannot mask,
gets a refusal instead of a grant that it could not keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from watchbill.core.bridge import bridge_url
from watchbill.responses.asks import ACR_PRESENCE, LOOK_KINDS, Ask, Decided
from watchbill.responses.masks import PLAIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EVALUATION_PATH: Final = "/access/v1/evaluation"
EVALUATIONS_PATH: Final = "/access/v1/evaluations"
PRESENCE_BASE: Final = "/presence/v1"
"""Under which web/presence.py serves; here, so that answering loads no WebAuthn."""
METADATA_PATH: Final = "/.well-known/authzen-configuration"
OBLIGATIONS: Final = ("step-up", "notification", "session_termination", "custom")
SEMANTICS: Final = ("execute_all", "deny_on_first_deny", "permit_on_first_permit")
EVALUATIONS_MAX: Final = 200
LIST_MAX: Final = 10_000
TEXT_MAX: Final = 1024
_TUPLE: Final = ("subject", "action", "resource", "context")
_TEXTS: Final = ("device", "ip", "session", "app", "ticket", "reason")
_NAMES: Final = {"can_read": "view", "read": "view", "list": "search", "download": "export"}
VENDOR: Final = "watchbill"
_STANDING: Final = (
    "您的账号目前受到查询限制；如有异议，可向主管或数据保护负责人申诉",
    "Looks of your account are limited for now; you can appeal to your supervisor or the data protection officer",
)
_WHY_USER: Final = {
    "mask": ("部分信息已隐藏，可通过隐私号码联系客户", "Some values are masked; you can call the customer through the bridge"),
    "ask_reason": ("请填写查询事由或工单号", "Say why you need this, or name the ticket"),
    "step_up": ("请本人验证后继续", "Show that it is you, then go on"),
    "throttle": ("查询过快，请稍后再试", "Too many looks just now; try again shortly"),
    "deny": ("账号已暂停查询，主管将尽快联系您", "Looks are paused for this account; a supervisor will be in touch"),
}  # fmt: skip


class ProtocolError(ValueError):
    """The body breaks the protocol; the text says where, never what was sent."""


@dataclass(frozen=True, slots=True)
class Question:
    """One evaluation: what is asked and which obligations the caller can carry out (None = it did not say)."""

    ask: Ask
    able: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Several:
    """A batch. `semantic` is one of SEMANTICS; an element that cannot be read is the reason why, as text."""

    questions: tuple[Question | str, ...]
    semantic: str = "execute_all"


def read_one(body: object, request: str) -> Question:
    """An Access Evaluation request.

    Args:
        body: parsed JSON. request: the caller's request id (or one made for it).

    Raises:
        ProtocolError: a required member is missing or has a wrong type.
    """
    return _question(_object(body, "body"), request)


def read_several(body: object, request: str) -> Several | Question:
    """An Access Evaluations request; without `evaluations` it is a single one.

    Raises:
        ProtocolError: the body as a whole cannot be read. A single element that cannot be is a denied evaluation.
    """
    given = _object(body, "body")
    listed = given.get("evaluations")
    if listed is None:
        return _question(given, request)
    if not isinstance(listed, list):
        raise ProtocolError("evaluations is not an array")
    if not listed:
        return _question(given, request)
    if len(listed) > EVALUATIONS_MAX:
        raise ProtocolError(f"evaluations has more than {EVALUATIONS_MAX} elements")
    defaults = {name: given[name] for name in _TUPLE if name in given}
    for name, value in defaults.items():
        _object(value, name)
    questions: list[Question | str] = []
    for number, element in enumerate(listed):
        try:
            whole = {**defaults, **_object(element, f"evaluations[{number}]")}
            questions.append(_question(whole, f"{request}/{number}"))
        except ProtocolError as error:
            questions.append(str(error))
    return Several(tuple(questions), _semantic(given))


def _semantic(given: Mapping[str, Any]) -> str:
    options = given.get("options")
    if options is None:
        return "execute_all"
    semantic = _object(options, "options").get("evaluations_semantic", "execute_all")
    if semantic not in SEMANTICS:
        raise ProtocolError("options.evaluations_semantic is none of " + ", ".join(SEMANTICS))
    return str(semantic)


def _question(given: Mapping[str, Any], request: str) -> Question:
    subject, action, resource = (_object(given.get(name), name) for name in ("subject", "action", "resource"))
    context = _object(given.get("context", {}), "context")
    kind = _text(subject, "type", "subject")
    identity = _text(subject, "id", "subject")
    name = _text(action, "name", "action")
    what = _text(resource, "type", "resource")
    which = _text(resource, "id", "resource")
    more = _object(resource.get("properties", {}), "resource.properties")
    own = _object(subject.get("properties", {}), "subject.properties")
    extra = _object(action.get("properties", {}), "action.properties")
    texts = {key: _optional(context, own, key) for key in _TEXTS}
    _address(texts["ip"])
    lone = kind == "device"
    if lone:
        texts["device"] = identity
    subjects = _texts(more.get("subjects", context.get("subjects", [])), "resource.properties.subjects")
    if what == "customer" and which not in subjects:
        subjects = (which, *subjects)
    ask = Ask(
        request=request, account="" if lone else identity, kind=_kind(name),
        waybill=which if what != "customer" else str(_optional(more, context, "waybill")),
        subjects=subjects, fields=_texts(more.get("fields", context.get("fields", [])), "resource.properties.fields"),
        results=_count(extra.get("results"), "results"), page=_count(extra.get("page"), "page"), **texts,
    )  # fmt: skip
    able = context.get("obligations_supported")
    known = None if able is None else frozenset(_texts(able, "context.obligations_supported")) & set(OBLIGATIONS)
    return Question(ask, known)


def _address(text: str) -> None:
    try:
        if text:
            ip_address(text)
    except ValueError:
        raise ProtocolError("ip is neither an IPv4 nor an IPv6 address") from None


def _kind(name: str) -> str:
    kind = _NAMES.get(name, name)
    if kind not in LOOK_KINDS:
        raise ProtocolError("action.name is none of " + ", ".join((*LOOK_KINDS, *_NAMES)))
    return kind


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ProtocolError(f"{where} is not an object" if value is not None else f"{where} is missing")
    return value


def _text(part: Mapping[str, Any], name: str, where: str) -> str:
    value = part.get(name)
    if not isinstance(value, str):
        raise ProtocolError(f"{where}.{name} is not a string" if value is not None else f"{where}.{name} is missing")
    if not 0 < len(value) <= TEXT_MAX:
        raise ProtocolError(f"{where}.{name} is empty or longer than {TEXT_MAX} characters")
    return value


def _optional(first: Mapping[str, Any], second: Mapping[str, Any], name: str) -> str:
    value = first.get(name, second.get(name, ""))
    if not isinstance(value, str) or len(value) > TEXT_MAX:
        raise ProtocolError(f"{name} is not a string of at most {TEXT_MAX} characters")
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > LIST_MAX:
        raise ProtocolError(f"{where} is not an array of at most {LIST_MAX} strings")
    if not all(isinstance(item, str) and 0 < len(item) <= TEXT_MAX for item in value):
        raise ProtocolError(f"{where} holds something else than strings of at most {TEXT_MAX} characters")
    return tuple(value)


def _count(value: object, name: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 31:
        raise ProtocolError(f"action.properties.{name} is not a count")
    return value


# -- answers -------------------------------------------------------------------------------------------------------


def answer(question: Question, decided: Decided, *, bridge: str = "", prove: str = "") -> dict[str, Any]:
    """One evaluation response. A grant that needs an obligation which the caller cannot carry out is a denial.

    `bridge` is the firm's template (`bridge_url` of `[policy]`): whatever is decided, the recipient can be called through it.
    `prove` is where the caller begins a proof of presence by a key (web/presence.py); named where one is asked for.
    """
    obligations = _obligations(question.ask, decided, question.able)
    needed = {one["type"] for one in obligations}
    granted = decided.decision in ("allow", "mask", "ask_reason")
    unable = question.able is not None and not needed <= question.able
    ours: dict[str, Any] = {"id": decided.id, "decision": decided.decision, "step": decided.step}
    if decided.levels:
        ours["fields"] = dict(decided.levels)
    if decided.until:
        ours["until"] = decided.until
    if decided.retry_seconds:
        ours["retry_seconds"] = decided.retry_seconds
    if decided.why:
        ours["why"] = decided.why
    if call := bridge_url(bridge, question.ask.waybill, question.ask.account):
        ours["call"] = {"via": "bridge", "url": call}
    if prove and decided.decision == "step_up" and question.ask.account and question.ask.session:
        ours["prove"] = prove
    context: dict[str, Any] = {VENDOR: ours}
    if obligations:
        context["obligations"] = obligations
    if decided.decision in _WHY_USER:
        chinese, english = _WHY_USER[decided.decision]
        context["reason_user"] = {"zh": chinese, "en": english}
    return {"decision": granted and not unable, "context": context}


def _obligations(ask: Ask, decided: Decided, able: frozenset[str] | None) -> list[dict[str, Any]]:
    """What the caller has to do. A notification is a courtesy: it is asked only of who says that it can."""
    out: list[dict[str, Any]] = []
    hidden = {name: level for name, level in decided.levels.items() if level != PLAIN}
    if hidden or decided.decision in ("mask", "ask_reason"):
        out.append({"type": "custom", "vendor": VENDOR, "action": "mask", "fields": hidden or "all"})
    if decided.decision == "ask_reason":
        out.append({"type": "custom", "vendor": VENDOR, "action": "ask_reason"})
    if decided.decision == "step_up":
        out.append({"type": "step-up", "acr_value": ACR_PRESENCE, "amr_values": ["hwk"]})
    if decided.step == "end_session":
        out.append({"type": "session_termination", "subject": ask.account or ask.device})
    if decided.step != "none" and able is not None and "notification" in able:
        chinese, english = _STANDING
        told = {"zh": chinese, "en": english, **({"until": decided.until} if decided.until else {})}
        out.append(
            {"type": "notification", "recipient": ask.account or ask.device, "step": decided.step, "message": told}
        )
    return [{"id": f"obl-{number}", **one} for number, one in enumerate(out, start=1)]


def refused(why: str) -> dict[str, Any]:
    """An element of a batch that could not be read: closed, with the reason."""
    return {"decision": False, "context": {"error": {"status": 400, "message": why}}}


def cut_off(semantic: str, answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers that a semantic gives back: all, up to the first denial, or up to the first grant."""
    stop = {"deny_on_first_deny": False, "permit_on_first_permit": True}.get(semantic)
    out: list[dict[str, Any]] = []
    for one in answers:
        out.append(one)
        if one["decision"] is stop:
            break
    return out


def metadata(base: str) -> dict[str, Any]:
    """Policy decision point metadata for a service that is reached at `base` (no slash at its end)."""
    return {
        "policy_decision_point": base, "access_evaluation_endpoint": base + EVALUATION_PATH,
        "access_evaluations_endpoint": base + EVALUATIONS_PATH, "obligations_supported": list(OBLIGATIONS),
    }  # fmt: skip
