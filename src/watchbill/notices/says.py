"""How facts read in a document: each name of a fact is one function from facts to paragraphs and tables, in either language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from watchbill.cases.tiers import DUTY, THRESHOLDS
from watchbill.inquiry.tenancies import earnings
from watchbill.notices.control import shadowed_steps
from watchbill.notices.facts import categories, span_of, steps_taken
from watchbill.notices.wording import Block, clean, grouped, has, listed, moment, named, word
from watchbill.responses.policy import STEPS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from watchbill.inquiry.caseexposure import CaseExposure
    from watchbill.notices.facts import Facts
    from watchbill.notices.wording import Lang

_HOUR_MS: Final = 3_600_000
ROWS_MAX: Final = 100
"""Categories in one table; names of fields come from outside, so their number has a bound, and what is left out is counted."""


def _answer(facts: Facts) -> CaseExposure:
    if facts.answer is None:
        raise RuntimeError("a fact of a case was asked of the whole firm")
    return facts.answer


def _case(facts: Facts) -> Mapping[str, Any]:
    if facts.case is None:
        raise RuntimeError("a fact of a case was asked of the whole firm")
    return facts.case


def _categories(facts: Facts, lang: Lang) -> list[Block]:
    found = categories(_answer(facts))
    if not found:
        return [Block(word(lang, "nothing_exposed"))] if not _answer(facts).saw.gaps else []
    rows = tuple(
        (named(lang, "name", name), named(lang, "party", party), grouped(count))
        for party, name, count in found[:ROWS_MAX]
    )
    if len(found) > ROWS_MAX:
        rows += ((word(lang, "more_rows", n=len(found) - ROWS_MAX), "", ""),)
    return [Block(head=(word(lang, "field"), word(lang, "party"), word(lang, "persons")), rows=rows)]


def _kinds_only(facts: Facts, lang: Lang) -> list[Block]:
    """For a person: what may have been seen, without how many others."""
    found = dict.fromkeys(named(lang, "name", name) for _, name, _ in categories(_answer(facts)))
    return [Block(listed(lang, found))] if found else []


def _numbers(facts: Facts, lang: Lang) -> list[Block]:
    saw = _answer(facts).saw
    if saw.complete:
        lines = [word(lang, "persons_exact", n=saw.persons)]
    elif saw.upper is None:
        lines = [word(lang, "persons_open", lower=saw.lower)]
    else:
        lines = [word(lang, "persons_bounds", lower=saw.lower, upper=saw.upper)]
    lines.append(word(lang, "items_line", items=saw.items, complete=saw.complete_records, times=saw.times))
    if saw.gaps:
        lines.append(word(lang, "gap_head"))
    lines += [
        word(lang, f"gap.{gap.kind}" if has(lang, f"gap.{gap.kind}") else "gap.other", looks=gap.looks)
        for gap in saw.gaps
    ]
    lines.append(word(lang, "hash_line", hash=_answer(facts).hash))
    return [Block(line) for line in lines]


def _span(facts: Facts, lang: Lang) -> list[Block]:
    case, zone, span = _case(facts), facts.zone, span_of(_answer(facts))
    out = (
        []
        if span is None
        else [Block(word(lang, "span_line", first=moment(span[0], zone), last=moment(span[1], zone), zone=zone))]
    )
    return [*out, Block(word(lang, "discovered_line", opened=moment(case["opened"], zone), updated=moment(case["updated"], zone), zone=zone))]  # fmt: skip


def _when(facts: Facts, lang: Lang) -> list[Block]:
    """For a person: when, and nothing of the case."""
    return [] if span_of(_answer(facts)) is None else _span(facts, lang)[:1]


def _cause(facts: Facts, lang: Lang) -> list[Block]:
    case = _case(facts)
    if not (text := named(lang, "cause", case["kind"], " ").strip()):
        return []
    said = [one for one in case.get("verdicts", []) if one["verdict"] == "confirmed"]
    if case["status"] in ("confirmed", "closed") and said:
        return [Block(text), Block(word(lang, "cause.confirmed", time=moment(said[-1]["time"], facts.zone)))]
    return [Block(text), Block(word(lang, "cause.note"))]


def _measures(facts: Facts, lang: Lang) -> list[Block]:
    taken = steps_taken(facts.steps)
    out = []
    if taken:
        rows = tuple(
            (named(lang, "step", step), grouped(times), moment(first, facts.zone), moment(last, facts.zone))
            for step, times, first, last in taken
        )
        head = tuple(word(lang, name) for name in ("step", "count", "first", "last"))
        out = [Block(word(lang, "measures_line")), Block(head=head, rows=rows)]
    return out + [
        Block(word(lang, f"verdict.{one['verdict']}", time=moment(one["time"], facts.zone)))
        for one in _case(facts).get("verdicts", [])
        if one["verdict"] != "dismissed"
    ]


def _measures_short(facts: Facts, lang: Lang) -> list[Block]:
    """For a person: which measures, without times."""
    taken = [named(lang, "step", step) for step, *_ in steps_taken(facts.steps)]
    return [Block(word(lang, "measures_line")), Block(listed(lang, taken))] if taken else []


def _outlets(facts: Facts, lang: Lang) -> list[Block]:
    return [Block(word(lang, "outlets_line", outlets=listed(lang, facts.outlets)))] if facts.outlets else []


def _accounts(facts: Facts, lang: Lang) -> list[Block]:
    case, zone = _case(facts), facts.zone
    out = []
    if case["accounts"]:
        out.append(Block(word(lang, "accounts_line", accounts=listed(lang, case["accounts"]))))
    if case["devices"]:
        out.append(Block(word(lang, "devices_line", devices=listed(lang, case["devices"]))))
    for one in case["tenancies"]:
        who = clean(one["account"] or one.get("device") or "")
        low, high = _gain(facts, one)
        first, last = moment(one["from"], zone), moment(one["until"], zone)
        out.append(Block(word(lang, "tenancy_line", who=who, first=first, last=last, records=one["records"], low=low, high=high)))  # fmt: skip
    return out


def _gain(facts: Facts, tenancy: Mapping[str, Any]) -> tuple[int, int]:
    fetched = earnings(tenancy, facts.engine.inquiry, facts.zone)
    return round(fetched.low), round(fetched.high)


def _evidence(facts: Facts, lang: Lang) -> list[Block]:
    out = []
    head = tuple(word(lang, name) for name in ("evidence", "nats", "records"))
    for name, title in (("reasons", "against_head"), ("for_person", "for_head")):
        rows = tuple(
            (clean(one[f"text_{lang}"]), f"{one['nats']:+.1f}", grouped(int(one["records"])))
            for one in _case(facts)[name]
        )
        out += [Block(word(lang, title)), Block(head=head, rows=rows)] if rows else []
    return [*out, Block(word(lang, "evidence_note"))] if out else []


def _meter(facts: Facts, lang: Lang) -> list[Block]:
    meter = facts.meter
    if meter is None:
        return []
    rows = []
    for kind, threshold in THRESHOLDS.items():
        high = word(lang, "unbounded") if meter.high is None else grouped(meter.high[kind])
        rows.append(
            (
                word(lang, f"kind.{kind}"),
                grouped(meter.low[kind]),
                high,
                grouped(threshold),
                grouped(round(threshold * DUTY)),
            )
        )
    head = tuple(word(lang, name) for name in ("kind", "low", "high", "threshold", "threshold_duty"))
    out = [Block(word(lang, "meter_head")), Block(head=head, rows=tuple(rows))]
    for scale, duty in (("whole", False), ("duty", True)):
        low, most = meter.tiers(duty=duty)
        high = word(lang, "unbounded") if most is None else word(lang, f"tier.{most}")
        out.append(
            Block(word(lang, "tier_line", scale=word(lang, f"scale.{scale}"), low=word(lang, f"tier.{low}"), high=high))
        )
    return [*out, Block(word(lang, "counsel"))]


def _grade(facts: Facts, lang: Lang) -> list[Block]:
    row = facts.last("grade")
    if row is None:
        return []
    told = {name: moment(row[name], facts.zone) for name in ("time", "aware")}
    line = word(lang, "grade_line", by=clean(row["by"]), level=word(lang, f"level.{row['level']}"), **told)
    return [Block(line), Block(word(lang, "grade_hint"))]


def _aware(facts: Facts, lang: Lang) -> list[Block]:
    """Since when the firm knew: the earliest that a grading says."""
    known = [row["aware"] for row in facts.record if row["kind"] == "grade"]
    return [Block(word(lang, "aware_line", aware=moment(min(known), facts.zone), zone=facts.zone))] if known else []


def _told(facts: Facts, lang: Lang) -> list[Block]:
    out = []
    for row in facts.record:
        time = moment(row["time"], facts.zone)
        if row["kind"] == "told":
            channel, persons = clean(row["channel"]), int(row["persons"])
            out.append(Block(word(lang, "told_line", time=time, channel=channel, persons=persons, hash=row["list"])))
        elif row["kind"] == "not_told":
            out.append(Block(word(lang, "not_told_line", by=clean(row["by"]), time=time, reason=clean(row["reason"]))))
    return out


def _monitored(facts: Facts, lang: Lang) -> list[Block]:
    control, status = facts.control, facts.status
    out = [Block(word(lang, "purpose")), Block(word(lang, "collected_head")), Block(word(lang, "record_fields"))]
    if control is not None and status:
        out.append(Block(word(
            lang, "monitored_line", first=moment(control.since, facts.zone), last=moment(control.until, facts.zone),
            records=int(status.get("records", 0)), accounts=int(status.get("accounts", 0)), looks=int(status.get("looks", 0)),
        )))  # fmt: skip
    return out


def _in_force(facts: Facts, lang: Lang) -> list[Block]:
    names = [name for name in STEPS if name != "none"]
    shadowed = shadowed_steps(facts.engine.model_dump()["policy"])
    runs = listed(lang, (word(lang, f"step.{name}") for name in names if name not in shadowed))
    minutes = f"{facts.engine.policy.suspend_minutes:g}"
    out = [Block(word(lang, "settings_line", steps=runs, minutes=minutes))]
    if shadowed:
        only = listed(lang, (word(lang, f"step.{name}") for name in names if name in shadowed))
        out.append(Block(word(lang, "shadow_line", steps=only)))
    return [*out, Block(word(lang, "detectors_line", off=listed(lang, facts.engine.detectors_off)))]


def _control(facts: Facts, lang: Lang) -> list[Block]:
    one = facts.control
    if one is None:
        return []
    told = {name: f"{getattr(one, name):,.1f}" for name in ("hours", "enforcing", "shadow", "blind", "replayed")}
    out = [word(lang, "control_line", first=moment(one.since, facts.zone), last=moment(one.until, facts.zone), **told)]
    if one.partly_blind:
        out.append(word(lang, "control_part", partly=f"{one.partly_blind:,.1f}"))
    waits = {"median": _hours(one.first_look_median_ms, lang), "longest": _hours(one.first_look_longest_ms, lang)}
    out.append(word(lang, "control_alerts", cases=one.cases, unread=one.unread, unattended=one.unattended, **waits))
    return [Block(line) for line in out]


def _hours(ms: int | None, lang: Lang) -> str:
    return word(lang, "none") if ms is None else word(lang, "hours", n=f"{ms / _HOUR_MS:,.1f}")


FACTS: Final[dict[str, Callable[[Facts, Lang], list[Block]]]] = {
    "categories": _categories, "kinds_only": _kinds_only, "numbers": _numbers, "span": _span, "when": _when, "cause": _cause,
    "measures": _measures, "measures_short": _measures_short, "outlets": _outlets, "accounts": _accounts,
    "evidence": _evidence, "meter": _meter, "grade": _grade,
    "aware": _aware, "told": _told, "monitored": _monitored, "in_force": _in_force,
    "control": _control,
}  # fmt: skip
"""Name of a fact -> how it reads; [] says that there is nothing, and then a person has to say it."""
