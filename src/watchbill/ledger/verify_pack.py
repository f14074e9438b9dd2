"""Verify an evidence pack offline: one file that needs Python and the package cryptography, nothing of Watchbill.

Run it as `python verify_pack.py PACK.zip --key KEY`. It makes the leaf of every record again, follows its proof to the signed
checkpoint, counts the exposed persons again, and compares every part with the signed list of parts. What it cannot know is
whether the key is the firm's: compare it with the one that the firm published. Formats: docs/ledger-format.md.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import re
import struct
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256, sha384, sha512
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TITLE: Final = "watchbill evidence pack v1"
BYTES_MAX: Final = 1 << 30
PARTS_MAX: Final = 250_000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,2}")
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_LOOKS: Final = frozenset({"view", "search", "export", "print"})
_COMPLETE: Final = frozenset({"name", "phone", "address"})
_DIGESTS: Final = {
    bytes.fromhex("608648016503040201"): sha256,
    bytes.fromhex("608648016503040202"): sha384,
    bytes.fromhex("608648016503040203"): sha512,
}
_HASH_BYTES: Final = 32
_TOLD_FIELDS: Final = ("persons", "items", "times", "complete_records", "lower", "hash")


class Bad(Exception):
    """A part does not fit."""

    def __init__(self, part: str, reason: str, at: int | None = None) -> None:
        super().__init__(reason)
        self.part, self.reason, self.at = part, reason, at


@dataclass(slots=True)
class PackReport:
    """What verification found.

    Attributes:
        ok: everything fits. part, reason: the first part that does not, and why. first_bad: byte of the file, where known.
        key, trusted: the log's verifier key as the pack has it, and whether it is the one that was given.
        case, size, root: what the pack is about. records, persons, hash: as counted here. timestamps: (time, checkpoint's size).
    """

    ok: bool = False
    part: str = ""
    reason: str = ""
    first_bad: int | None = None
    key: str = ""
    trusted: bool = False
    case: str = ""
    size: int = 0
    root: str = ""
    records: int = 0
    persons: int = 0
    hash: str = ""
    timestamps: list[tuple[str, int]] = field(default_factory=list)


def verify_pack(pack: Path, key: str | None = None) -> PackReport:
    """Verify a pack; `key`: the log's verifier key, from elsewhere. What does not fit is told in the report, not raised."""
    report = PackReport()
    try:
        _verify(_read(pack), report, key)
        report.ok = True
    except Bad as bad:
        report.part, report.reason, report.first_bad = bad.part, bad.reason, bad.at
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError) as error:
        report.part, report.reason = "pack", f"a part has a form that no pack has ({type(error).__name__})"
    return report


def _verify(parts: Mapping[str, bytes], report: PackReport, key: str | None) -> None:
    report.key = _part(parts, "log.key").decode("ascii", "replace").removesuffix("\n")
    if key is not None and key.strip() != report.key:
        raise Bad("log.key", "the pack is signed with another key than the one given")
    report.trusted = key is not None
    told = _manifest(parts, report.key)
    report.case, report.size = told["case"], int(told["height"])
    size, root = _checkpoint(_part(parts, "checkpoint"), "checkpoint", report.key)
    if size != report.size:
        raise Bad("checkpoint", "it speaks of another height than the list of parts")
    report.root = root.hex()
    records = _records(parts, size, root)
    report.records = len(records)
    if _json(_part(parts, "case.json"), "case.json").get("id") != report.case:
        raise Bad("case.json", "it is another case than the list of parts names")
    _exposure(parts, records, report)
    _in_force(parts, records)
    _timestamps(parts, report, (size, root))


