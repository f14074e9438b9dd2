from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchbill.core.errors import LedgerError, NotFoundError
from watchbill.inquiry import exposure
from watchbill.inquiry.exposure import exposure_of, is_complete, saw, who_saw
from watchbill.ledger.frames import Frame, pack
from watchbill.ledger.journal import Journal
from watchbill.ledger.reader import Ledger
from watchbill.ledger.sealing import seal
from watchbill.records.schema import SCHEMA

T0 = 1_740_931_200_000


def control(kind: str, **extra: Any) -> dict[str, Any]:
    return {"kind": kind, "source": "wb", "extra": json.dumps(extra)}


def reload(digest: str) -> dict[str, Any]:
    return control("wb.reload", table="parcels", digest=digest, rows=1)


def journal_rows(home: Path, rows: Sequence[dict[str, Any]], frame_rows: int = 3, sealed: int = 0) -> Path:
    full = [
        {"source": "s", "id": f"i{n}", "time": T0 + n, "arrival": T0 + n, "kind": "view", **row}
        for n, row in enumerate(rows)
    ]
    table = pa.Table.from_pylist(full, schema=SCHEMA)
    with Journal.open(home) as journal:
        for at in range(0, table.num_rows, frame_rows):
            part = table.slice(at, frame_rows)
            journal.append(Frame(part.num_rows, part["arrival"][-1].as_py(), pack(part)))
        journal.commit()
    if sealed:
        seal(home, upto=sealed, final=True)
    return home


@pytest.fixture
def write() -> Any:
    return journal_rows


@pytest.fixture
def parcels() -> Any:
    return keep_parcels


PERSON = ["recipient.name", "recipient.phone", "recipient.address"]
LOOK = {"account": "E1", "subjects": ["c1"], "fields": PERSON}


def test_a_plain_look_is_exact(tmp_path: Path, write: Any) -> None:
    write(tmp_path, [LOOK, {**LOOK, "fields": ["sender.phone"]}, {**LOOK, "account": "E2"}])
    answer = saw(tmp_path, "E1").to_json()
    assert answer == {
        "account": "E1", "height": 3, "persons": 1, "items": 4, "times": 2, "complete_records": 1, "complete": True,
        "lower": 1, "upper": 1, "gaps": [],
        "subjects": [{"subject": "c1", "fields": [*sorted(PERSON), "sender.phone"], "first": T0, "last": T0 + 1, "times": 2}],
    }  # fmt: skip


@pytest.mark.parametrize(
    "hidden", [{"masked": True}, {"outcome": "denied"}, {"outcome": "failure"}, {"kind": "scan"}, {"kind": "wb.note"}]
)
def test_what_was_not_shown_exposes_nobody(tmp_path: Path, write: Any, hidden: dict[str, Any]) -> None:
    write(tmp_path, [{**LOOK, **hidden}])
    answer = saw(tmp_path, "E1")
    assert (answer.persons, answer.times, answer.complete, answer.upper) == (0, 0, True, 0)
    assert who_saw(tmp_path, "c1").accounts == []


def test_a_decision_alone_never_reduces_exposure(tmp_path: Path, write: Any) -> None:
    write(tmp_path, [{**LOOK, "decision": "d1"}, {**LOOK, "subjects": ["c2"], "decision": "d2", "masked": True}])
    assert [one.subject for one in saw(tmp_path, "E1").subjects] == ["c1"]


def test_shown_narrows(tmp_path: Path, write: Any) -> None:
    shown = [{"subject": "c1", "fields": ["recipient.name"]}, {"subject": "c2", "fields": None}]
    write(tmp_path, [{**LOOK, "subjects": ["c1", "c2", "c3"], "shown": shown}])
    answer = saw(tmp_path, "E1")
    assert {one.subject: one.fields for one in answer.subjects} == {"c1": ["recipient.name"], "c2": sorted(PERSON)}
    assert [who.fields for who in who_saw(tmp_path, "c1").accounts] == [["recipient.name"]]
    assert who_saw(tmp_path, "c3").accounts == []


