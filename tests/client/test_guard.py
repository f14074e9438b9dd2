from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.pages import FIELDS, MASK, NAME, PAGE, PHONE, Told, nothing_plain
from watchbill.client.guard import (
    Given,
    Person,
    Reply,
    Shows,
    Undeclared,
    close_page,
    declared,
    header_text,
    of_errors,
    open_page,
    refused,
    shows,
    shows_nothing,
    under,
)
from watchbill.client.look import Look
from watchbill.client.refusals import refusal
from watchbill.client.sweep import _worth
from watchbill.core.errors import SettingsError
from watchbill.responses.asks import Ask, Decided
from watchbill.responses.masks import HIDDEN, MASKED, PLAIN, mask_value

JSON = [("Content-Type", "application/json")]
SHOWS = Shows(FIELDS, waybill="{number}", subjects="recipient.id")
PERSON = Person("YT001", "PC1", "10.0.0.1", "s1", "desk")


def reply(document: object = PAGE, status: int = 200, headers: list[tuple[str, str]] | None = None) -> Reply:
    return Reply(status, JSON if headers is None else headers, json.dumps(document).encode())


def through(decided: Decided, document: object = PAGE, declares: Shows = SHOWS, **more: Any) -> Reply:
    page = open_page(declares, reply(document, headers=more.get("headers")), PERSON, Given({"number": "W1"}), "r1")
    assert page.ask is not None
    return close_page(page, Look(page.ask, decided), sweep=more.get("sweep", True))


def test_the_question_follows_from_the_answer() -> None:
    page = open_page(SHOWS, reply(), PERSON, Given({"number": "W1"}, "来电", "T1"), "r1")
    assert page.ask == Ask(
        "r1", "YT001", "view", "PC1", "10.0.0.1", "s1", "desk", "W1", ("c1",), tuple(FIELDS), "T1", "来电"
    )


def test_plain_masked_and_hidden_values() -> None:
    sent = json.loads(through(Told().answer).body)
    assert sent["recipient"] == {"id": "c1", "name": NAME, "phone": PHONE, "id_number": ""}
    assert sent["note"] == PAGE["note"]
    masked = through(MASK)
    sent = json.loads(masked.body)
    assert sent["recipient"] == {"id": "c1", "name": "王**", "phone": "138******34", "id_number": ""}
    assert sent["note"] == "客户******，电话******"
    assert sent["weight"] == 1.5
    assert masked.header("content-length") == str(len(masked.body))
    assert masked.header("cache-control") == "no-store"


def test_headers_that_could_tell_are_dropped() -> None:
    sent = through(
        MASK, headers=[*JSON, ("ETag", '"x"'), ("Cache-Control", "public"), ("X-Name", f"a {PHONE}"), ("X-Kept", "1")]
    )
    names = [key.lower() for key, _ in sent.headers]
    assert "etag" not in names
    assert "x-name" not in names
    assert names.count("cache-control") == 1
    assert sent.header("x-kept") == "1"


@pytest.mark.parametrize(
    "bad",
    [
        Reply(200, [("Content-Type", "text/html")], b"<p>138</p>"), Reply(200, JSON, b"{"), Reply(200, JSON, b'{"a": NaN}'), Reply(200, JSON, b""),
        Reply(200, JSON, b"\xff\xfe"), Reply(200, JSON, b"[" * 200_000), Reply(200, [], b"{}"), Reply(206, JSON, b"{}"),
        Reply(200, [*JSON, ("Content-Encoding", "gzip")], b"{}"), reply({}), reply([]), reply({"recipient": [{"phone": PHONE}]}),
        reply({"recipient": {"id": "c", "name": "", "id_number": None, "Phone": PHONE}}), reply(PAGE | {"recipient": PAGE["recipient"] | {"phone": [PHONE]}}),
    ],
)  # fmt: skip
def test_what_is_not_as_declared_is_never_sent(bad: Reply) -> None:
    with pytest.raises(Undeclared) as caught:
        open_page(SHOWS, bad, PERSON, Given({"number": "W1"}), "r1")
    assert nothing_plain(str(caught.value))


def test_a_waybill_that_is_not_where_it_is_declared() -> None:
    with pytest.raises(Undeclared, match="parameter"):
        open_page(SHOWS, reply(), PERSON, Given(), "r1")
    lone = Shows({"recipient.phone": "[].p"}, waybill="[].w")
    with pytest.raises(Undeclared, match="neither"):
        open_page(lone, reply([{"p": PHONE, "w": ""}]), PERSON, Given(), "r1")
    one = open_page(lone, reply([{"p": PHONE, "w": "W1"}, {"p": "1", "w": "W1"}]), PERSON, Given(), "r1")
    assert one.ask
    assert one.ask.waybill == "W1"