def pack_bytes(parts: Mapping[str, bytes]) -> bytes:
    """The one zip file of these parts: sorted, stored, without times or rights; the same on every machine."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as file:
        for name in sorted(parts):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            file.writestr(entry, parts[name])
    return out.getvalue()


def _read(path: Path) -> dict[str, bytes]:
    """All parts. Nothing is unpacked to disk, nothing is larger than the file, every byte of the container is accounted for."""
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise Bad(path.name, f"the file cannot be read ({error.strerror})") from error
    try:
        if len(data) > BYTES_MAX:
            raise ValueError("too large")
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            parts = {entry.filename: file.read(entry) for entry in _entries(file.infolist(), len(data))}
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        ValueError,
        EOFError,
        OSError,
        struct.error,
    ) as error:
        raise Bad(path.name, f"the container is damaged ({error})") from error
    if (again := pack_bytes(parts)) != data:
        at = next((i for i, (one, other) in enumerate(zip(again, data, strict=False)) if one != other), len(again))
        raise Bad(path.name, "the container was changed", min(at, len(data)))
    return parts


def _entries(entries: list[zipfile.ZipInfo], size: int) -> list[zipfile.ZipInfo]:
    """The entries of the container, once none of them can do harm."""
    if len(entries) > PARTS_MAX or sum(entry.file_size for entry in entries) > size:
        raise ValueError("it claims to hold more than the file does")
    for entry in entries:
        stored = entry.compress_type == zipfile.ZIP_STORED and entry.file_size == entry.compress_size
        if not _NAME.fullmatch(entry.filename) or not stored:
            raise ValueError("a part has a name or a form that no pack has")
    if len({entry.filename for entry in entries}) != len(entries):
        raise ValueError("two parts have one name")
    return entries


def _part(parts: Mapping[str, bytes], name: str) -> bytes:
    if name in parts:
        return parts[name]
    raise Bad(name, "this part is missing")


def _opened(note: bytes, part: str, key: str) -> str:
    """The text of a signed note, once the named key's signature fits."""
    try:
        name, hashed, encoded = key.split("+", 2)
        public = _base64(encoded)
        identity = sha256(name.encode() + b"\n" + public).digest()[:4]
        if public[:1] != b"\x01" or len(public) != 1 + _HASH_BYTES or identity.hex() != hashed:
            raise Bad("log.key", "it is no verifier key")
        text, _, tail = note.decode().rpartition("\n\n")
        if not tail.endswith("\n") or tail.count("\n") != 1:
            raise ValueError
        dash, signer, blob64 = tail[:-1].split(" ")
        blob = _base64(blob64)
        if (dash, signer, blob[:4]) != ("\u2014", name, identity):
            raise ValueError
        Ed25519PublicKey.from_public_bytes(public[1:]).verify(blob[4:], f"{text}\n".encode())
    except (ValueError, InvalidSignature) as error:
        raise Bad(part, "it is not signed by the log's key") from error
    return text


def _base64(text: str) -> bytes:
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError
    return raw


def manifest_text(case: str, height: int, parts: Mapping[str, bytes]) -> str:
    """The list of parts that is signed as MANIFEST."""
    lines = [f"{sha256(parts[name]).hexdigest()} {len(parts[name])} {name}" for name in sorted(parts)]
    return "\n".join([TITLE, f"case {case}", f"height {height}", *lines, ""])


def _manifest(parts: Mapping[str, bytes], key: str) -> dict[str, str]:
    """Compare every part with the signed list."""
    text = _opened(_part(parts, "MANIFEST"), "MANIFEST", key)
    lines = text.split("\n")
    told = dict(line.split(" ", 1) for line in lines[1:3] if " " in line)
    if lines[0] != TITLE or set(told) != {"case", "height"} or not told["height"].isdigit():
        raise Bad("MANIFEST", "it is the list of no evidence pack that this verifier knows")
    listed = {line.split(" ", 2)[-1]: line for line in lines[3:]}
    for name in sorted(set(parts) - {"MANIFEST"}):
        if listed.pop(name, None) != f"{sha256(parts[name]).hexdigest()} {len(parts[name])} {name}":
            raise Bad(name, "this part was changed, or added, after the pack was signed")
    if listed:
        raise Bad(min(listed), "this part is missing")
    return told


def _checkpoint(note: bytes, part: str, key: str) -> tuple[int, bytes]:
    """(size, root) of a signed checkpoint of this log."""
    origin, size, root64, *_ = [*_opened(note, part, key).split("\n"), "", ""]
    try:
        root = _base64(root64)
    except ValueError as error:
        raise Bad(part, "it is no checkpoint") from error
    if origin != key.split("+", 1)[0] or size != str(int(size or "-1")) or int(size) <= 0 or len(root) != _HASH_BYTES:
        raise Bad(part, "it is no checkpoint of this log")
    return int(size), root


