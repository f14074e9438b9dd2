"""What the tests of single reports share: a report filled from one small case, and its text."""

from __future__ import annotations

from collections.abc import Callable

from watchbill.notices.profile import Document

Filled = Callable[..., Document]
"""(report, language "en", entered=True, stage="") -> Document; with `entered`, people said everything that only they know."""


def text_of(document: Document) -> str:
    """Everything that stands in it."""
    blocks = [block for section in document.sections for block in section.blocks]
    cells = [" ".join(row) for block in blocks for row in block.rows]
    return "\n".join([document.to, document.sender, document.intro, *(block.text for block in blocks), *cells])
