from __future__ import annotations

from pathlib import Path

import pytest

from watchbill.core.errors import LedgerError
from watchbill.runners.kept import digest_of, keep_text, kept_text


def test_a_text_is_kept_once_under_its_digest(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    assert keep_text(folder, "规则") == keep_text(folder, "规则") == digest_of("规则")
    assert kept_text(folder, digest_of("规则")) == "规则"
    assert [place.suffix for place in folder.iterdir()] == [".json"]


@pytest.mark.parametrize(("content", "said"), [(None, "the kept rules of a record are missing"), ("x", "were changed")])
def test_what_is_gone_or_changed_is_said(tmp_path: Path, content: str | None, said: str) -> None:
    digest = keep_text(tmp_path / "rules", "a")
    place = tmp_path / "rules" / f"{digest}.json"
    place.unlink()
    if content is not None:
        place.write_text(content, encoding="utf-8")
    with pytest.raises(LedgerError, match=said):
        kept_text(tmp_path / "rules", digest)