def _node(pair: bytes) -> bytes:
    return sha256(b"\x01" + pair).digest()


def root_from(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """The root that an audit path leads to (RFC 9162, 2.1.3.2); None when it has the wrong length."""
    if not 0 <= index < size:
        return None
    node, last, current = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            current = _node(sibling + current)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            current = _node(current + sibling)
        node, last = node >> 1, last >> 1
    return current if last == 0 else None


def roots_from(size1: int, size2: int, root1: bytes, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The two roots that a consistency proof leads to (RFC 9162, 2.1.4.2); None when it proves nothing."""
    if not 0 < size1 <= size2:
        return None
    if size1 == size2:
        return None if path else (root1, root1)
    nodes = [root1, *path] if size1.bit_count() == 1 else list(path)
    node, last = size1 - 1, size2 - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    if not nodes:
        return None
    old = new = nodes[0]
    for sibling in nodes[1:]:
        if last == 0:
            return None
        if node & 1 or node == last:
            old, new = _node(sibling + old), _node(sibling + new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = _node(new + sibling)
        node, last = node >> 1, last >> 1
    return (old, new) if last == 0 else None


def _hashes(lines: Iterable[str], part: str) -> list[bytes]:
    try:
        found = [_base64(line) for line in lines]
    except ValueError as error:
        raise Bad(part, "a hash of it cannot be read") from error
    if len(found) > 4 * _HASH_BYTES or any(len(one) != _HASH_BYTES for one in found):
        raise Bad(part, "a hash of it cannot be read")
    return found


def _records(parts: Mapping[str, bytes], size: int, root: bytes) -> dict[int, dict[str, Any]]:
    """Every record, once its leaf was made again and led to the root."""
    lines = _part(parts, "records.ndjson").split(b"\n")
    if lines.pop():
        raise Bad("records.ndjson", "its last line is cut short")
    found: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(lines, 1):
        record = _json(line, f"records.ndjson, line {number}")
        seq = record.get("seq")
        if not isinstance(seq, int) or (found and seq <= next(reversed(found))):
            raise Bad(f"records.ndjson, line {number}", "records stand once each, in order of seq")
        name = f"proofs/{seq}.tlog-proof"
        if not _is_in(_part(parts, name), name, seq, line, (size, root), _part(parts, "checkpoint")):
            raise Bad(f"records.ndjson, line {number}", "the record is not the one that was logged")
        found[seq] = record
    if sum(name.startswith("proofs/") for name in parts) != len(found):
        raise Bad("proofs", "there is a proof without its record")
    return found


def _is_in(text: bytes, name: str, seq: int, line: bytes, tree: tuple[int, bytes], note: bytes) -> bool:
    head, _, signed = text.partition(b"\n\n")
    lines = head.decode("ascii", "replace").split("\n")
    begin = lines[:3]
    if len(begin) < 3 or begin[0] != "c2sp.org/tlog-proof@v1" or begin[2] != f"index {seq}" or signed != note:  # noqa: PLR2004 its head
        raise Bad(name, "it is no proof of this record under this checkpoint")
    try:
        nonce = _base64(begin[1].removeprefix("extra "))
    except ValueError as error:
        raise Bad(name, "its nonce cannot be read") from error
    leaf = sha256(b"\x00" + nonce + line).digest()
    return root_from(seq, tree[0], leaf, _hashes(lines[3:], name)) == tree[1]


def _json(text: bytes, part: str) -> dict[str, Any]:
    try:
        value = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise Bad(part, "it is no JSON") from error
    if not isinstance(value, dict):
        raise Bad(part, "it is no JSON object")
    return value


def _extra(record: Mapping[str, Any]) -> dict[str, Any]:
    return _json(str(record.get("extra") or "{}").encode(), "records.ndjson")


def _controls(records: Mapping[int, dict[str, Any]]) -> tuple[list[tuple[int, str]], dict[str, list[tuple[int, bool]]]]:
    """(loads of the parcels table as (seq, digest), source -> [(seq, its masking is unknown)]), in order of seq."""
    loads: list[tuple[int, str]] = []
    masking: dict[str, list[tuple[int, bool]]] = {}
    for seq, record in records.items():
        said = _extra(record) if record["kind"] in {"wb.reload", "wb.source"} else {}
        if record["kind"] == "wb.reload" and said.get("table") == "parcels":
            loads.append((seq, str(said.get("digest") or "")))
        elif record["kind"] == "wb.source":
            masking.setdefault(str(said.get("source")), []).append((seq, said.get("masking") == "unknown"))
    return loads, masking


def _exposure(parts: Mapping[str, bytes], records: Mapping[int, dict[str, Any]], report: PackReport) -> None:
    """Count the exposed persons again from the records and compare with what is claimed."""
    told = _json(_part(parts, "exposure.json"), "exposure.json")
    parcels: dict[tuple[Any, Any], list[dict[str, Any]]] = {}
    for line in _part(parts, "parcels.ndjson").splitlines():
        row = _json(line, "parcels.ndjson")
        parcels.setdefault((row.get("digest"), row.get("waybill")), []).append(row)
    loads, masking = _controls(records)
    decisions = {one["decision"]: one for one in records.values() if one["kind"] == "wb.decision" and "decision" in one}
    seen: dict[str, list[Any]] = {}
    looks = set[Any]()
    for seq in told.get("listed", []):
        if seq not in records:
            raise Bad("exposure.json", f"it lists record {seq}, which the pack does not hold")
        record = records[seq]
        said = [unknown for at, unknown in masking.get(record["source"], []) if at < seq]
        if said and said[-1]:
            continue
        look, record = _as_decided(seq, record, decisions)
        digest = next((name for at, name in reversed(loads) if at < seq), "")
        for subject, fields in _shown(record, parcels.get((digest, record.get("waybill")), [])):
            looks.add(look)
            known = seen.setdefault(subject, [set(), record["time"], record["time"], set()])
            known[0] |= {name for name in fields if name is not None}
            known[1], known[2] = min(known[1], record["time"]), max(known[2], record["time"])
            known[3].add(look)
    _compare(told, seen, looks, report)


def _as_decided(seq: int, record: dict[str, Any], told: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """(which look it is, what it showed): of an ask what its decision let through; a desk's own log of it is the same look."""
    decision = told.get(record.get("decision", ""))
    if decision is None:
        return seq, record
    if record["source"] == "wb.decide":
        shown = decision.get("outcome") == "success" and not decision.get("masked", True)
        record = {**record, "fields": decision.get("fields", []), "masked": not shown}
    return (record["decision"], record.get("account"), record.get("waybill")), record


def _shown(record: Mapping[str, Any], parcels: list[dict[str, Any]]) -> list[tuple[str, list[Any]]]:
    """(subject, fields) that a look exposed."""
    plain = record["kind"] in _LOOKS and record.get("outcome", "success") == "success" and not record.get("masked")
    if not plain:
        return []
    fields, pairs = record.get("fields", []), list[tuple[Any, Any]]()
    if record.get("shown"):
        pairs = [(one.get("subject"), one.get("fields") or fields) for one in record["shown"]]
    elif record.get("subjects"):
        pairs = [(subject, fields) for subject in record["subjects"]]
    else:
        time = record["time"]
        valid = [row for row in parcels if (row.get("from") or time) <= time < (row.get("until") or time + 1)]
        pairs = [(subject, fields) for row in valid for subject in (row.get("sender"), row.get("recipient"))]
    return [(subject, list(fields)) for subject, fields in pairs if subject is not None]


def _compare(told: Mapping[str, Any], seen: Mapping[str, list[Any]], looks: set[Any], report: PackReport) -> None:
    pairs = sorted(((name, sorted(one[0])) for name, one in seen.items()), key=lambda pair: pair[0].encode())
    hashed = sha256(json.dumps(pairs, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
    counted = {
        "persons": len(seen), "items": sum(len(fields) for _, fields in pairs), "times": len(looks), "lower": len(seen),
        "complete_records": sum({name.rpartition(".")[2] for name in fields} >= _COMPLETE for _, fields in pairs),
        "hash": hashed,
    }  # fmt: skip
    for name in _TOLD_FIELDS:
        if told.get(name) != counted[name]:
            raise Bad("exposure.json", f"{name} is {told.get(name)}; the records give {counted[name]}")
    listed = {one["subject"]: [one["fields"], one["first"], one["last"], one["times"]] for one in told["subjects"]}
    if listed != {name: [sorted(one[0]), one[1], one[2], len(one[3])] for name, one in seen.items()}:
        raise Bad("exposure.json", "its list of persons is not that of the records")
    report.persons, report.hash = len(seen), hashed


def _in_force(parts: Mapping[str, bytes], records: Mapping[int, dict[str, Any]]) -> None:
    """The settings and rules in the pack are those that a logged record put in force."""
    for folder, kind in (("settings", "wb.settings"), ("rules", "wb.rules")):
        digests = {_extra(record).get("digest") for record in records.values() if record["kind"] == kind}
        for name in sorted(name for name in parts if name.startswith(f"{folder}/")):
            digest = sha256(parts[name]).hexdigest()
            if digest not in digests or name != f"{folder}/{digest}.json":
                raise Bad(name, f"no logged record put these {folder} in force")


def _der(data: bytes, at: int, end: int) -> list[tuple[int, int, int]]:
    """(tag, begin, end) of the DER values in data[at:end]."""
    found: list[tuple[int, int, int]] = []
    while at < end:
        tag, length, begin = data[at], data[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, begin = int.from_bytes(data[begin : begin + count], "big"), begin + count
        if begin + length > end:
            raise ValueError
        found.append((tag, begin, begin + length))
        at = begin + length
    return found


def imprint_of(response: bytes) -> tuple[bytes, bytes, str]:
    """(hash algorithm's OID, imprint, time) of an RFC 3161 response; its signature is for `openssl ts -verify`.

    Raises:
        ValueError, IndexError: it is none, or was not granted.
    """
    status, token = _der(response, *_der(response, 0, len(response))[0][1:])[:2]
    granted = _der(response, *status[1:])[0]
    signed = _der(response, *_der(response, *_der(response, *token[1:])[1][1:])[0][1:])
    content = _der(response, *signed[2][1:])[1]
    info = _der(response, *_der(response, *content[1:])[0][1:])[0]
    imprint, _, time = _der(response, *info[1:])[2:5]
    algorithm, digest = _der(response, *imprint[1:])
    identity = _der(response, *algorithm[1:])[0]
    if response[granted[1] : granted[2]] not in {b"\x00", b"\x01"}:
        raise ValueError
    told = response[time[1] : time[2]].decode("ascii")
    return response[identity[1] : identity[2]], response[digest[1] : digest[2]], told


def _timestamps(parts: Mapping[str, bytes], report: PackReport, newest: tuple[int, bytes]) -> None:
    """Each timestamp is over a checkpoint of this log that the pack's own continues."""
    for name in sorted(name for name in parts if name.startswith("timestamps/") and name.endswith(".tsr")):
        stem = name.removesuffix(".tsr")
        note = _part(parts, f"{stem}.checkpoint")
        size, root = _checkpoint(note, f"{stem}.checkpoint", report.key)
        try:
            algorithm, imprint, time = imprint_of(parts[name])
            fits = _DIGESTS[algorithm](note).digest() == imprint
        except (ValueError, IndexError, KeyError) as error:
            raise Bad(name, "it is no granted timestamp") from error
        if not fits:
            raise Bad(name, "the timestamp is of something else than this checkpoint")
        text = _part(parts, f"{stem}.consistency").decode("ascii", "replace").partition("\n\n")[0].split("\n")
        roots = roots_from(size, newest[0], root, _hashes(text[1:], f"{stem}.consistency"))
        if text[0] != f"old {size}" or roots != (root, newest[1]):
            raise Bad(f"{stem}.consistency", "the pack's checkpoint does not continue the one that was stamped")
        report.timestamps.append((time, size))


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify a pack from the command line; 1 when it does not verify."""
    parser = argparse.ArgumentParser(prog="verify_pack", description=__doc__)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--key", help="the log's verifier key, as the firm published it")
    report = verify_pack(**vars(parser.parse_args(arguments)))
    sys.stdout.write(json.dumps(asdict(report), ensure_ascii=False, indent=1) + "\n")
    return 0 if report.ok else 1


if __name__ == "__main__":
    raise SystemExit(main())
