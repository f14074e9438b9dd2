from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notices.incident import CASE, facts, incident
from watchbill.notices.html import html_of
from watchbill.notices.profile import Document, fill
from watchbill.notices.record import append
from watchbill.notices.wording import Block
from watchbill.reports.base import profiles

ZONE = "Asia/Shanghai"


class Tags(HTMLParser):
    """Which elements a browser would see, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    return fill(profiles()["police"], facts(incident(tmp_path_factory.mktemp("home"))), "en")


def with_text(document: Document, text: str) -> Document:
    section = dataclasses.replace(document.sections[0], blocks=(Block(text), Block(head=(text,), rows=((text,),))))
    return dataclasses.replace(document, sections=(section, *document.sections[1:]), sender=text, to=text, title=text)


@given(text=st.text(max_size=40).map(lambda part: part + "<script>alert(1)</script>\"'</p>&" + part))
def test_no_text_becomes_markup(document: Document, text: str) -> None:
    plain, odd = Tags(html_of(with_text(document, "x"), ZONE)), Tags(html_of(with_text(document, text), ZONE))
    assert odd.tags == plain.tags


def test_it_asks_nothing_of_the_outside(document: Document) -> None:
    page = html_of(document, ZONE)
    assert "default-src 'none'" in page
    assert not {tag for tag, _ in Tags(page).tags} & {"script", "img", "link", "iframe", "a"}
    assert "http" not in page.replace("http-equiv", "")
    assert page == html_of(document, ZONE)


def test_draft_and_final_are_told_apart_and_what_lacks_is_marked(document: Document) -> None:
    page = html_of(document, ZONE)
    assert "This is a draft" in page
    assert page.count('class="missing"') == len(document.missing) == 1
    final = html_of(dataclasses.replace(document, signed=("r2", "0")), ZONE)
    assert "Signed off by: r2" in final
    assert "This is a draft" not in final


def test_a_hostile_entry_of_a_person_stays_text(tmp_path: Path) -> None:
    home = incident(tmp_path, devices=["<img src=x onerror=alert(1)>"])
    value = '</p><script>alert(1)</script>\u202e#eval("1")'
    append(home, "set", CASE, "<b>", 5, profile="all", field="evidence_pack", value=value, lang="")
    page = html_of(fill(profiles()["police"], facts(home), "zh"), ZONE)
    assert "<script" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page
