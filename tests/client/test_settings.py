from __future__ import annotations

import pytest

from watchbill.client.settings import DEFAULT_MODES, GuardSettings, client_settings
from watchbill.core.errors import SettingsError
from watchbill.responses.asks import LOOK_KINDS

TOKEN = "a-token-of-sixteen-1"  # noqa: S105 - of a test


def test_defaults_mask_everything() -> None:
    settings = client_settings(url="http://127.0.0.1:8790", token=TOKEN)
    assert [settings.mode(kind) for kind in LOOK_KINDS] == ["masked"] * 4
    assert tuple(DEFAULT_MODES) == LOOK_KINDS
    assert TOKEN not in repr(settings)
    assert GuardSettings().guarded == ("/",)


def test_a_kind_that_is_not_named_is_masked() -> None:
    assert (
        client_settings(url="https://w.example.com", token=TOKEN, on_failure={"export": "deny"}).mode("view")
        == "masked"
    )


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"url": "http://w.example.com"}, "clear"),
        ({"url": "ftp://w.example.com"}, "address"),
        ({"url": "https://w.example.com?x=1"}, "address"),
        ({"token": "short"}, "16"),
        ({"token": "票据" * 8}, "ASCII"),
        ({"token": "a b c d e f g h i j k"}, "ASCII"),
        ({"on_failure": {"view": "few"}}, "spool_folder"),
        ({"on_failure": {"peek": "deny"}}, "view"),
        ({"timeout_seconds": 0}, "greater"),
        ({"nonsense": 1}, "Extra"),
    ],
)
def test_wrong_settings_are_refused_without_their_values(given: dict[str, object], word: str) -> None:
    with pytest.raises(SettingsError, match=word) as caught:
        client_settings(**{"url": "http://127.0.0.1:1", "token": TOKEN, **given})
    assert TOKEN not in str(caught.value)
    assert "short" not in str(caught.value)
    assert caught.value.todo