def test_parcels_in_force_resolve_looks_that_list_nobody(tmp_path: Path, write: Any, parcels: Any) -> None:
    parcels(tmp_path, "old", [{"waybill": "W1", "sender": "s1", "recipient": "r1", "until": T0 + 2}])
    parcels(tmp_path, "new", [{"waybill": "W1", "sender": "s1", "recipient": "r2"}])
    bare = {"account": "E1", "waybill": "W1", "fields": ["recipient.phone"]}
    write(tmp_path, [reload("old"), bare, bare, reload("new"), bare, {**bare, "waybill": "W2"}])
    answer = saw(tmp_path, "E1")
    assert {one.subject: one.times for one in answer.subjects} == {"s1": 2, "r1": 1, "r2": 1}
    assert {gap.kind: (gap.looks, gap.persons) for gap in answer.gaps} == {"no_subjects": (2, 4)}
    assert (answer.complete, answer.lower, answer.upper) == (False, 3, 7)
    assert saw(tmp_path, "E1", upto=2).complete
    assert [(who.account, who.times) for who in who_saw(tmp_path, "r2").accounts] == [("E1", 1)]
    assert [(who.account, who.times) for who in who_saw(tmp_path, "W1").accounts] == [("E1", 3)]


def test_results_beyond_those_listed_are_unnamed(tmp_path: Path, write: Any) -> None:
    write(
        tmp_path,
        [{**LOOK, "kind": "search", "results": 10}, {**LOOK, "kind": "search", "results": 1}, {**LOOK, "results": 9}],
    )
    answer = saw(tmp_path, "E1")
    assert [(gap.kind, gap.looks, gap.persons) for gap in answer.gaps] == [("unnamed", 1, 9)]
    assert (answer.persons, answer.lower, answer.upper, answer.complete) == (1, 1, 10, False)
    assert [gap.kind for gap in who_saw(tmp_path, "c9").gaps] == ["unnamed"]


def test_an_export_that_says_nothing_has_no_bound(tmp_path: Path, write: Any) -> None:
    write(tmp_path, [{"account": "E1", "kind": "export"}, {"account": "E1", "kind": "search", "results": 0}])
    answer = saw(tmp_path, "E1")
    assert [(gap.kind, gap.looks) for gap in answer.gaps] == [("no_subjects", 1)]
    assert answer.upper is None


def test_unknown_masking_counts_in_the_upper_bound_only(tmp_path: Path, write: Any) -> None:
    rows = [control("wb.source", source="s", masking="unknown"), LOOK, control("wb.source", source="s", masking="known"),
            {**LOOK, "subjects": ["c2"]}]  # fmt: skip
    write(tmp_path, rows)
    answer = saw(tmp_path, "E1")
    assert ([one.subject for one in answer.subjects], answer.times, answer.lower, answer.upper) == (["c2"], 1, 1, 2)
    assert not answer.complete
    asked = who_saw(tmp_path, "c1")
    assert (asked.accounts, [(gap.kind, gap.looks, gap.accounts) for gap in asked.gaps]) == (
        [],
        [("masking_unknown", 1, ["E1"])],
    )


def test_a_silent_source_is_a_gap(tmp_path: Path, write: Any) -> None:
    write(tmp_path, [LOOK])
    (tmp_path / "status.json").write_text(json.dumps({"sources": {"s": {"silent": True}, "t": {"silent": False}}}))
    assert [gap.kind for gap in saw(tmp_path, "E1").gaps] == ["source_silent"]
    assert not who_saw(tmp_path, "c1").complete


def test_explained_comes_from_the_verdicts(tmp_path: Path, write: Any) -> None:
    write(tmp_path, [LOOK, LOOK, {**LOOK, "account": "E2"}, {**LOOK, "account": "E3"}])
    (tmp_path / "parts").mkdir()
    said = pa.table({"seq": [0, 1, 2], "explained": [True, False, True]})
    pq.write_table(said, tmp_path / "parts" / f"verdicts-{0:020d}-{3:020d}.parquet")
    assert {who.account: who.explained for who in who_saw(tmp_path, "c1").accounts} == {
        "E1": False,
        "E2": True,
        "E3": None,
    }


def test_an_account_without_records_is_not_found_and_a_customer_nobody_saw_is_an_answer(
    tmp_path: Path, write: Any
) -> None:
    write(tmp_path, [LOOK], sealed=1)
    with pytest.raises(NotFoundError):
        saw(tmp_path, "E9")
    assert saw(tmp_path, "E1", from_ms=T0 + 10).persons == 0
    assert who_saw(tmp_path, "c9").complete
    with pytest.raises(LedgerError):
        saw(tmp_path, "E1", upto=7)


def test_many_parcels_of_one_sender(tmp_path: Path, write: Any, parcels: Any) -> None:
    parcels(tmp_path, "d", [{"waybill": f"W{n}", "sender": "shop", "recipient": f"r{n}"} for n in range(300)])
    looks = [{"account": f"E{n % 2}", "waybill": f"W{n}", "fields": ["sender.phone"]} for n in range(300)]
    write(tmp_path, [reload("d"), *looks], frame_rows=50, sealed=150)
    assert [(who.account, who.times) for who in who_saw(tmp_path, "shop").accounts] == [("E0", 150), ("E1", 150)]


