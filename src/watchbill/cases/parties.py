"""Parties of a case that no roster holds: the intermediary, the up-line, the buyer; tied by typed links to accounts and each other; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

if TYPE_CHECKING:
    from collections.abc import Iterable

ROLES: Final = {
    "intermediary": "goes between those who have numbers and those who want them", "up_line": "stands above an intermediary",
    "recruiter": "finds people who rent out their number", "operator": "sat at a rented number", "buyer": "bought the data",
    "reseller": "bought it to sell it on", "payer": "the hand or account that the money came from", "other": "said in the note",
}  # fmt: skip
"""What a party is to a case."""
LINKS: Final = {
    "rented": "rented this number", "recruited": "brought this account or party in", "paid": "paid", "paid_by": "was paid by",
    "sold_to": "sold data to", "bought_from": "bought data from", "shares_device": "used the same device", "shares_line": "used the same line",
    "related": "is family or a friend of", "works_for": "works for, or takes orders from", "named_in": "stands in this leak or tip",
}  # fmt: skip
"""How a party is tied to something."""
TARGETS: Final = ("account", "party", "device", "line", "leak", "tip")
LINKS_MAX: Final = 50
_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


class Link(BaseModel):
    """One tie of a party: its kind (`LINKS`), what sort of thing it is tied to (`TARGETS`) and which."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal[
        "rented", "recruited", "paid", "paid_by", "sold_to", "bought_from", "shares_device", "shares_line", "related", "works_for", "named_in"
    ]  # fmt: skip
    sort: Literal["account", "party", "device", "line", "leak", "tip"]
    to: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4096)]


class Party(BaseModel):
    """Somebody outside the roster, in one case.

    Attributes:
        id: unique in the case. name: a pseudonym that the firm can resolve, never a person's name. by: who says so, by a pseudonym.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: _Name
    case: _Name
    role: Literal["intermediary", "up_line", "recruiter", "operator", "buyer", "reseller", "payer", "other"]
    name: _Name
    by: _Name
    links: tuple[Link, ...] = Field(default=(), max_length=LINKS_MAX)
    note: Annotated[str, StringConstraints(max_length=500)] = ""

    @model_validator(mode="after")
    def _not_itself(self) -> Party:
        if any(link.sort == "party" and link.to == self.id for link in self.links):
            raise ValueError("a party is not tied to itself")
        return self


def link_of(text: str) -> dict[str, str]:
    """KIND:SORT:WHICH as a link, as "paid:account:31000000001"; a bare WHICH after the kind is an account."""
    kind, _, rest = text.partition(":")
    sort, _, which = rest.partition(":")
    return (
        {"kind": kind, "sort": sort, "to": which}
        if which and sort in TARGETS
        else {"kind": kind, "sort": "account", "to": rest}
    )


def current(parties: Iterable[Party]) -> list[Party]:
    """The last word on each party, in the order in which they were first named."""
    held: dict[tuple[str, str], Party] = {}
    for party in parties:
        held[party.case, party.id] = party
    return list(held.values())


def missing(parties: Iterable[Party]) -> list[str]:
    """Parties that a link of the case names and nobody described, by id."""
    known = {(party.case, party.id) for party in parties}
    named = {(party.case, link.to) for party in parties for link in party.links if link.sort == "party"}
    return sorted(name for _, name in named - known)
