"""A proof that came from outside the records, put into force: a `wb.presence` of the journal frees one device or session.

It says that a device-bound key of the account was used there just now (web/presence.py verified it). Everything follows from
the journal alone; what it can do is what a proof in the records can do (responses/presence.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from watchbill.context.lone import device_of
from watchbill.core.hashing import hash_text
from watchbill.responses.policy import NONE, STEP_UP, STEPS, standing_at
from watchbill.responses.presence import (
    BY_DEVICE,
    BY_SESSION,
    HOWS,
    KEY,
    put_key,
    span_of,
)
from watchbill.runners.learning import until_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.runners.pipeline import Pipeline

PRESENCE: Final = "wb.presence"


class Proof(BaseModel):
    """One proof, as the journal holds it (`wb.presence`).

    Attributes:
        id: of this proof; the same id again changes nothing. account: whose. device, session: what was proven, one of them, as
            the looks name it. how: "key". credential: short name of the key. time: epoch ms.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    account: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    device: Annotated[str, StringConstraints(max_length=4096)] = ""
    session: Annotated[str, StringConstraints(max_length=4096)] = ""
    how: Literal["key"] = "key"
    credential: Annotated[str, StringConstraints(max_length=64)] = ""
    time: int = Field(ge=0, le=1 << 52)

    @model_validator(mode="after")
    def _of_one_place(self) -> Proof:
        if bool(self.device) == bool(self.session):
            raise ValueError("name a device or a session, and not both")
        return self


def prove(pipeline: Pipeline, told: dict[str, Any], seq: int) -> list[dict[str, Any]]:
    """Put a proof into force from `seq` on; the row of interventions.ndjson that it makes.

    One that came before (by id), is older than the step, or is about an account that has nothing to prove (none known, no
    step, a higher one, or one that a person confirmed) changes nothing. What would have been done (runners/shading.py) is
    answered likewise.
    """
    proof = Proof.model_validate(told)
    if not pipeline.book.hear(proof.id):
        return []
    at = pipeline.context.accounts.find(proof.account)
    if not 0 <= at < pipeline.standing.shape[0]:
        return []
    shade = pipeline.shade
    over = _free(pipeline, pipeline.standing, pipeline.proofs, pipeline.enforced, at, proof)
    heard = (
        _free(pipeline, shade.standing, shade.proofs, np.ones_like(shade.shadowed), at, proof) if shade.ladder else over
    )
    case = pipeline.book.proven(proof.account, seq, proof.time, over=bool(heard)) if heard is not None else None
    if over is None:
        return []
    if case is None:
        case = next((pipeline.book.lead(one).id for one in pipeline.book.of(proof.account)), None)
    standing = pipeline.standing[at]
    lone = device_of(proof.account)
    place = {"device": proof.device} if proof.device else {"session": proof.session}
    return [{
        "seq": seq, "id": proof.id, "time": proof.time, **({"device": lone} if lone else {"account": proof.account}),
        "step": STEPS[int(standing["step"])], "until": until_of(int(standing["until"])), "case": case, "evidence": {},
        "proof": {"how": HOWS[KEY], **place, "until": proof.time + span_of(pipeline.settings.policy)},
    }]  # fmt: skip


def _free(
    pipeline: Pipeline, standings: NDArray[np.void], proofs: NDArray[np.void], enforced: NDArray[np.uint8], at: int,
    proof: Proof,
) -> bool | None:  # fmt: skip
    """Free the place of a proof in one of the two ladders: whether the account's step is over with it, None = it changed nothing.

    What counts is the standing as it is at that time: an ended session that is over by the clock asks for presence.
    """
    standing, row = standings[at : at + 1], proofs[at : at + 1]
    settled = standing_at(standing, proof.time, pipeline.spans, enforced)
    if int(settled["step"][0]) != STEP_UP or settled["held"][0] or proof.time < int(row["stepped"][0]):
        return None
    by, name = (BY_DEVICE, proof.device) if proof.device else (BY_SESSION, proof.session)
    policy = pipeline.settings.policy
    until = proof.time + span_of(policy)
    if not put_key(proofs, at, by, hash_text(name), proof.time, until, float(np.log(policy.step_up_at))):
        return None
    standing[:] = settled
    over = not row["elsewhere"][0]
    if over:
        row["rest_until"] = standing["until"]
        standing["step"], standing["until"] = NONE, 0
    return over
