"""What an interrupted person is told, in Chinese and English: what, why, until when, and how to appeal; pure.

Reasons stand in plain words. What would help somebody to get round a detector (its figures, planted customers, a firm's own
rules) is not among them, nor is anything of anybody else.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STEP_WORDS: Final = {
    "none": ("nothing is restricted any more", "目前没有任何限制"),
    "mask": ("customers' data is shown masked", "客户信息以脱敏方式显示"),
    "ask_reason": ("you are asked for a reason before customers' data is shown", "查询客户信息前需填写理由"),
    "step_up": ("you have to prove your presence before customers' data is shown", "查询客户信息前需完成身份核验"),
    "throttle": ("look-ups of customers' data are slowed down", "客户信息的查询速度受到限制"),
    "end_session": ("your session was ended; you may sign in again with proof of presence", "会话已结束，完成身份核验后可重新登录"),
    "suspend": ("your access to customers' data is suspended", "您查询客户信息的权限已被暂停"),
}  # fmt: skip
"""Step -> (English, Chinese)."""
_NOW: Final = ("it is not known whether a restriction still stands", "目前是否仍有限制尚不清楚")
STAFF_WORDS: Final = {
    "canary": ("looked up a record that no work calls for", "查询了与任何业务无关的记录"),
}
"""Detector -> (English, Chinese), where the case's own words would give away how it works."""
RULE_WORDS: Final = ("met a rule that the company set for its systems", "触发了公司为系统设定的规则")
RULE: Final = "rule: "
_ALWAYS: Final = (
    "The measure was taken by an automatic evaluation of look-ups; it is no finding of guilt. A person decides anything that lasts.",
    "该措施由系统对查询行为的自动评估作出，并非对您作出有过错的认定；任何持续性的决定均由人工作出。",
)


def words(reasons: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[tuple[str, str]]:
    """(English, Chinese) of each reason that spoke against an account, each once.

    Args:
        reasons: of a row of cases.ndjson. names: the detectors that spoke in the file of this account.
    """
    known = {one["detector"]: (one["text_en"], one["text_zh"]) for one in reasons}
    out: dict[tuple[str, str], None] = {}
    for name in names:
        if name.startswith(RULE):
            out[RULE_WORDS] = None
        elif (said := STAFF_WORDS.get(name) or known.get(name)) is not None:
            out[said] = None
    return list(out)


def notice(
    row: Mapping[str, Any], person: Mapping[str, Any], *, zone: str, appeal_hours: float, contact: str = ""
) -> dict[str, str]:
    """{"en", "zh"}: the notice for one interrupted person of a case.

    Args:
        row: of cases.ndjson. person: one of its `people`. zone: of times. appeal_hours: how soon an appeal is decided.
    """
    what = STEP_WORDS.get(person["step"], _NOW)
    if row["status"] == "confirmed" and person["step"] != "none":
        until = ("until a person lifts it", "直至经人工解除")
    elif person["step"] == "none":
        until = ("it has ended", "已结束")
    elif person["until"] is None:
        until = ("until a person has looked", "直至人工复核")
    else:
        time = datetime.fromtimestamp(person["until"] / 1000, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
        until = (f"{time} ({zone})", f"{time}（{zone}）")
    why = words(row["reasons"], person["reasons"]) or [("was judged by a person", "经人工判定")]
    where = (contact or "your manager or the security desk", contact or "您的主管或安全部门")
    hours = f"{appeal_hours:g}"
    english = [
        f"About the work number {person['account']} (case {row['id']})",
        f"What: {what[0]}.",
        f"Why: this account {'; it '.join(en for en, _ in why)}.",
        f"Until: {until[0]}.",
        _ALWAYS[0],
        (
            f"To appeal, or to ask for an explanation: {where[0]}, naming the case. Somebody who did not decide on it answers within"
            f" {hours} hours. If you are right, the evidence is withdrawn, and everyone who was told is told that."
        ),
    ]
    chinese = [
        f"关于工号 {person['account']}（案件 {row['id']}）",
        f"措施：{what[1]}。",
        f"原因：该账号{'；'.join(zh for _, zh in why)}。",
        f"期限：{until[1]}。",
        _ALWAYS[1],
        (
            f"如需申诉或要求说明，请联系{where[1]}并提供案件编号；将由未参与该决定的人员在 {hours} 小时内答复。"
            "申诉成立的，撤回相关记录，并向所有已被告知的人更正。"
        ),
    ]
    return {"en": "\n".join(english), "zh": "\n".join(chinese)}
