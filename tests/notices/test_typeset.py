from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest
import typst

from notices.incident import CASE, FILLED, facts, incident
from watchbill.core.errors import NotFoundError
from watchbill.notices import typeset
from watchbill.notices.facts import FIRM, Facts
from watchbill.notices.profile import Document, fill
from watchbill.notices.record import append
from watchbill.notices.typeset import CHINESE, LATIN, families, fonts_for, pdf_of
from watchbill.notices.wording import LANGS, Block
from watchbill.reports.base import profiles

ZONE = "Asia/Shanghai"
NO_CHINESE = "" if set(CHINESE) & families() else "no font for Chinese: scripts/install-fonts"
NO_READER = "" if shutil.which("pdftotext") else "pdftotext is not here: scripts/install-fonts installs poppler-utils"


def english(home: Path) -> Document:
    """A document without one Chinese letter."""
    update = {"police": "Police", "name": "Example", "authority": "A"}
    return fill(profiles()["police"], facts(home, firm=FILLED.model_copy(update=update)), "en")


def read(data: bytes, place: Path) -> str:
    (place / "a.pdf").write_bytes(data)
    done = subprocess.run(["pdftotext", "-layout", place / "a.pdf", "-"], capture_output=True, check=True)
    return done.stdout.decode()


def test_the_same_document_gives_the_same_bytes(tmp_path: Path) -> None:
    one = english(incident(tmp_path))
    data = pdf_of(one, ZONE)
    assert data.startswith(b"%PDF")
    assert data == pdf_of(one, ZONE)
    assert data != pdf_of(dataclasses.replace(one, as_of=one.as_of + 86_400_000), ZONE)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Facts]:
    home = incident(tmp_path_factory.mktemp("home"))
    return {about: facts(home, case) for about, case in (("case", CASE), ("firm", FIRM))}


@pytest.mark.skipif(bool(NO_CHINESE), reason=NO_CHINESE)
@pytest.mark.parametrize("name", sorted(profiles()))
def test_every_report_is_set_in_both_languages(name: str, known: dict[str, Facts]) -> None:
    one = profiles()[name]
    found = known[one.about]
    for lang in LANGS:
        document = fill(one, found, lang)
        assert pdf_of(document, ZONE) == pdf_of(document, ZONE)


@pytest.mark.skipif(bool(NO_CHINESE or NO_READER), reason=NO_CHINESE or NO_READER)
def test_chinese_is_written_and_can_be_read_back(tmp_path: Path) -> None:
    text = read(pdf_of(fill(profiles()["pipl57_authority"], facts(incident(tmp_path)), "zh"), ZONE), tmp_path)
    assert "个人信息泄露（可能泄露）事件报告" in text
    assert "涉及至少 80 人，至多 80 人" in text
    assert "草稿" in text


HOSTILE = [
    '#eval("1/0") #panic("x")', "*bold* _it_ `raw` $x^2$ = heading", '#import "/etc/passwd"', "]) #pagebreak() ([", "\\u{0} \" ' \\",
    "// comment /* block", "<label> @ref ~ --- ...",
]  # fmt: skip


@pytest.mark.skipif(bool(NO_READER), reason=NO_READER)
@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_typst(text: str, tmp_path: Path) -> None:
    one = english(incident(tmp_path))
    section = dataclasses.replace(
        one.sections[0], blocks=(Block(text), Block(head=(text,), rows=((text,),))), heading=text
    )
    odd = dataclasses.replace(one, sections=(section,), sender=text, title=text, intro=text, signed=(text, "0"))
    shown = " ".join(read(pdf_of(odd, ZONE), tmp_path).split())
    assert shown.count(" ".join(text.split())) >= 5, "as it was written, everywhere"


def test_a_missing_font_is_said_and_no_empty_box_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typeset, "families", lambda: frozenset({LATIN}))
    one = english(incident(tmp_path))
    assert pdf_of(one, ZONE).startswith(b"%PDF")
    with pytest.raises(NotFoundError, match="install-fonts"):
        pdf_of(dataclasses.replace(one, title="报案材料"), ZONE)
    with pytest.raises(NotFoundError):
        fonts_for('{"a": "名"}')
    assert fonts_for("plain") == [LATIN]


@pytest.mark.skipif(bool(NO_READER), reason=NO_READER)
def test_a_word_without_end_stays_on_the_page(tmp_path: Path) -> None:
    one = english(incident(tmp_path))
    section = dataclasses.replace(one.sections[0], blocks=(Block("x" * 5_000), Block("a" * 64)))
    text = read(pdf_of(dataclasses.replace(one, sections=(section,)), ZONE), tmp_path)
    assert max(len(line.strip()) for line in text.splitlines() if "xxx" in line) < 120
    assert text.count("x") >= 5_000
    assert "a" * 64 in text, "a hash is copied whole"


def test_the_latin_font_ships_with_typst() -> None:
    assert LATIN in typst.Fonts(include_system_fonts=False).families()


def test_an_entry_cannot_reach_files(tmp_path: Path) -> None:
    home = incident(tmp_path)
    append(home, "set", CASE, "r", 5, profile="all", field="evidence_pack", value='#read("/etc/hostname")', lang="")
    one = fill(profiles()["police"], facts(home, firm=FILLED.model_copy(update={"police": "P"})), "en")
    assert pdf_of(one, ZONE).startswith(b"%PDF")
