"""A document as PDF by typst: the same document and the same fonts give the same bytes.

What the document says reaches typst as one JSON string, so nothing in it is ever read as markup or code. Fonts come from the
machine; where none of those that can write Chinese is there, that is said and no page with empty boxes is made.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from watchbill.core.errors import NotFoundError
from watchbill.notices.profile import about_of, signature_of
from watchbill.notices.wording import word

if TYPE_CHECKING:
    from watchbill.notices.profile import Document, Section

CHINESE: Final = (
    "Noto Serif CJK SC", "Source Han Serif SC", "Noto Sans CJK SC", "Source Han Sans SC", "Songti SC", "PingFang SC", "SimSun",
    "FangSong", "WenQuanYi Zen Hei",
)  # fmt: skip
"""Families that can write simplified Chinese, the best for a document first."""
LATIN: Final = "Libertinus Serif"
"""Ships inside typst."""
_LONG: Final = re.compile(r"[!-~\u00a1-\u2e7f]{72}")
"""So long a word without a break would leave the page; a SHA-256 in hex does not."""
WORDS: Final = ("draft", "draft_note", "no", "missing")


@cache
def families() -> frozenset[str]:
    """Font families that typst finds on this machine, its own included."""
    import typst

    return frozenset(typst.Fonts().families())


def fonts_for(text: str) -> list[str]:
    """Families to set a text in, in order.

    Raises:
        NotFoundError: the text has Chinese and no family on this machine can write it.
    """
    chinese = [name for name in CHINESE if name in families()][:1]
    if not chinese and any("\u2e80" <= letter <= "\U0003ffff" for letter in text):
        raise NotFoundError(
            "no font for Chinese", where="PDF",
            todo="Install fonts-noto-cjk (scripts/install-fonts), or take --format html, which needs none",
        )  # fmt: skip
    return [LATIN, *chinese]


def pdf_of(document: Document, zone: str) -> bytes:
    """The pages.

    Raises:
        NotFoundError: a font is missing.
    """
    import typst

    data = _broken(_data(document, zone))
    text = json.dumps(data, ensure_ascii=False)
    data["fonts"] = fonts_for(text)
    layout = files("watchbill.notices").joinpath("words", "document.typ").read_bytes()
    made = typst.compile(
        layout,
        format="pdf",
        sys_inputs={"data": json.dumps(data, ensure_ascii=False)},
        timestamp=document.as_of // 1000,
    )
    if not isinstance(made, bytes):
        raise TypeError("typst gave no single file")
    return made


def _broken(value: Any) -> Any:  # noqa: ANN401 - JSON
    """The same JSON, its texts with places to break in very long words: nothing may run over the edge of a page unseen."""
    if isinstance(value, str):
        return _LONG.sub("\\g<0>\u200b", value)
    if isinstance(value, dict):
        return {name: _broken(one) for name, one in value.items()}
    return [_broken(one) for one in value] if isinstance(value, list | tuple) else value


def _data(document: Document, zone: str) -> dict[str, Any]:
    lang = document.lang
    final = document.signed is not None
    rows = [(word(lang, "to"), document.to), (word(lang, "from"), document.sender), *document.head]
    return {
        "lang": lang, "title": document.title, "sender": document.sender, "number": document.number, "final": final,
        "state": word(lang, "final" if final else "draft"), "pending": word(lang, "pending", n=len(document.missing)),
        "head": [list(row) for row in rows if row[1]], "intro": document.intro, "sign": signature_of(document, zone),
        "words": {name: word(lang, name) for name in WORDS},
        "sections": [_section(document, section) for section in document.sections],
    }  # fmt: skip


def _section(document: Document, section: Section) -> dict[str, Any]:
    lang = document.lang
    blocks = [block._asdict() for block in section.blocks]
    return {**asdict(section), "blocks": blocks, "about": about_of(section, lang)}
