"""Where a value stands in a JSON document: `recipient.phone`, `items[].recipient.phone`, `[].name`, `note?.phone`.

`[]` goes through every element of a list, `?` lets a name be absent. Anything else that is not where the path says is an
error, so that a renamed member is never sent on unmasked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from watchbill.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME: Final = re.compile(r"[^.\[\]?]+")
_EACH: Final = "[]"
SPOTS_MAX: Final = 200_000


class PathError(ValueError):
    """The document is not what the declaration says; names the declared path, never a value."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One value: `holder[key]`."""

    holder: Any
    key: Any

    @property
    def value(self) -> object:
        """What stands there."""
        found: object = self.holder[self.key]
        return found

    def put(self, value: object) -> None:
        """Replace it."""
        self.holder[self.key] = value


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path; `steps` are (name or "[]", may be absent)."""

    text: str
    steps: tuple[tuple[str, bool], ...]

    @classmethod
    def of(cls, text: str) -> Path:
        """Read a path.

        Raises:
            SettingsError: it is none.
        """
        steps: list[tuple[str, bool]] = []
        rest = text
        while rest:
            if rest.startswith(_EACH):
                steps.append((_EACH, False))
                rest = rest.removeprefix(_EACH)
            else:
                found = _NAME.match(rest)
                if found is None:
                    break
                rest = rest[found.end() :]
                optional = rest.startswith("?")
                steps.append((found.group(), optional))
                rest = rest[optional:]
            if rest.startswith("."):
                rest = rest[1:] or "."
        if rest or not steps:
            raise SettingsError("is no path", where=repr(text), todo="Write it like items[].recipient.phone")
        return cls(text, tuple(steps))

    def spots(self, document: object) -> list[Spot]:
        """Every place that the path leads to; empty lists lead to none.

        Raises:
            PathError: the document is built otherwise.
        """
        box = [document]
        out: list[Spot] = []
        for spot in self._walk(Spot(box, 0), 0):
            if isinstance(spot.value, (dict, list)):
                raise PathError(f"{self.text} holds no single value")
            out.append(spot)
            if len(out) > SPOTS_MAX:
                raise PathError(f"{self.text} leads to more than {SPOTS_MAX} values")
        return out

    def _walk(self, spot: Spot, at: int) -> Iterator[Spot]:
        if at == len(self.steps):
            yield spot
            return
        (name, optional), value = self.steps[at], spot.value
        if name == _EACH:
            if not isinstance(value, list):
                raise PathError(f"{self.text}: no list where one is declared")
            for index in range(len(value)):
                yield from self._walk(Spot(value, index), at + 1)
        elif isinstance(value, dict) and name in value:
            yield from self._walk(Spot(value, name), at + 1)
        elif not (optional and (value is None or isinstance(value, dict))):
            raise PathError(f"{self.text} is not in the answer")
