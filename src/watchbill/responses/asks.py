"""A decision that is asked for, and the answer: what travels between a caller that is about to show data and the engine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from watchbill.responses.masks import MASKED, PLAIN, Level

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOK_KINDS: Final = ("view", "search", "export", "print")
ACR_PRESENCE: Final = "urn:watchbill:acr:presence"
"""Authentication context that a step-up asks for: the owner is there in person (docs/contain.md)."""


@dataclass(frozen=True, slots=True)
class Ask:
    """May this look be shown? The fields are those of a look record (docs/records.md).

    `request` is the caller's own identifier: the same request with the same content is one look.
    """

    request: str
    account: str = ""
    kind: str = "view"
    device: str = ""
    ip: str = ""
    session: str = ""
    app: str = ""
    waybill: str = ""
    subjects: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    ticket: str = ""
    reason: str = ""
    results: int | None = None
    page: int | None = None


def identity_of(caller: str, ask: Ask) -> str:
    """The decision's identifier (32 hex digits): the same for the same request of the same caller with the same content.

    So a request that is sent again is the same look, and an identifier used again for something else is another one.
    """
    said = (
        caller, ask.request, ask.account, ask.kind, ask.device, ask.ip, ask.session, ask.app, ask.waybill, ask.subjects,
        ask.fields, ask.ticket, ask.reason, ask.results, ask.page,
    )  # fmt: skip
    return hashlib.blake2b(repr(said).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Decided:
    """The answer to an `Ask`.

    Attributes:
        id: the decision's own identifier, to be logged as `decision` by the caller. decision: one of
            responses.policy.DECISIONS. levels: field -> what may be shown of it. step: the account's standing.
        until: when that standing ends (epoch ms, 0 = none). retry_seconds: for a throttled look. why: a short code for
            callers ("", "standing", "bound", "no_reason", "unavailable", "refused").
    """

    id: str
    decision: str
    levels: Mapping[str, Level] = field(default_factory=dict)
    step: str = "none"
    until: int = 0
    retry_seconds: int = 0
    why: str = ""

    @property
    def reveals(self) -> bool:
        """Whether any plain value may be shown."""
        return self.decision == "allow" and (not self.levels or PLAIN in self.levels.values())


def closed(ask: Ask, identity: str, why: str) -> Decided:
    """The answer when nothing can be known or nothing can be written: work goes on with masked values, nothing is revealed."""
    return Decided(identity, "mask", dict.fromkeys(ask.fields, MASKED), why=why)
