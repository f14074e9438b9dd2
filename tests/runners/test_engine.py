"""The engine of one home: durability, duplicates, reloads, full disks, two writers."""

from __future__ import annotations

import json
import resource
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from watchbill.core.errors import LedgerBusy, LedgerError
from watchbill.core.settings import Settings
from watchbill.ledger.reader import Ledger
from watchbill.records.parse import parse_ndjson
from watchbill.runners.clock import ManualClock
from watchbill.runners.engine import Engine

if TYPE_CHECKING:
    from pathlib import Path

    from watchbill.records.batch import Batch

START = 1_750_000_000_000


def look(number: int, **more: object) -> dict[str, object]:
    """A record of a look."""
    row: dict[str, object] = {
        "id": f"r{number}", "time": START + number * 1000, "kind": "view", "account": "a1", "waybill": f"W{number}",
        "subjects": [f"p{number}"], "fields": ["recipient.phone"],
    }  # fmt: skip
    return row | more


def batch(*rows: dict[str, object], source: str = "desk", position: int = 0) -> Batch:
    """A parsed batch of these rows."""
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return parse_ndjson(text, source=source, identity="f").batch(source, {"line": position})


def engine(home: Path) -> Engine:
    """An engine with a clock that stands."""
    return Engine(home, Settings(), ManualClock(START))


def ids(home: Path) -> list[str]:
    """Ids in the ledger, by seq."""
    tables = list(Ledger(home).records(["id", "kind"]))
    return [
        row["id"] for row in pa.concat_tables(tables).sort_by("seq").to_pylist() if not row["kind"].startswith("wb.")
    ]


def test_duplicates_count_once_also_across_restarts(tmp_path: Path) -> None:
    first = engine(tmp_path)
    first.take(batch(look(1), look(2), look(1)))
    first.close()  # no checkpoint: recovery has to learn the ids from the journal
    second = engine(tmp_path)
    second.take(batch(look(2), look(3)))
    second.checkpoint()
    second.close()
    third = engine(tmp_path)
    third.take(batch(look(3), look(1), look(4)))
    assert third.counts.duplicates == 4
    third.close()
    assert ids(tmp_path) == ["r1", "r2", "r3", "r4"]


def test_same_id_with_other_content_is_quarantined(tmp_path: Path) -> None:
    one = engine(tmp_path)
    one.take(batch(look(1)))
    one.take(batch(look(1, account="a2")))
    assert (one.counts.quarantined, one.counts.duplicates) == (1, 0)
    one.close()
    assert ids(tmp_path) == ["r1"]


def test_same_id_of_two_sources_are_two_records(tmp_path: Path) -> None:
    one = engine(tmp_path)
    one.take(batch(look(1)))
    one.take(batch(look(1), source="hub"))
    one.close()
    assert ids(tmp_path) == ["r1", "r1"]


def test_an_old_duplicate_is_found_in_the_sealed_index(tmp_path: Path) -> None:
    from watchbill.ledger.sealing import seal

    one = engine(tmp_path)
    one.take(batch(look(1)))
    for day in range(1, 10):
        one.take(batch(look(100 + day, time=START + day * 86_400_000)))
    seal(tmp_path, final=True)
    one.take(batch(look(1, received=START + 9 * 86_400_000)))
    conflict = batch(look(1, account="a9", received=START + 9 * 86_400_000 + 1))
    one.take(conflict)
    assert (one.counts.quarantined, one.counts.duplicates) == (1, 1)
    one.close()
    assert ids(tmp_path).count("r1") == 1


def test_ten_million_duplicates_in_small(tmp_path: Path) -> None:
    """The same 50,000 records again and again: memory stays, nothing is added (benchmarks do the full ten million)."""
    rows = [look(number) for number in range(50_000)]
    again = batch(*rows)
    one = engine(tmp_path)
    one.take(batch(*rows))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(20):
        one.take(again.keep(again.table.column("time").combine_chunks().is_valid().to_numpy(zero_copy_only=False)))
    assert one.counts.duplicates == 20 * 50_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB
    assert one.journal.durable == 50_001  # with the record of the settings
    one.close()


