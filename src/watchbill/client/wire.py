"""AuthZEN 1.0 from the caller's side, pure: an `Ask` to a JSON body, a JSON body to a `Decided`, strictly.

An answer that cannot be read is an `AnswerError`, never a grant; an obligation that this client does not know is a denial
(AuthZEN obligations profile, draft 1).
"""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from watchbill.core.errors import ContractError
from watchbill.responses.asks import LOOK_KINDS, Ask, Decided
from watchbill.responses.masks import HIDDEN, MASKED, PLAIN, Level

if TYPE_CHECKING:
    from collections.abc import Sequence

EVALUATION_PATH: Final = "/access/v1/evaluation"
EVALUATIONS_PATH: Final = "/access/v1/evaluations"
RECORDS_PATH: Final = "/v1/records"
ABLE: Final = ("step-up", "notification", "session_termination", "custom")
"""Obligations that the guard carries out: a challenge, a word to the person, the end of a session, masking and asking for a reason."""
BATCH_MAX: Final = 100
LIST_MAX: Final = 10_000
TEXT_MAX: Final = 1024
REQUEST_MAX: Final = 200
GRANTS: Final = ("allow", "mask", "ask_reason")
REFUSALS: Final = ("step_up", "throttle", "deny")
_STEPS: Final = ("none", "mask", "ask_reason", "step_up", "throttle", "end_session", "suspend")
_VENDOR: Final = "watchbill"
_LEVELS: Final[dict[str, Level]] = {PLAIN: PLAIN, MASKED: MASKED, HIDDEN: HIDDEN}
_STRICT: Final = {PLAIN: 0, MASKED: 1, HIDDEN: 2}
_NUMBER_MAX: Final = 1 << 62
_CONTEXT: Final = ("device", "ip", "session", "app", "ticket", "reason")


class AnswerError(ValueError):
    """The answer cannot be read; the text says where, never what stood there."""


def body_of(asks: Sequence[Ask]) -> tuple[str, bytes]:
    """(path, JSON) of one question or several.

    Raises:
        ContractError: a question that Watchbill could not read.
    """
    if len(asks) == 1:
        return EVALUATION_PATH, _dump(_evaluation(asks[0]))
    return EVALUATIONS_PATH, _dump({"evaluations": [_evaluation(ask) for ask in asks]})


def _dump(value: object) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise ContractError("a text is not valid Unicode", where="the question", todo="Send whole characters") from None


def _evaluation(ask: Ask) -> dict[str, Any]:
    _check(ask)
    lone = not ask.account
    more: dict[str, Any] = {"fields": list(ask.fields), "subjects": list(ask.subjects)}
    resource: dict[str, Any] = {"type": "waybill", "id": ask.waybill, "properties": more}
    if not ask.waybill:
        resource = {"type": "customer", "id": ask.subjects[0], "properties": more}
    counts = {name: value for name, value in (("results", ask.results), ("page", ask.page)) if value is not None}
    context: dict[str, Any] = {name: value for name in _CONTEXT if (value := getattr(ask, name))}
    if not _is_address(ask.ip):
        context.pop("ip", None)  # a proxy's nonsense in the address must not make the look unaskable
    context["obligations_supported"] = list(ABLE)
    return {
        "subject": {"type": "device" if lone else "account", "id": ask.device if lone else ask.account},
        "action": {"name": ask.kind, **({"properties": counts} if counts else {})},
        "resource": resource,
        "context": context,
    }


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _check(ask: Ask) -> None:
    texts = (
        ask.request,
        ask.account,
        ask.waybill,
        *(getattr(ask, name) for name in _CONTEXT),
        *ask.subjects,
        *ask.fields,
    )
    if any(len(text) > TEXT_MAX for text in texts) or len(ask.subjects) > LIST_MAX or len(ask.fields) > LIST_MAX:
        todo = f"At most {LIST_MAX} customers and fields, texts of at most {TEXT_MAX} characters"
        raise ContractError("is too large", where="the question", todo=todo)
    if not (
        0 < len(ask.request) <= REQUEST_MAX and ask.request.isascii() and ask.request.isprintable()
    ):  # a header's value
        todo = "Make one of letters and digits, a new one for each look"
        raise ContractError("its request id is empty, too long or not ASCII", where="the question", todo=todo)
    if not all((*ask.subjects, *ask.fields)) or not ask.fields:
        raise ContractError("an empty field or customer", where="the question", todo="Name what will be shown")
    if not (ask.account or ask.device) or not (ask.waybill or ask.subjects) or ask.kind not in LOOK_KINDS:
        todo = "Give account or device, waybill or subjects, and a kind of look"
        raise ContractError("is incomplete", where="the question", todo=todo)


