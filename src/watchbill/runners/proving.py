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
from watchbill.responses.policy import NONE, STEP_UP, STEPS
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
    step, a higher one, or one that a person confirmed) changes nothing.
    """
    proof = Proof.model_validate(told)
    if not pipeline.book.hear(proof.id):
        return []
    at = pipeline.context.accounts.find(proof.account)
    if not 0 <= at < pipeline.standing.shape[0]:
        return []
    standing, row = pipeline.standing[at : at + 1], pipeline.proofs[at : at + 1]
    if int(standing["step"][0]) != STEP_UP or standing["held"][0] or proof.time < int(row["stepped"][0]):
        return []
    if proof.time >= int(standing["until"][0]):
        return []
    by, name = (BY_DEVICE, proof.device) if proof.device else (BY_SESSION, proof.session)
    policy = pipeline.settings.policy
    until = proof.time + span_of(policy)
    if not put_key(pipeline.proofs, at, by, hash_text(name), proof.time, until, float(np.log(policy.step_up_at))):
        return []
    over = not row["elsewhere"][0]
    if over:
        row["rest_until"] = standing["until"]
        standing["step"], standing["until"] = NONE, 0
    lone = device_of(proof.account)
    place = {"device": proof.device} if proof.device else {"session": proof.session}
    return [{
        "seq": seq, "id": proof.id, "time": proof.time, **({"device": lone} if lone else {"account": proof.account}),
        "step": STEPS[int(standing["step"][0])], "until": until_of(int(standing["until"][0])),
        "case": pipeline.book.proven(proof.account, over=over), "evidence": {},
        "proof": {"how": HOWS[KEY], **place, "until": until},
    }]  # fmt: skip