def test_changes_of_standing_are_heard_and_come_again_after_a_kill(tmp_path: Path) -> None:
    heard: list[tuple[int, str]] = []

    def hear(rows: list[dict[str, Any]]) -> None:
        heard.extend((row["seq"], row["step"]) for row in rows)

    first = Engine(tmp_path, Settings(), ManualClock(START), on_said=hear)
    first.take(batch(*(look(number) for number in range(400))))
    first.close()  # no checkpoint: a kill
    said, heard = heard, []
    Engine(tmp_path, Settings(), ManualClock(START), on_said=hear).close()
    assert said == heard != []


def test_a_checkpoint_before_the_first_record_stops_no_start(tmp_path: Path) -> None:
    first = engine(tmp_path)
    assert first.checkpoint()
    first.take(batch(look(1)))
    first.close()
    second = engine(tmp_path)  # recovers from the checkpoint at height 0, which names no settings
    second.take(batch(look(2)))
    assert (second.counts.kinds, second.kept.in_force != {}) == ({"view": 2}, True)
    second.close()
    assert ids(tmp_path) == ["r1", "r2"]


def test_two_writers(tmp_path: Path) -> None:
    one = engine(tmp_path)
    with pytest.raises(LedgerBusy, match="another process"):
        engine(tmp_path)
    one.close()
    engine(tmp_path).close()


