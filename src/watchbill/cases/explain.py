"""The explanation that a person may ask for (PIPL Article 24): every step, why, what spoke for them, who looked, what was decided; pure.

It is about one person: entries of other accounts, notes among reviewers and the figures of detectors are not in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from watchbill.cases.notice import STEP_WORDS, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORM: Final = "watchbill-explanation/1"
STEPS: Final = ("none", "mask", "ask_reason", "step_up", "throttle", "end_session", "suspend")
"""As responses.policy.STEPS, which this room does not import; a test holds them equal."""
OF_THE_CASE: Final = frozenset({"review", "release", "assign", "due", "archive", "reopen", "note"})
"""What is said of the whole case, wherever its history keeps it."""
_WORDS: Final = {
    "opened": ("a case was opened", "立案"),
    "reopened": ("the case was opened again, because of something worse", "因情况加重重新立案"),
    "step": ("a measure was taken or ended", "采取或解除措施"),
    "proven": ("you proved your presence", "您已完成身份核验"),
    "merged": ("other cases were added to this one", "与其他案件合并"),
    "merged_into": ("it was added to another case", "并入其他案件"),
    "split": ("it was taken out of a case of several", "从合并案件中分出"),
    "split_off": ("another account was taken out of the case", "其他账号从案件中分出"),
    "review": ("a person began to review it", "人工复核开始"),
    "release": ("the review was given back", "复核退回"),
    "assign": ("it was given to a reviewer", "指派复核人"),
    "due": ("a date was set", "设定期限"),
    "note": ("a reviewer made a note", "复核人记录备注"),
    "archive": ("it was put away until something worse happens", "归档，情况加重时重新处理"),
    "reopen": ("it was taken up again", "恢复处理"),
    "confirmed": ("a person confirmed misuse", "经人工确认存在违规"),
    "dismissed": ("a person dismissed it: nothing stands against you", "经人工排除，对您不作任何认定"),
    "lifted": ("a person lifted the measure", "经人工解除措施"),
    "told": ("somebody was told", "已告知"),
    "tell_delayed": ("it was decided to tell you later", "决定延后告知"),
    "correction": ("somebody who was told is told that it was wrong", "向已被告知者更正"),
    "appeal": ("an appeal was brought", "提出申诉"),
    "appeal_upheld": ("the appeal was upheld", "申诉成立"),
    "appeal_moot": ("the appeal needs no answer any more", "申诉已无需处理"),
    "appeal_rejected": ("the appeal was rejected", "申诉未成立"),
}
_SHOWN: Final = ("reason", "to", "channel", "due", "until", "role")
"""Parts of an entry that concern the person; notes and other cases are not among them."""


def explanation(
    row: Mapping[str, Any], person: Mapping[str, Any], history: Sequence[Mapping[str, Any]], height: int
) -> dict[str, Any]:
    """What happened to one person in a case, JSON-able.

    Args:
        row: of cases.ndjson. person: one of its `people`. history: entries of the case, in order. height: of the journal.
    """
    mine = [one for one in history if _concerns(one, row, person)]
    reasons = words(row["reasons"], person["reasons"])
    return {
        "form": FORM, "case": row["id"], "account": person["account"], "height": height, "status": row["status"],
        "why": [{"text_en": en, "text_zh": zh} for en, zh in reasons],
        "for_person": [
            {name: one[name] for name in ("text_en", "text_zh", "records")}
            for one in person["for_person"]
        ],
        "happened": [_entry(one, row) for one in mine],
        "who_looked": sorted({one["by"] for one in mine if one["by"] and one["what"] not in {"appeal", "told"}}),
        "appeals": [dict(one) for one in person["appeals"]],
        "automatic": (
            "Measures up to a suspension of minutes follow from an automatic evaluation of look-ups; "
            "whatever lasts was decided by a person named here by a pseudonym."
        ),
        "not_in_it": "data of other persons, notes among reviewers, thresholds and figures of the detectors",
    }  # fmt: skip


def _concerns(one: Mapping[str, Any], row: Mapping[str, Any], person: Mapping[str, Any]) -> bool:
    if one["case"] == person["case"]:
        return True
    return one["case"] == row["id"] and one["what"] in OF_THE_CASE


def _entry(one: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    text_en, text_zh = _WORDS.get(one["what"], (one["what"], one["what"]))
    out = {
        "time": one["time"], "seq": one["seq"], "what": one["what"], "by": one["by"] or "automatic", "text_en": text_en,
        "text_zh": text_zh, **{name: one[name] for name in _SHOWN if one.get(name)},
    }  # fmt: skip
    if one["what"] == "step":
        old, new = STEPS[one["old"]], STEPS[one["new"]]
        spoke = words(row["reasons"], one["spoke"])
        out |= {
            "from": old, "to": new, "text_en": STEP_WORDS[new][0], "text_zh": STEP_WORDS[new][1],
            "why": [{"text_en": en, "text_zh": zh} for en, zh in spoke],
        }  # fmt: skip
    if one["what"] == "correction":
        out["reason"] = one["why"]
    if one["what"] == "appeal_rejected":
        out["answer"] = one["note"]
    return out