def test_gaps_are_the_same_in_small_pieces(tmp_path: Path, write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    search = {**LOOK, "kind": "search", "results": 4}
    write(
        tmp_path, [search, {"account": "E1"}, search, {"account": "E2", "waybill": "W1"}, LOOK], frame_rows=1, sealed=2
    )
    whole = who_saw(tmp_path, "c7")
    monkeypatch.setattr(exposure, "_PIECE_ROWS", 1)
    assert who_saw(tmp_path, "c7") == whole
    assert {gap.kind: gap.looks for gap in whole.gaps} == {"no_subjects": 2, "unnamed": 2}


def test_some_of_the_looks_alone(tmp_path: Path, write: Any) -> None:
    write(tmp_path, [LOOK, {**LOOK, "subjects": ["c2", "c3"]}, {**LOOK, "kind": "scan"}])
    ledger = Ledger(tmp_path)
    assert exposure_of(tmp_path, ledger.of_account("E1"), ledger.height, "E1") == saw(tmp_path, "E1")
    assert exposure_of(tmp_path, ledger.of_account("E1", T0 + 1), ledger.height).persons == 2
    assert exposure_of(tmp_path, ledger.of_account("E9"), ledger.height).persons == 0


def test_complete_whatever_the_party() -> None:
    assert is_complete(["sender.name", "recipient.phone", "address"])
    assert not is_complete(["name", "phone"])


# --- always: equal to a recount from the raw records -------------------------------------------------------------------

subject = st.sampled_from(["c1", "c2", "c3", "c4"])
fields = st.one_of(
    st.none(),
    st.lists(st.sampled_from(["recipient.name", "recipient.phone", "sender.address", "name"]), min_size=1, max_size=3),
)
record = st.fixed_dictionaries({
    "source": st.sampled_from(["s", "t"]),
    "kind": st.sampled_from(["view", "search", "export", "print", "scan", "login"]),
    "account": st.sampled_from(["E1", "E2", None]),
    "device": st.just("D"),
    "waybill": st.sampled_from(["W1", "W2", "W3", None]),
    "subjects": st.one_of(st.none(), st.lists(subject, max_size=3)),
    "fields": fields,
    "shown": st.one_of(st.none(), st.lists(st.fixed_dictionaries({"subject": subject, "fields": fields}), min_size=1, max_size=2)),
    "masked": st.sampled_from([None, False, False, True]),
    "outcome": st.sampled_from([None, "success", "success", "denied", "failure"]),
    "results": st.one_of(st.none(), st.integers(0, 6)),
})  # fmt: skip
said = st.one_of(
    st.sampled_from(["", "p1", "p2"]).map(reload),
    st.tuples(st.sampled_from(["s", "t"]), st.sampled_from(["known", "unknown"])).map(
        lambda pair: control("wb.source", source=pair[0], masking=pair[1])
    ),
)
world = st.lists(st.one_of(record, record, record, said), min_size=1, max_size=30)
VERSIONS = {
    "p1": [
        {"waybill": "W1", "sender": "c1", "recipient": "c2"},
        {"waybill": "W2", "sender": "c3", "recipient": None, "from": T0 + 8},
    ],
    "p2": [
        {"waybill": "W1", "sender": "c4", "recipient": "c4"},
        {"waybill": "W1", "sender": "c1", "recipient": "c2", "until": T0 + 15},
    ],
}


def recount(rows: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any], bool, list[tuple[str, list[str]]]]]:
    """(seq, look, masking unknown, [(subject, fields)]) of every look that showed something, by the contract's letter."""
    table, unknown, out = "", {}, []
    for seq, row in enumerate(rows):
        if row["kind"].startswith("wb."):
            extra = json.loads(row["extra"])
            if row["kind"] == "wb.reload":
                table = extra["digest"]
            else:
                unknown[extra["source"]] = extra["masking"] == "unknown"
            continue
        if (
            row["kind"] not in {"view", "search", "export", "print"}
            or row["masked"]
            or row["outcome"] not in {None, "success"}
        ):
            continue
        if row["shown"]:
            pairs = [(item["subject"], item["fields"] or row["fields"] or []) for item in row["shown"]]
        elif row["subjects"]:
            pairs = [(one, row["fields"] or []) for one in row["subjects"]]
        else:
            held = [one for one in VERSIONS.get(table, []) if one["waybill"] == row["waybill"]
                    and one.get("from", 0) <= T0 + seq < one.get("until", T0 * 2)]  # fmt: skip
            names = {name for one in held for name in (one["sender"], one["recipient"]) if name}
            pairs = [(name, row["fields"] or []) for name in names]
        out.append((seq, row, unknown.get(row["source"], False), pairs))
    return out