def test_a_full_disk_stops_acknowledging_says_so_and_recovers(tmp_path: Path) -> None:
    one = engine(tmp_path)
    one.take(batch(look(1)))
    said: list[str] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Freeing(ManualClock):
        def sleep(self, seconds: float) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            super().sleep(seconds)

    one.clock = Freeing(START)
    one.on_full = said.append
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    journal = next((tmp_path / "journal").glob("*.wbj"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.stat().st_size + 10, hard))
    try:
        height = one.take(batch(look(2), look(3)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert height == 4  # with the record of the settings
    assert said, "nothing was said of the full disk"
    one.close()
    assert ids(tmp_path) == ["r1", "r2", "r3"]


def _reference(folder: Path, accounts: int) -> Path:
    folder.mkdir(exist_ok=True)
    lines = ["account,role,outlet", *(f"a{number},courier,O1" for number in range(accounts))]
    (folder / "accounts.csv").write_text("\n".join(lines) + "\n")
    (folder / "outlets.csv").write_text("outlet,name\nO1,one\n")
    return folder


def test_a_reload_is_a_record_and_survives_a_restart(tmp_path: Path) -> None:
    folder = _reference(tmp_path / "ref", 4)
    home = tmp_path / "home"
    one = engine(home)
    assert one.reload(folder) == ["accounts", "outlets"]
    one.take(batch(look(1)))
    assert one.pipeline.context.roster.posts.shape[0] == 4
    _reference(folder, 5)
    assert one.reload(folder) == ["accounts"]
    one.take(batch(look(2)))
    one.close()
    two = engine(home)
    assert two.pipeline.context.roster.posts.shape[0] == 5
    assert two.reload(folder) == []
    two.checkpoint()
    two.close()
    three = engine(home)
    assert three.pipeline.context.roster.posts.shape[0] == 5
    assert three.reload(folder) == []
    three.close()


def test_a_roster_that_shrinks_to_zero_is_not_taken(tmp_path: Path) -> None:
    folder = _reference(tmp_path / "ref", 4)
    one = engine(tmp_path / "home")
    one.reload(folder)
    one.take(batch(look(1)))
    _reference(folder, 0)
    assert one.reload(folder) == []
    assert "shrank from 4 to 0" in one.references.refused["accounts"]
    one.take(batch(look(2)))
    assert one.pipeline.context.roster.posts.shape[0] == 4
    one.close()


def test_a_clock_that_goes_back_and_one_that_jumps(tmp_path: Path) -> None:
    one = engine(tmp_path)
    one.take(batch(look(1)))
    one.take(batch(look(2, time=START - 5_000)))
    far: dict[str, Any] = look(3, time=START + 30 * 86_400_000)
    one.take(batch(far))
    one.take(batch(look(4)))
    assert one.counts.quarantined == 1
    one.close()
    table = pa.concat_tables(list(Ledger(tmp_path).records(["id", "arrival"]))).sort_by("seq")
    assert ids(tmp_path) == ["r1", "r2", "r4"]
    arrivals = table.column("arrival").to_pylist()
    assert arrivals == sorted(arrivals)


def test_what_a_source_says_of_masking_is_journaled_once(tmp_path: Path) -> None:
    one = engine(tmp_path)
    one.declare("desk", "unknown")
    one.take(batch(look(1)))
    one.declare("desk", "unknown")
    one.take(batch(look(2)))
    one.close()
    two = engine(tmp_path)
    two.declare("desk", "unknown")
    two.take(batch(look(3)))
    two.close()
    kinds = [row for table in Ledger(tmp_path).records(["kind"]) for row in table.column("kind").to_pylist()]
    assert kinds.count("wb.source") == 1


def test_a_change_of_settings_is_a_record_and_old_records_keep_theirs(tmp_path: Path) -> None:
    """After a restart each record is judged again under the settings of its time."""
    strict = Settings.model_validate(
        {"policy": {"ask_reason_at": 1.5, "step_up_at": 2, "throttle_at": 3, "end_session_at": 4}}
    )
    rows = [look(number, waybill=f"W{number}") for number in range(600)]
    first = engine(tmp_path / "a")
    first.take(batch(*rows[:300]))
    first.close()
    second = Engine(tmp_path / "a", strict, ManualClock(START))
    assert second.pipeline.settings == Settings()
    second.take(batch(*rows[300:]))
    assert second.pipeline.settings == strict
    said = dict(second.counts.decisions)
    second.close()
    third = Engine(tmp_path / "a", strict, ManualClock(START))  # all from the journal
    assert third.counts.decisions == said
    third.checkpoint()
    third.close()
    fourth = Engine(tmp_path / "a", strict, ManualClock(START))
    assert (fourth.pipeline.settings, fourth.counts.decisions) == (strict, said)
    fourth.take(batch(look(1000)))
    fourth.close()
    kinds = [row for table in Ledger(tmp_path / "a").records(["kind"]) for row in table.column("kind").to_pylist()]
    assert kinds.count("wb.settings") == 2


def test_kept_settings_that_were_changed_are_refused(tmp_path: Path) -> None:
    one = engine(tmp_path)
    one.take(batch(look(1)))
    one.checkpoint()
    one.close()
    kept = next((tmp_path / "settings").glob("*.json"))
    kept.write_text(kept.read_text().replace("Asia/Shanghai", "Europe/Berlin"))
    with pytest.raises(LedgerError, match="were changed"):
        engine(tmp_path)


def test_made_up_accounts_and_outlets_never_stop_the_engine(tmp_path: Path) -> None:
    """They are journaled before they are counted: an error would come back at every start."""
    tight = Settings.model_validate({"limits": {"accounts_max": 3, "outlets_max": 2}})
    rows = [look(number, account=f"made-up-{number}") for number in range(9)]
    scans = [
        {"id": f"s{n}", "time": START + n, "kind": "scan", "waybill": f"W{n}", "outlet": f"O{n}", "status": "arrived"}
        for n in range(9)
    ]
    one = Engine(tmp_path, tight, ManualClock(START))
    one.take(batch(*rows, *scans))
    assert one.counts.looks == 9
    one.close()
    two = Engine(tmp_path, tight, ManualClock(START))
    assert two.counts.looks == 9
    assert two.pipeline.context.accounts.left_out == 6
    two.checkpoint()
    two.close()
    assert len(ids(tmp_path)) == 18
