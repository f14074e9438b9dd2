"""What an account may see of the fields that it asks for: settings' masks by the role that the roster gives it at that time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchbill.context.roster import ACTIVE, post_at
from watchbill.responses.masks import PLAIN, levels

if TYPE_CHECKING:
    from watchbill.responses.asks import Ask
    from watchbill.responses.masks import Level
    from watchbill.runners.pipeline import Pipeline

UNKNOWN = "unknown"
DEVICE = "device"


def roles_of(pipeline: Pipeline, account: str, device: str, time: int) -> tuple[str, ...]:
    """The roles whose masks hold for who asks at `time` (epoch ms): that of the post; outside its span "unknown" as well.

    Who names no account is the device that asks.
    """
    if not account:
        return (DEVICE if device else UNKNOWN,)
    context = pipeline.context
    at = context.accounts.find(account)
    post, status = post_at(context.roster.first, context.roster.posts, at, time)
    if post < 0:
        return (UNKNOWN,)
    role = context.roles[int(context.roster.posts[post]["role"])]
    return (role,) if status == ACTIVE else (role, UNKNOWN)


def levels_of(pipeline: Pipeline, ask: Ask, time: int, *, at_least: Level = PLAIN) -> dict[str, Level]:
    """Field -> what may be shown of it: the strictest of the masks that hold and of `at_least`, which a decision demands."""
    out: dict[str, Level] = dict.fromkeys(ask.fields, at_least)
    for role in roles_of(pipeline, ask.account, ask.device, time):
        for field, floor in out.items():
            out[field] = levels(pipeline.settings.masks, role, [field], at_least=floor)[field]
    return out