def test_a_list_asks_about_all_its_customers_and_an_empty_one_about_nothing() -> None:
    found = Shows({"recipient.phone": "items[].phone"}, kind="search", subjects="items[].id")
    rows = [{"id": "c1", "phone": PHONE}, {"id": "c2", "phone": "13900001111"}, {"id": "c1", "phone": None}]
    page = open_page(found, reply({"items": rows}), PERSON, Given(), "r1")
    assert page.ask
    assert (page.ask.subjects, page.ask.results, page.ask.kind) == (("c1", "c2"), 2, "search")
    sent = json.loads(close_page(page, Look(page.ask, Decided("d", "mask")), sweep=True).body)
    assert [row["phone"] for row in sent["items"]] == ["138******34", "139******11", None]
    empty = open_page(found, reply({"items": []}), PERSON, Given(), "r1")
    assert empty.ask is None
    assert json.loads(close_page(empty, None, sweep=True).body) == {"items": []}


def test_a_refusal_takes_the_place_of_the_answer() -> None:
    for decided, status in (
        (Decided("d", "deny"), 403),
        (Decided("d", "ask_reason"), 422),
        (Decided("d", "throttle"), 429),
    ):
        sent = through(decided)
        assert sent.status == status
        assert nothing_plain(sent.body.decode() + str(sent.headers))


def test_of_an_error_only_the_status_and_the_way_leave() -> None:
    sent = of_errors(reply({"detail": PHONE}, 404, [*JSON, ("X-Name", PHONE), ("Location", "/x")]))
    assert sent.status == 404
    assert nothing_plain(sent.body.decode() + str(sent.headers))
    assert sent.header("location") == "/x"
    assert of_errors(reply(PAGE, 302)).body == b""
    assert json.loads(of_errors(reply(PAGE, 499)).body)["code"] == 499


def test_numbers_are_masked_as_texts() -> None:
    only = Shows({"recipient.phone": "phone"}, waybill="{number}")
    assert json.loads(through(MASK, {"phone": int(PHONE), "again": int(PHONE)}, only).body) == {
        "phone": "138******34",
        "again": "******",
    }


@pytest.mark.parametrize(
    ("fields", "more"),
    [({}, {"waybill": "w"}), (FIELDS, {}), (FIELDS, {"waybill": "w", "kind": "peek"}), ({"a": "b["}, {"waybill": "w"})],
)
def test_declarations_that_declare_nothing_are_refused(fields: dict[str, str], more: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        Shows(fields, **more)


def test_decorators_say_what_a_route_shows() -> None:
    def plain() -> None: ...

    says = shows(FIELDS, waybill="{n}")
    assert declared(plain) == (False, None)
    assert declared(shows_nothing(lambda: None)) == (True, None)
    assert declared(says(plain)) == (True, says)


def test_paths_under_a_prefix() -> None:
    assert under("/api/x", ("/api",))
    assert under("/api", ("/api/", "/api"))
    assert not under("/apix", ("/api", "/api/"))
    assert under("/anything", ("/",))
    assert not under("/anything", ())


def test_a_typed_reason_from_a_header() -> None:
    assert header_text("%E6%9D%A5%E7%94%B5") == "来电"
    assert len(header_text("x" * 5000)) == 1024
    assert refused(refusal("undeclared")).status == 500


texts = st.text(st.sampled_from('王小伟ab19 -*号楼"\\\n'), max_size=14)
levels = st.sampled_from([PLAIN, MASKED, HIDDEN])
FREE = Shows({"r.name": "name", "r.phone": ("phone", "more[].phone"), "r.address": "address?"}, waybill="{number}")


@given(
    texts,
    texts,
    st.lists(texts, max_size=3),
    texts,
    texts,
    st.lists(texts, max_size=3),
    st.tuples(levels, levels, levels),
)
def test_no_plaintext_of_a_masked_or_hidden_field_survives(
    name: str, phone: str, phones: list[str], address: str, note: str, more: list[str], chosen: tuple[Any, Any, Any]
) -> None:
    document = {
        "name": name, "phone": phone, "more": [{"phone": one, "note": note + one} for one in phones], "address": address,
        "notes": [note, note + phone, name + note, *more, {name or "k": phone}],
    }  # fmt: skip
    decided = Decided("d", "allow", dict(zip(FREE.fields, chosen, strict=True)))
    page = open_page(FREE, reply(document), PERSON, Given({"number": "W"}), "r")
    if page.ask is None:
        return
    sent = json.loads(close_page(page, Look(page.ask, decided), sweep=True).body)
    strings: list[str] = []
    _strings(sent, strings)
    values = {"r.name": [name], "r.phone": [phone, *phones], "r.address": [address]}
    for field, given_values in values.items():
        if decided.levels[field] == PLAIN and field in page.ask.fields:
            continue
        for value in given_values:
            if _worth(value.strip()) and mask_value(field, value) != value:
                assert not any(value.strip() in text for text in strings)
    places = {"r.name": [sent["name"]], "r.phone": [sent["phone"], *(row["phone"] for row in sent["more"])]}
    for field, shown in places.items():  # where it is declared, however short
        if decided.levels[field] == HIDDEN:
            assert not any(shown)


def _strings(value: object, out: list[str]) -> None:
    if isinstance(value, str):
        out.append(value)
    elif isinstance(value, list):
        for inner in value:
            _strings(inner, out)
    elif isinstance(value, dict):
        for key, inner in value.items():
            out.append(key)
            _strings(inner, out)
