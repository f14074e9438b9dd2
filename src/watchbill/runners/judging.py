"""What people decide, put into force: a `wb.verdict` of the journal changes standing, evidence, learning and the prior.

Dismissed: the account stands free, every detector forgives it, learning from it begins again. Confirmed: the step stays until
it is lifted, and its looks feed no peer's profile. All of it follows from the journal alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.cases.acts import ACTS, RECORDS, VERDICT
from watchbill.cases.desk import obey
from watchbill.cases.verdicts import Verdict
from watchbill.context.context import grown
from watchbill.context.lone import device_of
from watchbill.context.roster import post_at
from watchbill.detectors.base import CONFIRMED
from watchbill.responses.policy import STEPS, hold, release
from watchbill.responses.presence import PROOF
from watchbill.runners.learning import learned_prior
from watchbill.runners.proving import PRESENCE, prove

if TYPE_CHECKING:
    from watchbill.cases.case import Case
    from watchbill.runners.pipeline import Pipeline


SAID: Final = frozenset({*RECORDS, PRESENCE})
"""Kinds of control records that people (or their keys) say."""


def obey_people(pipeline: Pipeline, kind: str, told: dict[str, Any], seq: int) -> list[dict[str, Any]]:
    """Put what somebody said or proved into force from `seq` on; the changes of standing that it makes."""
    if kind == VERDICT:
        return judge(pipeline, told, seq)
    return prove(pipeline, told, seq) if kind == PRESENCE else act_on(pipeline, kind, told, seq)


def judge(pipeline: Pipeline, told: dict[str, Any], seq: int) -> list[dict[str, Any]]:
    """Put a verdict into force from `seq` on; the change of standing that it makes, as a row of interventions.ndjson.

    A verdict that came before (by id), or that is about nobody known, changes nothing.
    """
    verdict = Verdict.model_validate(told)
    if verdict.id in pipeline.book.told:
        return []
    case = pipeline.book.judge(verdict, seq)
    pipeline.shift = learned_prior(pipeline.settings, pipeline.book)
    if case is None:
        return [] if verdict.case or not verdict.account else _apply(pipeline, verdict, verdict.account, None, seq)
    files = pipeline.book.whole(case.id)
    return [row for one in files for row in _apply(pipeline, verdict, one.account, one, seq)]


def act_on(pipeline: Pipeline, kind: str, told: dict[str, Any], seq: int) -> list[dict[str, Any]]:
    """Put into force what somebody did with a case; the changes of standing that it makes (an upheld appeal makes one)."""
    verdict = obey(pipeline.book, ACTS[kind].model_validate(told), seq)
    return [] if verdict is None else judge(pipeline, verdict.model_dump(), seq)


def _apply(pipeline: Pipeline, verdict: Verdict, account: str, case: Case | None, seq: int) -> list[dict[str, Any]]:
    """Standing, evidence and learning of one account after a verdict; the change of standing, if there is one."""
    at = pipeline.context.accounts.find(account)
    if at < 0:
        return []
    pipeline.standing = grown(pipeline.standing, at + 1)
    pipeline.shade.grow(at + 1)
    pipeline.frozen = grown(pipeline.frozen, at + 1)
    pipeline.proofs = grown(pipeline.proofs, at + 1)
    for proofs in (pipeline.proofs, pipeline.shade.proofs):  # a person's word is stronger than any proof
        proofs[at : at + 1] = np.zeros(min(1, proofs.shape[0]), PROOF)
    if verdict.verdict == "confirmed":
        pipeline.frozen[at] |= CONFIRMED
        old, new = _held(pipeline, at, case, verdict.time)
    else:
        pipeline.frozen[at] = 0
        for detector in pipeline.detectors:
            detector.forgive(at)
        if pipeline.shade.ladder:
            release(pipeline.shade.standing, at)
        old, new = release(pipeline.standing, at)
    if case is not None:
        case.step = new
    if old == new:
        return []
    lone = device_of(account)
    return [{
        "seq": seq, "id": verdict.id, "time": verdict.time, **({"device": lone} if lone else {"account": account}),
        "step": STEPS[new], "until": None, "case": pipeline.book.lead(case).id if case is not None else None,
        "evidence": {}, "verdict": verdict.verdict,
    }]  # fmt: skip


def _held(pipeline: Pipeline, at: int, case: Case | None, time: int) -> tuple[int, int]:
    """Hold a confirmed account; where settings take no steps for its role, nothing is held.

    In a step that settings put in shadow nobody is held: the next lower one stands.
    """
    roster = pipeline.context.roster
    post, _ = post_at(roster.first, roster.posts, at, time)
    role = int(roster.posts[post]["role"]) if post >= 0 else pipeline.context.roles.index("unknown")
    old = int(pipeline.standing["step"][at])
    if not pipeline.steps[role]:
        return old, old
    worst = case.step_worst if case is not None else 0
    if pipeline.shade.ladder:
        hold(pipeline.shade.standing, at, worst)
    return hold(pipeline.standing, at, worst, pipeline.enforced)
