"""What a home says of itself: how far it is, which detectors are silent and why, which gates are closed, what is odd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from watchbill.cases.case import status_of as status_of_case
from watchbill.cases.clocks import first_look_ms, overdue
from watchbill.cases.fair import untold
from watchbill.cases.tally import tally
from watchbill.context.coverage import CLOSED, OPEN
from watchbill.context.roster import ACTIVE, EARLY, ENDED, UNKNOWN, post_at
from watchbill.inquiry.silence import Heard
from watchbill.responses.budget import hour_of, room
from watchbill.responses.policy import STEPS, standing_at

if TYPE_CHECKING:
    from watchbill.cases.book import CaseBook
    from watchbill.runners.engine import Engine
    from watchbill.runners.pipeline import Pipeline


def sources_of(engine: Engine, now: int | None = None) -> dict[str, dict[str, Any]]:
    """Per source: arrival of its last record, lag (ms) and silence by the arrival clock, or by `now` (epoch ms) when live.

    Only a source that the running command reads can be silent; one of an earlier command has ended. A live source that
    never sent a record is silent: somebody set it up for something.
    """
    clock = clock_of(engine, now)
    out = {}
    for name in sorted({*engine.heard, *engine.reading}):
        heard = engine.heard.get(name, Heard())
        silent = name in engine.reading and (heard.silent(clock) or (heard.last is None and now is not None))
        out[name] = {"last_arrival": heard.last, "lag_ms": heard.lag_ms(clock), "silent": silent}
    return out


def clock_of(engine: Engine, now: int | None) -> int:
    """The clock of arrival (epoch ms), moved on by `now` when live."""
    return engine.arrival if now is None else max(now, engine.arrival)


def standing_counts(pipeline: Pipeline, now: int) -> dict[str, int]:
    """Step -> accounts and devices under it at `now`; what is over by then does not count, whoever sent no record since."""
    settled = standing_at(pipeline.standing, now, pipeline.spans, pipeline.enforced)
    held = np.bincount(settled["step"], minlength=len(STEPS)).tolist()
    return {step: count for step, count in zip(STEPS, held, strict=True) if count and step != "none"}


def shadow_of(pipeline: Pipeline) -> dict[str, Any]:
    """What is in shadow, who reads it, and how much there was."""
    policy, shade = pipeline.settings.policy, pipeline.shade
    return {
        "mode": policy.mode, "steps": list(policy.shadow_steps), "owner": pipeline.settings.shadow_owner,
        "detectors": dict(shade.heard), "rows": dict(shade.rows),
    }  # fmt: skip


def desk_of(book: CaseBook, now: int) -> dict[str, Any]:
    """How the cases are doing: by status, overdue, interrupted persons whom nobody told, open appeals, first looks (ms)."""
    together = [book.whole(case.id) for case in book.leads()]
    statuses = [status_of_case(files) for files in together]
    looks = sorted(ms for case in book.leads() if (ms := first_look_ms(case)) is not None)
    appeals = [one for case in book.cases.values() for one in case.appeals]
    return {
        "statuses": {status: statuses.count(status) for status in sorted(set(statuses))},
        "overdue": sum(overdue(files, now) for files in together),
        "untold": sum(untold(case, now) for case in book.cases.values()),
        "appeals_open": sum(one["outcome"] == "open" for one in appeals),
        "first_look_ms_median": looks[len(looks) // 2] if looks else None,
    }


def budget_said(pipeline: Pipeline, now: int) -> dict[str, int]:
    """The budget of steps in the running hour, and how often it was spent since the beginning."""
    rows = pipeline.shade.budget if pipeline.shade.ladder else pipeline.budget
    running = rows["hour"] == hour_of(now)
    return {
        "room": int(sum(room(row) for row in rows)), "spent": int(rows["spent"][running].sum()),
        "refused": int(rows["refused"][running].sum()), "hours_spent": int(rows["hours_spent"].sum()),
        "refused_ever": int(rows["refused_ever"].sum()),
    }  # fmt: skip


def status_of(engine: Engine, now: int | None = None) -> dict[str, Any]:
    """The content of status.json: counts and reasons only, no names of people or customers."""
    pipeline = engine.pipeline
    sources = sources_of(engine, now)
    silent = sorted(name for name, said in sources.items() if said["silent"])
    text = f"sources that are silent where they should send: {', '.join(silent)}"
    mute = [{"kind": "source", "count": len(silent), "text": text}] if silent else []
    closed = [
        name
        for name, is_open in zip(pipeline.context.roles, (pipeline.coverage.role_said == OPEN).tolist(), strict=False)
        if not is_open
    ]
    return {
        "height": engine.done, "arrival": engine.arrival, "records": sum(engine.counts.kinds.values()),
        "accounts": len(pipeline.context.accounts), "cases": len(pipeline.book.leads()),
        "quarantined": engine.counts.quarantined, "duplicates": engine.counts.duplicates,
        "sources": sources,
        "detectors": {detector.id: detector.silent(pipeline.around) for detector in pipeline.detectors},
        "verdicts": tally(pipeline.book.cases.values()), "prior_shift_nats": round(pipeline.shift, 4),
        "standing": standing_counts(pipeline, clock_of(engine, now)), "shadow": shadow_of(pipeline),
        "budget": budget_said(pipeline, clock_of(engine, now)),
        "desk": desk_of(pipeline.book, clock_of(engine, now)),
        "unattended": sum(case.unattended for case in pipeline.book.cases.values()),
        "gates": {
            "roles_closed": closed, "groups_closed": int(np.sum(pipeline.coverage.group_open == CLOSED)),
            "feeds_gated": int(np.sum(pipeline.context.feed["gated"])),
        },
        "findings": [*mute, *findings(engine)], "bytes_an_account": round(pipeline.bytes_an_account(), 1),
        "repaired": engine.journal.repaired,
    }  # fmt: skip


def findings(engine: Engine) -> list[dict[str, Any]]:
    """Data-quality findings: counts with a text, never an alarm against a person."""
    out: list[dict[str, Any]] = []
    context, habits = engine.pipeline.context, engine.pipeline.coverage.habits
    roster = context.roster
    seen = {UNKNOWN: 0, ENDED: 0, EARLY: 0, ACTIVE: 0}
    if roster.posts.shape[0]:
        for account in np.flatnonzero(habits["looks"][: len(context.accounts)] > 0).tolist():
            seen[int(post_at(roster.first, roster.posts, account, engine.arrival)[1])] += 1
    texts = {
        UNKNOWN: "accounts that look at customers but are not on the roster",
        ENDED: "accounts that looked in the last days and whose roster row has ended",
        EARLY: "accounts that look before their roster row begins",
    }
    for status, text in texts.items():
        if seen[status]:
            out.append({"kind": "roster", "count": seen[status], "text": text})
    shared = int(np.sum(roster.posts["persons"] > 1))
    if shared:
        out.append(
            {"kind": "shared", "count": shared, "text": "roster rows of numbers that several persons hold at once"}
        )
    for names in (context.accounts, context.outlets):
        if names.left_out:
            text = f"mentions of {names.what} past limits.{names.what}_max: they are recorded, but hold no standing"
            out.append({"kind": "limit", "count": names.left_out, "text": text})
    spent = budget_said(engine.pipeline, engine.arrival)
    if spent["refused"]:
        text = "accounts whom the hour's budget of steps kept from a step: a feed is probably broken"
        out.append({"kind": "budget", "count": spent["refused"], "text": text})
    for name, why in engine.references.refused.items():
        out.append({"kind": "reference", "count": 1, "text": f"{name}: {why}"})
    return out
