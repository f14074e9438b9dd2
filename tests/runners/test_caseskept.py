"""The database of a home: written with cases.ndjson, caught up after a crash, written anew from the journal; on both databases."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

import postgres
from runners.judged import opened, tell, verdict
from runners.test_engine import START, batch, look
from watchbill.casedb.schema import META
from watchbill.casedb.store import FILE, CaseStore
from watchbill.cases.acts import Appeal, CaseAct, Note, Said, Tell
from watchbill.core.errors import StoreError
from watchbill.runners.caseskept import ELSEWHERE, ENV, keep_store, reading, rebuild, rows_of, url_of
from watchbill.runners.clock import ManualClock
from watchbill.runners.engine import Engine
from watchbill.runners.inbox import put, take_inbox
from watchbill.runners.local import keep_current

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """ "" is SQLite in the home."""
    if request.param == "sqlite":
        return ""
    if why := postgres.why_not():
        pytest.skip(why)
    return postgres.database()


def worked(home: Path, url: str) -> Engine:
    """A home whose case was reviewed, told, confirmed by another, appealed and upheld."""
    made = opened(home)
    made.cases_url = url
    (case,) = made.pipeline.book.cases
    base: dict[str, Any] = {"case": case, "time": START + 60_000}
    words: list[Said] = [
        CaseAct.model_validate(base | {"id": "w1", "act": "review", "by": "r1"}),
        Note.model_validate(base | {"id": "w2", "text": "looked", "by": "r1"}),
        Tell.model_validate(base | {"id": "w3", "act": "told", "by": "r1", "text_en": "What: ..."}),
        verdict("confirmed", "owner", case=case),
        Appeal.model_validate(base | {"id": "w5", "act": "open", "by": "staff", "to": "r2"}),
        Appeal.model_validate(base | {"id": "w6", "act": "uphold", "by": "r2", "reason": "wrong"}),
    ]
    for number, said in enumerate(words):
        put(home, said)
        assert len(take_inbox(made, START + 60_000 + number)) == 1
    return made


def everything(home: Path, url: str) -> str:
    store = reading(home, url)
    with store.engine.connect() as link:
        out = {name: sorted(json.dumps([*row], sort_keys=True) for row in link.execute(select(table)))
               for name, table in META.tables.items()}  # fmt: skip
    store.close()
    return json.dumps(out)


def test_what_people_did_stands_in_the_database_and_a_replay_of_the_journal_gives_the_same(
    tmp_path: Path, url: str
) -> None:
    home = tmp_path / "home"
    made = worked(home, url)
    case = next(iter(made.pipeline.book.cases))
    assert keep_current(made) == ""
    before = everything(home, url)
    store = reading(home, url)
    assert [one["what"] for one in store.history(case) if one["what"] != "step"] == [
        "opened", "review", "note", "told", "confirmed", "appeal", "appeal_upheld", "dismissed", "correction",
    ]  # fmt: skip
    store.close()
    said = json.loads((home / "status.json").read_text())
    assert said["database"]["ok"]
    assert said["desk"]["statuses"] == {"dismissed": 1}
    made.checkpoint()
    made.close()
    shutil.rmtree(home / "state")  # from the first record on
    again = Engine(home, None, ManualClock(START))
    again.cases_url = url
    assert keep_store(again, rows_of(again))["ok"]
    assert everything(home, url) == before
    assert rebuild(again, url_of(home, url)) == 1 + len(again.pipeline.book.cases[case].history)
    assert everything(home, url) == before
    again.close()


def test_what_was_missed_is_caught_up(tmp_path: Path, url: str) -> None:
    home = tmp_path / "home"
    made = worked(home, url)
    keep_current(made)
    tell(made, verdict("confirmed", "owner", 7, case=next(iter(made.pipeline.book.cases))))
    made.take(batch(look(50)))
    made.close()  # killed before it wrote anything
    again = Engine(home, None, ManualClock(START))
    again.cases_url = url
    assert keep_current(again) == ""
    store = reading(home, url)
    assert store.history(next(iter(again.pipeline.book.cases)))[-1]["what"] == "confirmed"
    assert store.height() == again.done
    store.close()
    again.close()


def test_a_database_that_fails_stops_nothing_and_is_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    made = worked(home, "postgresql+psycopg://u:sesame@127.0.0.1:1/none")
    why = keep_current(made)
    assert "cannot be used" in why
    assert "sesame" not in why
    assert (home / "cases.ndjson").read_text().count("\n") == 1
    assert json.loads((home / "status.json").read_text())["database"]["ok"] is False
    made.cases_url = ""
    assert keep_current(made) == ""
    made.close()


def test_which_database_a_home_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert url_of(tmp_path) == f"sqlite:///{tmp_path / FILE}"
    with pytest.raises(StoreError, match="nothing is written yet"):
        reading(tmp_path)
    monkeypatch.setenv(ENV, "sqlite:////tmp/x")
    assert url_of(tmp_path) == "sqlite:////tmp/x"
    assert url_of(tmp_path, "sqlite:////tmp/y") == "sqlite:////tmp/y"
    monkeypatch.delenv(ENV)
    (tmp_path / ELSEWHERE).write_text("postgresql\n")
    assert url_of(tmp_path) == ""
    with pytest.raises(StoreError, match="another database"):
        reading(tmp_path)
    with pytest.raises(StoreError, match=r"\[cases\] url"):
        url_of(tmp_path, "mysql://x")


def test_a_home_whose_cases_are_elsewhere_gets_no_file_of_its_own(tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path / 'other.sqlite'}"
    made = worked(tmp_path / "home", other)
    keep_current(made)
    made.cases_url = ""  # a command that does not know the settings
    assert keep_store(made, rows_of(made)) == {"kind": "elsewhere", "ok": True, "why": ""}
    assert not (tmp_path / "home" / FILE).exists()
    store = CaseStore(other)
    assert store.height() == made.done
    store.close()
    made.close()