# -- answers ----------------------------------------------------------------------------------------------------------


def read_answers(text: bytes, asks: Sequence[Ask]) -> list[Decided]:
    """The decisions in an answer's body, in the order of `asks`.

    Raises:
        AnswerError: it is not what the protocol says, as a whole or in one of its parts.
    """
    body = _parse(text)
    if len(asks) == 1:
        return [_decided(body, asks[0])]
    listed = _object(body, "answer").get("evaluations")
    if not isinstance(listed, list) or len(listed) != len(asks):
        raise AnswerError("evaluations is not an array of as many answers as questions")
    return [_decided(one, ask) for one, ask in zip(listed, asks, strict=True)]


def _parse(text: bytes) -> object:
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise AnswerError("the answer is not JSON") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a member stands twice")
    return out


def _no_constant(_name: str) -> object:
    raise ValueError("not a JSON number")


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise AnswerError(f"{where} is not an object")
    return value


def _decided(value: object, ask: Ask) -> Decided:
    given = _object(value, "evaluation")
    granted = given.get("decision")
    if not isinstance(granted, bool):
        raise AnswerError("decision is not a boolean")
    context = _object(given.get("context", {}), "context")
    if _VENDOR not in context:
        if granted:
            raise AnswerError("a grant without context.watchbill")
        return Decided("", "deny", why="refused")
    decided = _ours(_object(context[_VENDOR], "context.watchbill"), granted=granted)
    least = _obligations(context.get("obligations", []), ask)
    if least is None:
        return Decided(decided.id, "deny", step=decided.step, until=decided.until, why="obligation")
    levels = dict(decided.levels)
    for field, level in least.items():
        if _STRICT[level] > _STRICT[levels.get(field, PLAIN)]:
            levels[field] = level
    if levels:  # a field about which nothing was said is not plain once something was said about others
        levels = {**dict.fromkeys(ask.fields, MASKED), **levels}
    return Decided(
        decided.id, decided.decision, levels, decided.step, decided.until, decided.retry_seconds, decided.why
    )


def _ours(ours: dict[str, Any], *, granted: bool) -> Decided:
    identity, decision, step = (ours.get(name) for name in ("id", "decision", "step"))
    if not isinstance(identity, str) or not 0 < len(identity) <= TEXT_MAX:
        raise AnswerError("context.watchbill.id is not a text")
    if decision not in (*GRANTS, *REFUSALS) or step not in _STEPS:
        raise AnswerError("context.watchbill holds an unknown decision or step")
    if granted and decision in REFUSALS:
        raise AnswerError("decision and context.watchbill.decision contradict each other")
    why = ours.get("why", "")
    if not isinstance(why, str) or len(why) > TEXT_MAX:
        raise AnswerError("context.watchbill.why is not a text")
    levels = _levels(ours.get("fields", {}), "context.watchbill.fields")
    until, retry = _count(ours, "until"), _count(ours, "retry_seconds")
    if not granted and decision in GRANTS:  # it counts on an obligation that we said we cannot carry out
        decision, why = "deny", "obligation"
    return Decided(identity, str(decision), levels, str(step), until, retry, why)


def _levels(value: object, where: str) -> dict[str, Level]:
    given = _object(value, where)
    if len(given) > LIST_MAX or not all(isinstance(level, str) and level in _LEVELS for level in given.values()):
        raise AnswerError(f"{where} holds something else than plain, masked and hidden")
    return {field: _LEVELS[level] for field, level in given.items()}


def _count(ours: dict[str, Any], name: str) -> int:
    value = ours.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _NUMBER_MAX:
        raise AnswerError(f"context.watchbill.{name} is not a count")
    return value


def _obligations(value: object, ask: Ask) -> dict[str, Level] | None:
    """The least level of each field that the obligations demand; None when one of them is not known."""
    if not isinstance(value, list):
        raise AnswerError("obligations is not an array")
    least: dict[str, Level] = {}
    for number, element in enumerate(value):
        one = _object(element, f"obligations[{number}]")
        if one.get("type") in ("step-up", "notification", "session_termination"):
            continue
        if one.get("type") != "custom" or one.get("vendor") != _VENDOR:
            return None
        if one.get("action") == "ask_reason":
            continue
        if one.get("action") != "mask":
            return None
        demanded = one.get("fields")
        if demanded == "all":
            least |= {field: MASKED for field in ask.fields if least.get(field, PLAIN) == PLAIN}
        else:
            for field, level in _levels(demanded, f"obligations[{number}].fields").items():
                if _STRICT[level] > _STRICT[least.get(field, PLAIN)]:
                    least[field] = level
    return least
