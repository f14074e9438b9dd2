"""What a case looks like (contract/outputs.md lists the kinds): a best guess from the families that spoke; a person's word ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SPOKE_NATS: Final = 1.0
"""From here on a detector has spoken."""
_SERVICE_ROLES: Final = frozenset({"robot"})
_LEAVER: Final = frozenset({"former_device", "dormant"})
_ELSEWHERE: Final = "concurrent"
_SOMEBODY_ELSE: Final = ("login", "habit", "volume", "harvest")


def kind_of(
    evidence: Mapping[str, float],
    families: Mapping[str, str],
    role: str,
    persons_of_account: int,
    *,
    lone: bool = False,
) -> str:
    """The kind of a case by its strongest clue.

    Device, leaver, service and ring go by what such a case alone shows. Else: the owner is active elsewhere at the
    same time = hijacked; a login from elsewhere = leased; a planted customer was met = canary; a number of several persons =
    shared; other signs of another person or of bulk = leased; only looks that no work explains, or that work explains too
    well = the owner himself.

    Args:
        evidence: detector id -> nats. families: detector id -> family. role: name. lone: a device that looks for itself.
    """
    spoke = {name for name, nats in evidence.items() if nats > SPOKE_NATS}
    spoken = {families.get(name, name) for name in spoke}
    by_clue = (
        ("device", lone),
        ("leaver", "roster" in spoken or bool(spoke & _LEAVER)),
        ("service", role in _SERVICE_ROLES or "service" in spoken),
        ("ring", "graph" in spoken),
        ("hijacked", _ELSEWHERE in spoke and persons_of_account <= 1),
        ("leased", "login" in spoken),
        ("canary", "canary" in spoken),
        ("shared", persons_of_account > 1),
        ("leased", bool(spoken & set(_SOMEBODY_ELSE))),
    )
    return next((kind for kind, fits in by_clue if fits), "owner")
