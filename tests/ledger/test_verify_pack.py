"""The stand-alone verifier refuses whatever is not exactly what was packed: any byte, any container, any claim."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from watchbill.ledger import checkpoint, merkle
from watchbill.ledger import verify_pack as module
from watchbill.ledger.prove import Proof
from watchbill.ledger.verify_pack import manifest_text, pack_bytes, root_from, roots_from, verify_pack

ORIGIN = "log.example/wb"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VERIFIER = checkpoint.verifier_key(ORIGIN, KEY.public_key().public_bytes_raw())
SETTINGS = b'{"table_minutes": 60}'
DIGEST = sha256(SETTINGS).hexdigest()
Parts = dict[str, bytes]


def canonical(record: dict[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def look(**said: Any) -> dict[str, Any]:
    return {"source": "desk", "kind": "view", "account": "E1", "time": 100, "fields": ["recipient.name"], **said}


def decided(decision: str, **said: Any) -> dict[str, Any]:
    return {"source": "watchbill", "kind": "wb.decision", "decision": decision, "account": "E1", "time": 100, **said}


def rows() -> list[dict[str, Any]]:
    full = ["recipient.name", "recipient.phone", "recipient.address"]
    told: list[dict[str, Any]] = [
        {
            "source": "watchbill",
            "kind": "wb.settings",
            "time": 0,
            "extra": json.dumps({"digest": DIGEST, "version": "1"}),
        },
        {
            "source": "watchbill",
            "kind": "wb.reload",
            "time": 0,
            "extra": json.dumps({"table": "parcels", "digest": "p1"}),
        },
        {
            "source": "watchbill",
            "kind": "wb.source",
            "time": 0,
            "extra": json.dumps({"source": "old", "masking": "unknown"}),
        },
        look(subjects=["c1", "c2"], fields=full),
        look(subjects=["c2"], time=90),
        look(subjects=["c3"], masked=True),
        look(subjects=["c4"], outcome="denied"),
        look(shown=[{"subject": "c5", "fields": ["sender.phone"]}, {"subject": "c6", "fields": []}, {"fields": ["x"]}]),
        look(waybill="W1"),
        look(waybill="W1", time=400),
        look(waybill="W9"),
        look(source="old", subjects=["c7"]),
        look(source="wb.decide", decision="d1", subjects=["c8"], fields=full),
        decided("d1", fields=["recipient.phone"], masked=False, outcome="success"),
        look(decision="d1", subjects=["c8"], fields=["recipient.phone"]),  # the desk's own log of the same look
        look(source="wb.decide", decision="d2", subjects=["c9"], fields=full),
        decided("d2", masked=True, outcome="success"),
    ]
    return [{**row, "seq": seq} for seq, row in enumerate(told)]


SUBJECTS = [
    {
        "subject": "c1",
        "fields": ["recipient.address", "recipient.name", "recipient.phone"],
        "first": 100,
        "last": 100,
        "times": 1,
    },
    {
        "subject": "c2",
        "fields": ["recipient.address", "recipient.name", "recipient.phone"],
        "first": 90,
        "last": 100,
        "times": 2,
    },
    {"subject": "c5", "fields": ["sender.phone"], "first": 100, "last": 100, "times": 1},
    {"subject": "c6", "fields": ["recipient.name"], "first": 100, "last": 100, "times": 1},
    {"subject": "c8", "fields": ["recipient.phone"], "first": 100, "last": 100, "times": 1},
    {"subject": "s1", "fields": ["recipient.name"], "first": 100, "last": 100, "times": 1},
]


def parts_of(change: Callable[[Parts], None] = lambda _parts: None) -> Parts:
    """Parts of a small pack whose claims are worked out by hand."""
    records = [canonical(row) for row in rows()]
    nonces = [bytes([seq]) * 16 for seq in range(len(records))]
    leaves = [merkle.leaf_hash(nonce + record) for nonce, record in zip(nonces, records, strict=True)]
    size = len(leaves)
    note = checkpoint.sign(KEY, ORIGIN, size, merkle.root_of(leaves))
    pairs = [[one["subject"], one["fields"]] for one in SUBJECTS]
    hashed = sha256(json.dumps(pairs, separators=(",", ":")).encode()).hexdigest()
    claims = {"persons": 6, "lower": 6, "items": 10, "times": 5, "complete_records": 2, "hash": hashed, "subjects": SUBJECTS,
              "listed": list(range(3, size))}  # fmt: skip
    parcel = {"digest": "p1", "waybill": "W1", "sender": "s1", "recipient": None, "from": 50, "until": 300}
    parts = {
        "README.txt": b"read me\n", "log.key": f"{VERIFIER}\n".encode(), "checkpoint": note, "case.json": b'{"id": "c9"}',
        "records.ndjson": b"".join(record + b"\n" for record in records), "exposure.json": json.dumps(claims).encode(),
        "parcels.ndjson": canonical(parcel) + b"\n", f"settings/{DIGEST}.json": SETTINGS,
    }  # fmt: skip
    for seq in range(size):
        proof = Proof(
            seq, size, leaves[seq], tuple(merkle.inclusion_proof(seq, leaves)), note, nonces[seq], records[seq]
        )
        parts[f"proofs/{seq}.tlog-proof"] = proof.text()
    change(parts)
    text = manifest_text("c9", size, {name: data for name, data in parts.items() if name != "MANIFEST"})
    return {"MANIFEST": checkpoint.sign_text(KEY, ORIGIN, text)} | parts


PARTS = parts_of()


def verified(folder: Path, data: bytes, key: str | None = VERIFIER) -> module.PackReport:
    place = folder / "pack.zip"
    place.write_bytes(data)
    return verify_pack(place, key)


def test_a_pack_verifies_and_is_counted(tmp_path: Path) -> None:
    report = verified(tmp_path, pack_bytes(PARTS))
    assert (report.ok, report.part, report.reason) == (True, "", "")
    assert (report.case, report.size, report.records, report.persons, report.trusted) == ("c9", 17, 17, 6, True)
    untold = verified(tmp_path, pack_bytes(PARTS), None)
    assert (untold.ok, untold.trusted, untold.key) == (True, False, VERIFIER)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_one_changed_byte_of_any_part_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(PARTS)))
    at, by = data.draw(st.integers(0, len(PARTS[name]) - 1)), data.draw(st.integers(1, 255))
    body = PARTS[name]
    changed = body[:at] + bytes([body[at] ^ by]) + body[at + 1 :]
    report = verified(tmp_path_factory.getbasetemp(), pack_bytes({**PARTS, name: changed}))
    assert not report.ok
    assert report.part in {name, "log.key"} | ({"MANIFEST"} if name == "log.key" else set())


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_one_changed_byte_of_the_file_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = pack_bytes(PARTS)
    at, by = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(1, 255))
    report = verified(tmp_path_factory.getbasetemp(), whole[:at] + bytes([whole[at] ^ by]) + whole[at + 1 :])
    assert not report.ok
    assert report.part
    assert report.reason


def test_cut_and_longer_files_are_refused(tmp_path: Path) -> None:
    whole = pack_bytes(PARTS)
    for data in (b"", whole[:-1], whole[:1000], whole + b"\0", b"\0" + whole, b"PK"):
        assert not verified(tmp_path, data).ok
    assert not verify_pack(tmp_path / "nothing.zip").ok


def swapped(name: str, old: bytes, new: bytes) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        assert old in parts[name]
        parts[name] = parts[name].replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("change", "part"),
    [  # each signed anew by the firm itself: the list of parts fits, the content does not
        (swapped("records.ndjson", b'"account":"E1"', b'"account":"E2"'), "records.ndjson, line 4"),
        (swapped("records.ndjson", b'"seq":4', b'"seq":3'), "records.ndjson, line 5"),
        (swapped("exposure.json", b'"persons": 6', b'"persons": 4'), "exposure.json"),
        (swapped("exposure.json", b'"times": 2', b'"times": 3'), "exposure.json"),
        (swapped("exposure.json", b'"c6"', b'"c8"'), "exposure.json"),
        (swapped("exposure.json", b"[3, 4", b"[4"), "exposure.json"),
        (swapped("exposure.json", b"[3, 4", b"[99, 4"), "exposure.json"),
        (swapped("parcels.ndjson", b"s1", b"s2"), "exposure.json"),
        (swapped("case.json", b"c9", b"c8"), "case.json"),
        (swapped("checkpoint", b"\n17\n", b"\n13\n"), "checkpoint"),
        (swapped("proofs/3.tlog-proof", b"index 3", b"index 4"), "proofs/3.tlog-proof"),
        (lambda parts: parts.pop("proofs/3.tlog-proof") and None, "proofs/3.tlog-proof"),
        (lambda parts: parts.update({"proofs/77.tlog-proof": parts["proofs/3.tlog-proof"]}), "proofs"),
        (lambda parts: parts.update({"settings/ab.json": b"{}"}), "settings/ab.json"),
        (lambda parts: parts.pop("checkpoint") and None, "checkpoint"),
        (lambda parts: parts.update({"records.ndjson": b"[1]\n"}), "records.ndjson, line 1"),
        (lambda parts: parts.update({"exposure.json": b"{"}), "exposure.json"),
        (lambda parts: parts.update({"exposure.json": b'{"listed": 7}'}), "pack"),
        (lambda parts: parts.update({"case.json": b"[" * 100_000}), "case.json"),
    ],
)  # fmt: skip
def test_a_false_claim_is_found_though_it_is_signed(tmp_path: Path, change: Callable[[Parts], None], part: str) -> None:
    report = verified(tmp_path, pack_bytes(parts_of(change)))
    assert (report.ok, report.part) == (False, part), report.reason


def test_a_missing_and_an_added_part_are_named(tmp_path: Path) -> None:
    without = {name: data for name, data in PARTS.items() if name != "README.txt"}
    assert verified(tmp_path, pack_bytes(without)).part == "README.txt"
    assert verified(tmp_path, pack_bytes({**PARTS, "more": b""})).part == "more"


def test_another_key_is_refused(tmp_path: Path) -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
    wrong = checkpoint.verifier_key(ORIGIN, other)
    assert verified(tmp_path, pack_bytes(PARTS), wrong).part == "log.key"
    assert verified(tmp_path, pack_bytes({**PARTS, "log.key": f"{wrong}\n".encode()}), None).part == "MANIFEST"


def hostile(build: Callable[[zipfile.ZipFile], object], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        build(file)
    return out.getvalue()


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "a/../../b", "a\\b", "C:x", "", ".hidden", "a//b", "a/b/c/d", "名"]
)
def test_paths_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    assert not verified(tmp_path, hostile(lambda file: file.writestr(zipfile.ZipInfo(name), b"x"))).ok
    assert [path.name for path in tmp_path.iterdir()] == ["pack.zip"]


def test_bombs_are_refused_before_they_grow(tmp_path: Path) -> None:
    bomb = hostile(lambda file: file.writestr("records.ndjson", bytes(200 << 20)), zipfile.ZIP_DEFLATED)
    assert "more than the file" in verified(tmp_path, bomb).reason
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = hostile(lambda file: [file.writestr("a", body) for body in (b"1", b"2")])  # type: ignore[func-returns-value]
    assert not verified(tmp_path, twice).ok


@given(st.binary(max_size=400))
def test_nonsense_is_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    assert not verified(tmp_path_factory.getbasetemp(), data).ok
    with pytest.raises((ValueError, IndexError)):
        module.imprint_of(data)


@given(st.integers(1, 40), st.data())
def test_its_tree_equals_the_ledgers(size: int, data: st.DataObject) -> None:
    leaves = [merkle.leaf_hash(bytes([number])) for number in range(size)]
    index, earlier = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert root_from(index, size, leaves[index], merkle.inclusion_proof(index, leaves)) == merkle.root_of(leaves)
    older, newer = merkle.root_of(leaves[:earlier]), merkle.root_of(leaves)
    path = merkle.consistency_proof(earlier, leaves)
    assert roots_from(earlier, size, older, path) == (older, newer)
    assert roots_from(0, size, merkle.EMPTY_ROOT, path) is None
    assert root_from(0, 0, merkle.EMPTY_ROOT, []) is None
    assert root_from(index, size, leaves[index], [*merkle.inclusion_proof(index, leaves), bytes(32)]) is None


def test_it_stands_alone(tmp_path: Path) -> None:
    source = Path(str(module.__file__))
    tree = ast.parse(source.read_text())
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert not [name for name in names if name.split(".")[0] not in {*sys.stdlib_module_names, "cryptography"}]
    alone = tmp_path / "verify_pack.py"
    alone.write_text(source.read_text())
    (tmp_path / "pack.zip").write_bytes(pack_bytes(PARTS))
    for key, code in ((VERIFIER, 0), (VERIFIER + "x", 1)):
        command = [sys.executable, "-I", str(alone), str(tmp_path / "pack.zip"), "--key", key]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (told.returncode, json.loads(told.stdout)["ok"]) == (code, code == 0)
