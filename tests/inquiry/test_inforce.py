from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inquiry.test_exposure import control, journal_rows
from watchbill.core.errors import LedgerError
from watchbill.core.settings import InquirySettings, Settings
from watchbill.inquiry.inforce import FOREVER, Device, Post, in_force, persons_at, post_of, settings_at, tables_at


def keep(home: Path, name: str, digest: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Keep a table as the runner does; its reload record."""
    (home / "reference").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), home / "reference" / f"{name}-{digest}.parquet")
    return control("wb.reload", table=name, digest=digest)


POST = {"account": "E1", "person": "p", "role": "courier", "outlet": "O1", "from": 10, "until": 20}


def test_the_table_of_the_height_counts(tmp_path: Path) -> None:
    rows = [keep(tmp_path, "accounts", "a", [POST]), keep(tmp_path, "accounts", "b", [{**POST, "role": "clerk"}]),
            control("wb.reload", table="accounts", digest="")]  # fmt: skip
    journal_rows(tmp_path, rows)
    roles = [[post.role for post in in_force(tmp_path, upto, ["E1"], []).posts.get("E1", [])] for upto in range(4)]
    assert roles == [[], ["courier"], ["clerk"], []]
    assert tables_at(tmp_path, 2) == {"accounts": tmp_path / "reference" / "accounts-b.parquet"}


def test_tables_are_read_for_who_is_asked(tmp_path: Path) -> None:
    rows = [
        keep(tmp_path, "accounts", "a", [{**POST, "until": None}, {**POST, "account": "E2"}]),
        keep(
            tmp_path, "devices", "d", [{"device": "H1", "outlet": "O1", "kind": "pc", "shared": True}, {"device": "H2"}]
        ),
        keep(
            tmp_path,
            "shifts",
            "s",
            [{"account": "E1", "from": 5, "until": 7}, {"account": "E1", "from": 1, "until": 2}],
        ),
        keep(
            tmp_path,
            "outlets",
            "o",
            [{"outlet": "O1", "lat": 1.0, "lon": 2.0}, {"outlet": "O2", "lat": None, "lon": None}],
        ),
        keep(
            tmp_path,
            "networks",
            "n",
            [{"network": "10.0.0.0/8", "place": "O1", "lat": 1.0, "lon": 2.0, "kind": "office"}],
        ),
    ]
    journal_rows(tmp_path, rows)
    found = in_force(tmp_path, 5, ["E1"], ["H1", "H9"])
    assert found.posts == {"E1": [Post("p", "courier", "O1", 10, FOREVER)]}
    assert found.devices == {"H1": Device("O1", "pc", True)}
    assert found.shifts["E1"].tolist() == [[1, 2], [5, 7]]
    assert found.outlets == {"O1": (1.0, 2.0)}
    assert found.networks.place_of(pa.chunked_array([["10.1.2.3", "11.1.1.1"]])).tolist() == [0, -1]
    assert in_force(tmp_path, 0, ["E1"], ["H1"]).devices is None


def test_posts_by_time() -> None:
    posts = [Post("a", "courier", "O1", 10, 20), Post("b", "clerk", "O1", 15, 30)]
    held = [post_of(posts, time) for time in (5, 12, 25, 40)]
    assert [post.person if post else "" for post in held] == ["a", "a", "b", "b"]
    assert [persons_at(posts, time) for time in (5, 12, 17, 25, 40)] == [0, 1, 2, 1, 0]
    assert post_of([], 1) is None


def test_settings_are_those_of_the_height(tmp_path: Path) -> None:
    said = Settings(inquiry=InquirySettings(other_under=0.2))
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "x.json").write_text(said.model_dump_json())
    (tmp_path / "settings" / "y.json").write_text("{")
    journal_rows(tmp_path, [control("wb.settings", digest="x"), control("wb.settings", digest="y")])
    assert settings_at(tmp_path, 0) == Settings()
    assert settings_at(tmp_path, 1) == said
    with pytest.raises(LedgerError, match="settings"):
        settings_at(tmp_path, 2)
