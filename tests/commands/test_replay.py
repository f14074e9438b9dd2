"""`watchbill replay` as a person runs it: any format, bad input, wrong words, Ctrl-C."""

from __future__ import annotations

import csv
import gzip
import json
import os
import signal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from commands.conftest import Told
from commands.shell import START, look, one_line, start, text_of, until
from runners.small import said, small_world
from watchbill.ledger.files import take_lock
from watchbill.ledger.reader import Ledger

Run = Callable[..., Told]
ROWS = [
    look(n, **({"kind": "scan", "outlet": "O1", "status": "arrived", "assignee": f"a{n % 3}"} if n % 4 == 0 else {}))
    for n in range(60)
]


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """Three couriers of one outlet."""
    folder = tmp_path / "reference"
    folder.mkdir()
    (folder / "accounts.csv").write_text("account,role,outlet\na0,courier,O1\na1,courier,O1\na2,courier,O1\n")
    (folder / "outlets.csv").write_text("outlet,name\nO1,one\n")
    return folder


def verdicts(out: Path) -> list[dict[str, Any]]:
    """Rows of verdicts.parquet."""
    rows: list[dict[str, Any]] = pq.read_table(out / "verdicts.parquet").to_pylist()
    return rows


def as_csv(rows: list[dict[str, object]]) -> bytes:
    """Rows as CSV; lists are JSON in a cell."""
    import io

    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names)
    writer.writeheader()
    writer.writerows({k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows)
    return out.getvalue().encode()


def as_parquet(rows: list[dict[str, object]]) -> bytes:
    """Rows as Parquet."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    whole: bytes = sink.getvalue().to_pybytes()
    return whole


def as_arrow(rows: list[dict[str, object]]) -> bytes:
    """Rows as Arrow IPC."""
    table = pa.Table.from_pylist(rows)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    whole: bytes = sink.getvalue().to_pybytes()
    return whole


FORMATS: dict[str, Callable[[], bytes]] = {
    "a.csv": lambda: as_csv(ROWS),
    "a.parquet": lambda: as_parquet(ROWS),
    "a.arrow": lambda: as_arrow(ROWS),
    "a.ndjson.gz": lambda: gzip.compress(text_of(*ROWS)),
    "a.ndjson.zst": lambda: pa.compress(text_of(*ROWS), codec="zstd", asbytes=True),
    "a.csv.gz": lambda: gzip.compress(as_csv(ROWS)),
}


def test_every_format_and_standard_input_give_the_same_verdicts(run: Run, tmp_path: Path, reference: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(text_of(*ROWS))
    told = run(
        "replay",
        tmp_path / "a.ndjson",
        "--reference",
        reference,
        "--home",
        tmp_path / "h",
        "--out",
        tmp_path / "o",
        "--json",
    )
    assert (told.code, told.err) == (0, "")
    assert told.json["records"] == {"scan": 15, "view": 45}
    assert told.json["finished"] is True
    expected = verdicts(tmp_path / "o")
    assert len(expected) == 45
    for name, made in FORMATS.items():
        (tmp_path / name).write_bytes(made())
        home, out = tmp_path / f"h-{name}", tmp_path / f"o-{name}"
        assert run("replay", tmp_path / name, "--reference", reference, "--home", home, "--out", out).code == 0
        assert verdicts(out) == expected, name
    words = ("replay", "-", "--reference", reference, "--home", tmp_path / "h-", "--out", tmp_path / "o-", "--json")
    process = start(*words, stdin=-1)
    out_text, err = process.communicate(text_of(*ROWS), timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert json.loads(out_text)["records"] == told.json["records"]
    assert [{**row, "source": "files"} for row in verdicts(tmp_path / "o-")] == expected


def test_a_mapping_by_settings_file_and_source(run: Run, tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text(
        '[sources.old]\nkind = "files"\nfollow = true\npaths = ["nowhere"]\n'
        "mapping = \"select (line::json->>'t')::bigint as time, 'view' as kind, line::json->>'who' as account, "
        "[line::json->>'whom'] as subjects from input\"\n"
    )
    lines = "".join(json.dumps({"t": START + n, "who": "a1", "whom": f"p{n}"}) + "\n" for n in range(5))
    (tmp_path / "a.jsonl").write_text(lines)
    words = (
        "replay",
        tmp_path / "a.jsonl",
        "--config",
        tmp_path / "w.toml",
        "--home",
        tmp_path / "h",
        "--out",
        tmp_path / "o",
    )
    assert run(*words, "--source", "old", "--json").json["records"] == {"view": 5}
    assert {row["source"] for row in verdicts(tmp_path / "o")} == {"old"}
    assert run("saw", "a1", "--home", tmp_path / "h", "--json").json["persons"] == 5
    told = run(*words, "--source", "new")
    assert told.code == 2
    assert "[sources.new]" in one_line(told.err)


def test_uuids_as_identifiers(run: Run, tmp_path: Path) -> None:
    rows = [
        look(
            n,
            id=str(uuid.UUID(int=n * 7919)),
            account=str(uuid.UUID(int=n % 2)),
            subjects=[str(uuid.UUID(int=n + 500))],
        )
        for n in range(500)
    ]
    (tmp_path / "a.ndjson").write_bytes(text_of(*rows))
    assert (
        run("replay", tmp_path / "a.ndjson", "--home", tmp_path / "h", "--out", tmp_path / "o", "--json").json[
            "accounts"
        ]
        == 2
    )
    seen = run("who-saw", str(uuid.UUID(int=777)), "--home", tmp_path / "h", "--json").json
    assert [one["account"] for one in seen["accounts"]] == [str(uuid.UUID(int=1))]
    assert run("saw", str(uuid.UUID(int=0)), "--home", tmp_path / "h", "--json").json["persons"] == 250
    assert run("verify", "--home", tmp_path / "h", "--json").json["ok"] is True


def test_bad_input_is_quarantined_and_nothing_else_is_lost(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    good = [text_of(look(n)) for n in range(40)]
    bad = {
        "invalid UTF-8": text_of(look(900)).replace(b"W900", b"W\xff\xfe"),
        "NaN": text_of(look(901)).replace(str(START + 901_000).encode(), b"NaN"),
        "year 9999": text_of(look(902, time="9999-12-31T00:00:00Z")),
        "long": b'{"id":"r903","note":"' + b"x" * 50_000_000 + b'"}\n',
        "no account": text_of(look(904, account=None)),
        "our own kind": text_of(look(905, kind="wb.reload")),
        "not json": b"{{{{\n",
        "jump": text_of(look(906, time=START + 30 * 86_400_000)),
    }
    lines = [*good[:20], *bad.values(), *good[20:], good[3], good[4]]
    (folder / "a.ndjson").write_bytes(b"".join(lines))
    cut = gzip.compress(b"".join(text_of(look(n)) for n in range(40, 60)))
    (folder / "b.ndjson.gz").write_bytes(cut[:-20])
    told = run("replay", folder, "--home", tmp_path / "h", "--out", tmp_path / "o", "--json")
    assert (told.code, told.err) == (0, "")
    summary = told.json
    refused = [json.loads(line) for line in (tmp_path / "o" / "quarantine.ndjson").read_text().splitlines()]
    of_a = [row for row in refused if row["position"].startswith("a.ndjson@")]
    assert len(of_a) == len(bad)
    assert sorted(int(row["position"].rpartition(":")[2]) for row in of_a) == list(range(21, 21 + len(bad)))
    assert all(row["reason"] and row["what to do"] and len(row["raw"]) <= 4096 for row in of_a)
    of_b = [row for row in refused if row["position"].startswith("b.ndjson.gz@")]
    assert len(of_b) == 1, "the cut file is said once"
    taken = [row["id"] for row in verdicts(tmp_path / "o")]
    assert taken[:40] == [f"r{n}" for n in range(40)]
    assert sum(summary["records"].values()) + len(of_a) + summary["duplicates"] == len(lines) + len(taken[40:])
    assert (summary["duplicates"], summary["quarantined"]) == (2, len(refused))
    assert run("verify", "--home", tmp_path / "h", "--json").json["ok"] is True
    again = run("replay", folder, "--home", tmp_path / "h", "--out", tmp_path / "o", "--json").json
    for name in ("records", "quarantined", "duplicates", "ledger_root", "ledger_height"):
        assert again[name] == summary[name], f"a second call changes {name}"


def test_a_mapping_that_tries_to_read_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("s\n1\n")
    (tmp_path / "a.ndjson").write_bytes(text_of(look(1)))
    query = f"select s as time, 'view' as kind from read_csv('{tmp_path}/secret.csv'), input"
    (tmp_path / "w.toml").write_text(f'[sources.old]\nmapping = "{query}"\n')
    words = ("replay", tmp_path / "a.ndjson", "--config", tmp_path / "w.toml", "--source", "old")
    told = run(*words, "--home", tmp_path / "h", "--out", tmp_path / "o")
    assert told.code == 2
    assert "table function" in one_line(told.err)
    assert not (tmp_path / "h").exists()


WRONG: dict[str, tuple[str, ...]] = {
    "no such file": ("{tmp}/nowhere.ndjson",),
    "nowhere: is not a folder": ("{tmp}/a.ndjson", "--reference", "{tmp}/nowhere"),
    "accounts.csv": ("{tmp}/a.ndjson", "--reference", "{tmp}/bad"),
    "w.toml": ("{tmp}/a.ndjson", "--config", "{tmp}/w.toml"),
    "none.toml": ("{tmp}/a.ndjson", "--config", "{tmp}/none.toml"),
    "batch_rows": ("{tmp}/a.ndjson", "--config", "{tmp}/s.toml", "--source", "x"),
    "standard input stands alone": ("{tmp}/a.ndjson", "-"),
    "--out": ("{tmp}/a.ndjson", "--out", "{tmp}/a.ndjson"),
    "--home": ("{tmp}/a.ndjson", "--home", "{tmp}/a.ndjson"),
    "same folder": ("{tmp}/a.ndjson", "--home", "{tmp}/x", "--out", "{tmp}/x"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_words_are_one_line_and_leave_nothing_behind(run: Run, tmp_path: Path, what: str) -> None:
    (tmp_path / "a.ndjson").write_bytes(text_of(look(1)))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "accounts.csv").write_text("account,outlet\na1\n\xff,1\n", encoding="latin1")
    (tmp_path / "w.toml").write_text("[engine.policy]\nstep_hours = -1\n")
    (tmp_path / "s.toml").write_text('[sources.x]\ntoken = "a-secret-of-somebody"\nbatch_rows = 0\n')
    before = sorted(tmp_path.rglob("*"))
    words = [word.format(tmp=tmp_path) for word in WRONG[what]]
    for option, place in (("--home", "h"), ("--out", "o")):
        words += [] if option in words else [option, str(tmp_path / place)]
    told = run("replay", *words)
    assert told.code == 2
    line = one_line(told.err)
    assert what in line or what == "batch_rows"
    assert ". " in line, "what to do is said"
    assert "a-secret-of-somebody" not in line
    assert sorted(tmp_path.rglob("*")) == before


def test_a_home_in_use_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(text_of(look(1)))
    (tmp_path / "h").mkdir()
    lock = take_lock(tmp_path / "h" / "lock", "")
    try:
        told = run("replay", tmp_path / "a.ndjson", "--home", tmp_path / "h", "--out", tmp_path / "o", "--json")
    finally:
        os.close(lock)
    assert told.code == 2
    assert "another process writes this home" in one_line(told.err)
    assert not (tmp_path / "o").exists()


def test_progress_without_a_terminal_is_plain_lines(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(text_of(look(1)))
    told = run("replay", tmp_path / "a.ndjson", "--home", tmp_path / "h", "--out", tmp_path / "o")
    assert told.code == 0
    assert "reading" in told.err.splitlines()
    assert "\x1b" not in told.err
    assert "1 records, 1 looks" in told.out


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(run: Run, tmp_path: Path) -> None:
    world = small_world()
    (tmp_path / "w.toml").write_text("checkpoint_seconds = 0.5\n[sources.files]\nbatch_rows = 1000\n")
    words = [
        "replay", world / "records", "--reference", world / "reference", "--config", tmp_path / "w.toml", "--source", "files",
        "--home", tmp_path / "h", "--out", tmp_path / "o", "--json",
    ]  # fmt: skip
    process = start(*words)
    until(lambda: (tmp_path / "h" / "journal" / "durable").exists() and Ledger(tmp_path / "h").height > 3_000)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the sealing child gets it too
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err.decode()) == (130, "")
    first = json.loads(out)
    assert first["finished"] is False
    assert 3_000 < first["ledger_height"] < 100_000
    assert first["ledger_sealed"] == first["ledger_height"]
    assert run("verify", "--home", tmp_path / "h", "--json").json["ok"] is True
    assert run(*words).json["finished"] is True
    words[words.index(tmp_path / "h")], words[words.index(tmp_path / "o")] = tmp_path / "h2", tmp_path / "o2"
    assert run(*words).code == 0
    once, twice = said(tmp_path / "o2"), said(tmp_path / "o")
    for part, value in once.items():
        assert twice[part] == value, part
