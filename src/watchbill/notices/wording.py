"""Words of documents in Chinese and English, from words/zh.json and words/en.json; times and numbers as people read them."""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterable

Lang = Literal["zh", "en"]
LANGS: Final[tuple[Lang, ...]] = ("zh", "en")
_HIDDEN: Final = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff\\ud800-\\udfff]"
)
"""Control characters, marks of writing direction, characters without width and halves of pairs: nothing of a report may hide."""
TEXT_MAX: Final = 20_000


class Block(NamedTuple):
    """A paragraph (`text`), or a table (`head`, `rows` of cells as text)."""

    text: str = ""
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@cache
def words(lang: Lang) -> dict[str, str]:
    """All words of a language."""
    said = files("watchbill.notices").joinpath("words", f"{lang}.json").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(said)
    return found


def word(lang: Lang, key: str, **told: object) -> str:
    """One sentence, with what it tells filled in; what is filled in is never read as a pattern."""
    values = {name: grouped(value) if isinstance(value, int) else str(value) for name, value in told.items()}
    return words(lang)[key].format(**values)


def has(lang: Lang, key: str) -> bool:
    """Whether there is a sentence of that name."""
    return key in words(lang)


def named(lang: Lang, group: str, name: str, otherwise: str = "") -> str:
    """A word for a name that comes from data; the name itself (or `otherwise`) where there is none."""
    return words(lang).get(f"{group}.{name}", otherwise or clean(name))


def grouped(number: int) -> str:
    """1,234."""
    return f"{number:,}"


def clean(text: str) -> str:
    """Text from outside for a document: what cannot be seen becomes a visible mark, and its length is bounded."""
    return _HIDDEN.sub("\ufffd", text[:TEXT_MAX])


def moment(ms: int, zone: str) -> str:
    """A time to the minute, in a zone."""
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def listed(lang: Lang, texts: Iterable[str]) -> str:
    """Texts in a row, "none" where there are none."""
    return ("、" if lang == "zh" else ", ").join(clean(text) for text in texts) or word(lang, "none")
