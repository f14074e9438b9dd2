"""What the middleware tests share: a decider that decides as told, and the page that is guarded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from watchbill.responses.asks import Ask, Decided
from watchbill.responses.masks import HIDDEN, MASKED, PLAIN

PHONE, NAME = "13800001234", "王小伟"
PAGE: dict[str, Any] = {
    "waybill": "W1", "recipient": {"id": "c1", "name": NAME, "phone": PHONE, "id_number": "330100190001010000"},
    "note": f"客户{NAME}，电话138-0000-1234", "weight": 1.5,
}  # fmt: skip
FIELDS = {
    "recipient.phone": "recipient.phone",
    "recipient.name": "recipient.name",
    "recipient.id_number": "recipient.id_number",
}


@dataclass
class Told:
    """A `Decider` that answers what it was told, and remembers."""

    answer: Decided = field(
        default_factory=lambda: Decided("d1", "allow", {**dict.fromkeys(FIELDS, PLAIN), "recipient.id_number": HIDDEN})
    )
    asked: list[Ask] = field(default_factory=list)

    def decide(self, asks: Sequence[Ask]) -> list[Decided]:
        self.asked += asks
        return [self.answer for _ in asks]


MASK = Decided("d1", "mask", {**dict.fromkeys(FIELDS, MASKED), "recipient.id_number": HIDDEN}, step="mask")


def nothing_plain(text: str) -> bool:
    return PHONE not in text and NAME not in text and "138-0000-1234" not in text and json.dumps(NAME)[1:-1] not in text
