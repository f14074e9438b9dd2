"""Messages to people through apprise, over loopback; nothing in the clear beyond it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from responses.worlds import Server
from watchbill.core.errors import ActionError, SettingsError
from watchbill.responses.base import Action, Around, Order, Why, open_action

ORDER = Order("msg_1", "apply", "step", "suspend", 1_750_000_000_000, None, "c7", "E1")
AROUND = Around(Path("nowhere"), lambda: 0, lambda: 0.0)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A chat service that takes JSON."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    one = Server()
    yield one
    one.close()


def action(*urls: str, **settings: Any) -> Action:
    return open_action("chat", {"kind": "notify", "urls": list(urls), **settings}, AROUND)


def test_a_page_says_what_to_do_and_names_nobody(server: Server) -> None:
    chat = action(f"json://{server.host}/", link="https://w.example.com/cases/{case}")
    pages: tuple[Why, ...] = ("page", "unattended")
    for why in pages:
        chat.apply(Order("msg_2", "apply", why, "suspend", 0, None, "c7", "E1"))
    first, second = (json.loads(body) for _, _, body in server.requests)
    assert "请立即查看" in first["title"]
    assert "Please look now" in first["title"]
    assert "https://w.example.com/cases/c7" in first["message"]
    assert "The firm's failure" in second["message"]
    assert "这是公司的失误" in second["message"]
    for told in (first, second):
        assert "E1" not in told["message"]
        assert "c7" in told["message"]


def test_all_addresses_must_take_it(server: Server) -> None:
    other = Server()
    other.status = 500
    chat = action(f"json://{server.host}/", f"json://{other.host}/?token=secret-of-chat")
    with pytest.raises(ActionError) as told:
        chat.apply(ORDER)
    assert "secret" not in str(told.value)
    assert len(server.requests) == len(other.requests) == 1
    other.close()


def test_redirects_are_not_followed(server: Server) -> None:
    other = Server()
    server.status, server.headers = 307, {"location": f"http://{other.host}/"}
    with pytest.raises(ActionError):
        action(f"json://{server.host}/").apply(ORDER)
    assert other.requests == []
    other.close()


def test_addresses_come_from_a_variable(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATS", f"json://{server.host}/a json://{server.host}/b")
    open_action("chat", {"kind": "notify", "urls_env": "CHATS"}, AROUND).apply(ORDER)
    assert sorted(path for path, _, _ in server.requests) == ["/a", "/b"]


def test_what_is_encrypted_may_be_anywhere() -> None:
    for url in (
        "mailtos://u:p@mail.example.com?to=a@example.com",
        "jsons://chat.example.com/x",
        "feishu://abcdefg123456",
    ):
        assert action(url).describe(ORDER)["addresses"] == 1


@pytest.mark.parametrize(
    ("urls", "word"),
    [([], "no address"), (["smoke://x"], "address 1"), (["json://chat.example.com/secret-of-chat"], "in the clear"),
     (["mailto://u:p@mail.example.com?to=a@example.com"], "in the clear")],
)  # fmt: skip
def test_addresses_that_are_refused(urls: list[str], word: str) -> None:
    with pytest.raises(SettingsError, match=word) as told:
        action(*urls)
    assert "secret" not in str(told.value)
