"""A document as one HTML page without script, picture or outside request; everything in it is escaped text."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from watchbill.notices.profile import about_of, signature_of
from watchbill.notices.wording import word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchbill.notices.profile import Document, Section
    from watchbill.notices.wording import Block

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html_of(document: Document, zone: str) -> str:
    """The page; the same document gives the same bytes."""
    style = files("watchbill.notices").joinpath("words", "document.css").read_text(encoding="utf-8")
    return "\n".join(["<!doctype html>", f'<html lang="{document.lang}"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<title>{escape(document.title)}</title><style>", style, "</style></head>", *_body(document, zone), "</html>", ""])  # fmt: skip


def _body(document: Document, zone: str) -> Iterator[str]:
    lang = document.lang
    draft = document.signed is None
    yield f'<body class="{"draft" if draft else "final"}"><main>'
    yield f'<header><p class="sender">{escape(document.sender)}</p><h1>{escape(document.title)}</h1>'
    yield f'<p class="number">{escape(word(lang, "no"))} {escape(document.number)} <strong class="state">{escape(word(lang, "draft" if draft else "final"))}</strong></p></header>'
    if draft:
        yield f'<p class="note">{escape(word(lang, "draft_note"))} {escape(word(lang, "pending", n=len(document.missing)))}</p>'
    rows = [(word(lang, "to"), document.to), (word(lang, "from"), document.sender), *document.head]
    yield "<table class=head>"
    yield from (f"<tr><th scope=row>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows if value)
    yield f"</table><p>{escape(document.intro)}</p>"
    for number, section in enumerate(document.sections, 1):
        yield from _section(document, number, section)
    yield "<footer>" + "".join(f"<p>{escape(line)}</p>" for line in signature_of(document, zone)) + "</footer>"
    yield "</main></body>"


def _section(document: Document, number: int, section: Section) -> Iterator[str]:
    lang = document.lang
    yield f"<section><h2>{number}. {escape(section.heading)}</h2>"
    about = about_of(section, lang)
    if about:
        yield f'<p class="about">{escape(about)}</p>'
    if section.missing:
        yield f'<p class="missing">{escape(word(lang, "missing"))}</p>'
    for block in section.blocks:
        yield _block(block)
    yield "</section>"


def _block(block: Block) -> str:
    if not block.rows:
        return f"<p>{escape(block.text)}</p>"
    head = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in block.head)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in block.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