@settings(max_examples=25, deadline=None)
@given(world, st.integers(0, 30), st.integers(0, 30), st.integers(1, 7))
def test_equals_a_recount_at_any_cut_and_height(
    rows: list[dict[str, Any]], cut: int, height: int, frame_rows: int
) -> None:
    height = min(height, len(rows))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for digest, table in VERSIONS.items():
            keep_parcels(home, digest, table)
        journal_rows(home, rows, frame_rows, min(cut, len(rows)))
        assert Ledger(home).height == len(rows)
        truth = recount(rows[:height])
        if any(row.get("account") == "E1" for row in rows[:height]):
            check_saw(home, truth, height)
        for wanted in ("c1", "c4", "W1"):
            check_who_saw(home, truth, wanted, height)


def keep_parcels(home: Path, digest: str, rows: list[dict[str, Any]]) -> None:
    kinds = [(name, pa.string()) for name in ("waybill", "sender", "recipient")] + [
        ("from", pa.int64()),
        ("until", pa.int64()),
    ]
    (home / "reference").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(kinds)), home / "reference" / f"parcels-{digest}.parquet")


def check_saw(home: Path, truth: list[Any], height: int) -> None:
    answer = saw(home, "E1", upto=height)
    mine = [entry for entry in truth if entry[1]["account"] == "E1"]
    shown: dict[str, set[str]] = defaultdict(set)
    seqs: dict[str, set[int]] = defaultdict(set)
    for seq, _, unknown, pairs in mine:
        for name, names in pairs if not unknown else []:
            shown[name].update(names)
            seqs[name].add(seq)
    got = {one.subject: (one.fields, one.first, one.last, one.times) for one in answer.subjects}
    assert got == {name: (sorted(shown[name]), T0 + min(at), T0 + max(at), len(at)) for name, at in seqs.items()}
    assert answer.persons == answer.lower == len(seqs)
    assert answer.items == sum(map(len, shown.values()))
    assert answer.times == len(set().union(*seqs.values())) if seqs else answer.times == 0
    everybody = {name for *_, pairs in mine for name, _ in pairs}
    unnamed = sum(max(0, (row["results"] or 0) - len({name for name, _ in pairs}))
                  for _, row, _, pairs in mine if row["kind"] in {"search", "export"})  # fmt: skip
    silent = [
        row
        for _, row, _, pairs in mine
        if not pairs and not (row["kind"] in {"search", "export"} and row["results"] == 0)
    ]
    unbounded = any(row["kind"] in {"search", "export"} and row["results"] is None for row in silent)
    parcels = sum(row["kind"] in {"view", "print"} for row in silent)
    assert answer.upper == (None if unbounded else len(everybody) + unnamed + 2 * parcels)
    vague = any(unknown and pairs for _, _, unknown, pairs in mine)
    assert answer.complete == (not silent and not unnamed and not vague)


def check_who_saw(home: Path, truth: list[Any], wanted: str, height: int) -> None:
    seqs: dict[str | None, set[int]] = defaultdict(set)
    shown: dict[str | None, set[str]] = defaultdict(set)
    for seq, row, unknown, pairs in truth:
        if unknown:
            continue
        here = [names for name, names in pairs if name == wanted]
        if row["waybill"] == wanted:
            here += [names for _, names in pairs] or [row["fields"] or []]
        if here:
            seqs[row["account"]].add(seq)
            shown[row["account"]].update(*here)
    answer = who_saw(home, wanted, upto=height)
    got = {who.account: (who.fields, who.first, who.last, who.times) for who in answer.accounts}
    assert got == {who: (sorted(shown[who]), T0 + min(at), T0 + max(at), len(at)) for who, at in seqs.items()}
    assert {gap.kind for gap in answer.gaps} == open_questions(truth, wanted)


def open_questions(truth: list[Any], wanted: str) -> set[str]:
    out = set()
    for _, row, unknown, pairs in truth:
        search = row["kind"] in {"search", "export"}
        named = {name for name, _ in pairs}
        if wanted in named or row["waybill"] == wanted:
            out |= {"masking_unknown"} if unknown else set()
            continue
        if not pairs and not (search and row["results"] == 0):
            out.add("no_subjects")
        if search and (row["results"] or 0) > len(named):
            out.add("unnamed")
    return out
