"""Values that must not be seen, looked for in everything else of a document: notes, keys, other members.

A second line behind the declared paths. Finds a value as it stands, and a telephone number also with other spaces and
dashes. Linear in the document; what is encoded otherwise (base64, an image) is not found.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from watchbill.responses.masks import STAR

if TYPE_CHECKING:
    from collections.abc import Iterable

_HIDE: Final = STAR * 6
_LONG: Final = 8
_SHORT_MIN: Final = 2  # Chinese names; of other scripts, four characters
_LATIN_MIN: Final = 4
_DIGITS_MIN, _DIGITS_CORE = 7, 11
_RUN: Final = re.compile(r"[0-9](?:[ \u00a0\-.()/]{0,3}[0-9]){6,}")
_NO_DIGIT: Final = re.compile(r"[^0-9]")


class Sweep:
    """Knows the values of one document that must not be seen."""

    def __init__(self, values: Iterable[str]) -> None:
        texts = {text for value in values if _worth(text := value.strip())}
        self._short: dict[int, set[str]] = {}
        self._long: dict[str, dict[int, set[str]]] = {}
        for text in texts:
            if len(text) < _LONG:
                self._short.setdefault(len(text), set()).add(text)
            else:
                self._long.setdefault(text[:_LONG], {}).setdefault(len(text), set()).add(text)
        digits = (_NO_DIGIT.sub("", text) for text in texts)
        self._numbers: dict[int, set[str]] = {}
        for core in {number[-_DIGITS_CORE:] for number in digits if len(number) >= _DIGITS_MIN}:
            self._numbers.setdefault(len(core), set()).add(core)

    def document(self, value: Any) -> Any:  # noqa: ANN401 - a JSON value
        """The same document without them."""
        if isinstance(value, dict):
            return {self.text(key): self.document(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.document(inner) for inner in value]
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            text = str(value)
            return value if self.text(text) == text else _HIDE
        return value

    def text(self, text: str) -> str:
        """The same text without them."""
        if self._numbers:
            text = _RUN.sub(self._number, text)
        while self._short or self._long:
            swept = self._once(text)
            if swept == text:
                break
            text = swept  # each round turns letters into stars, so that it ends
        return text

    def _number(self, found: re.Match[str]) -> str:
        digits = _NO_DIGIT.sub("", found.group())
        hit = any(
            digits[at : at + size] in cores
            for size, cores in self._numbers.items()
            for at in range(len(digits) - size + 1)
        )
        return _HIDE if hit else found.group()

    def _once(self, text: str) -> str:
        out: list[str] = []
        at = kept = 0
        while at < len(text):
            size = self._hit(text, at)
            if size:
                out += (text[kept:at], _HIDE)
                at = kept = at + size
            else:
                at += 1
        return "".join((*out, text[kept:])) if out else text

    def _hit(self, text: str, at: int) -> int:
        """The length of the longest value that begins here; 0 = none."""
        lengths = self._long.get(text[at : at + _LONG]) if self._long else None
        if lengths:
            found = max((size for size, texts in lengths.items() if text[at : at + size] in texts), default=0)
            if found:
                return found
        return max((size for size, texts in self._short.items() if text[at : at + size] in texts), default=0)


def _worth(text: str) -> bool:
    """Whether a text is long enough that finding it elsewhere is no accident. Stars alone hide nothing."""
    least = _LATIN_MIN if text.isascii() else _SHORT_MIN
    return len(text) >= least and bool(text.strip(STAR))
