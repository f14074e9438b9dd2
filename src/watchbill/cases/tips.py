"""A tip: what somebody tells without having to say who he is, as "I was offered money for my number"; pure."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

ABOUT: Final = {
    "offer": "money was offered for a work number, a look or a list", "rented": "somebody lends or rents a number",
    "sale": "customers' data is sold", "pressure": "somebody is pressed or threatened", "weakness": "a system shows too much",
    "other": "something else",
}  # fmt: skip
"""What a tip is about."""


class Tip(BaseModel):
    """What was told. Nothing in it says who told it, unless the source wrote it there.

    Attributes:
        about: one of `ABOUT`. text: the source's own words. outlet: where, if told. contact: how to come back, if the source wants that.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: Literal["offer", "rented", "sale", "pressure", "weakness", "other"]
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=8_000)]
    outlet: Annotated[str, StringConstraints(max_length=200)] = ""
    contact: Annotated[str, StringConstraints(max_length=200)] = ""


class Access(BaseModel):
    """Who read tips, and why: reading is recorded before it happens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
    why: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=300)]
    tips: tuple[str, ...] = ()
