"""A leak that was taken in: where the list turned up, at what price, who found it, on what legal ground, and who had it since; pure."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

CHANNELS: Final = {
    "qq": "a QQ group or chat", "wechat": "a WeChat group or chat", "telegram": "Telegram", "forum": "a forum or board",
    "market": "a market of stolen data", "cloud": "a shared drive or paste", "mail": "e-mail", "phone": "told by phone",
    "police": "handed over by the police", "media": "a journalist", "customer": "a customer's own report", "other": "said in the note",
}  # fmt: skip
"""Where a list turned up."""
ACTS: Final = {
    "received": "came in from outside", "copied": "was copied", "handed_over": "went to somebody else", "returned": "came back",
    "analysed": "was read by Watchbill or a person", "destroyed": "is gone, and by whom",
}  # fmt: skip
"""What may happen to a list in the chain of custody."""
_Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
_Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
_Who = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


class Leak(BaseModel):
    """One list as it was taken in.

    Attributes:
        id: short and unique. sha256, bytes: of the file. channel: one of `CHANNELS`. price_yuan: asked or paid for it, if known.
        finder, by: pseudonyms of who found it and who took it in. found: epoch ms at which it was found. out: epoch ms at which it was
        out at the latest, if that is known apart. legal_basis: on what ground the firm holds it. note: no customer's data.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    bytes: int = Field(ge=0)
    channel: Literal[
        "qq", "wechat", "telegram", "forum", "market", "cloud", "mail", "phone", "police", "media", "customer", "other"
    ]  # fmt: skip
    price_yuan: float | None = Field(default=None, ge=0, le=1e12)
    finder: _Who
    by: _Who
    found: int = Field(ge=0)
    out: int | None = Field(default=None, ge=0)
    legal_basis: _Said
    note: Annotated[str, StringConstraints(max_length=500)] = ""


class Handling(BaseModel):
    """One step of the chain of custody: what happened to a leak, by whom, to whom, and the hash of what it was then."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    leak: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    act: Literal["received", "copied", "handed_over", "returned", "analysed", "destroyed"]
    by: _Who
    to: _Line = ""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    note: Annotated[str, StringConstraints(max_length=500)] = ""
